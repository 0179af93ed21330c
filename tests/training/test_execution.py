"""The choice of memory format and precision: what is stated, what is measured, and what is kept."""

import pytest
import torch
from torch import nn

import eenas.training.execution as execution_module
from eenas.backbones.memory_format import INFERENCE, PLAIN
from eenas.errors import TrainingError
from eenas.measurement.profile import MemoryCache
from eenas.training.execution import Execution, choose_execution
from eenas.training.spec import TrainingSpec

EXAMPLE = torch.zeros(4, 3, 8, 8)


def module():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def choose(monkeypatch, times, *, bfloat16=True, cache=None, **options):
    """The choice where the steps of each execution take `times` seconds, by its text, and which were timed."""
    timed = []

    def step(module, example, execution):
        timed.append(str(execution))
        return times[str(execution)]

    monkeypatch.setattr(execution_module, "_step_seconds", step)
    monkeypatch.setattr(execution_module, "_bfloat16_gains", lambda device: bfloat16)
    spec = TrainingSpec(epochs=1, **options)
    return choose_execution(module(), EXAMPLE, spec, cache=cache or MemoryCache(), key="here"), timed


class Particular(nn.Module):
    """It runs in float32 and in contiguous memory alone."""

    def __init__(self, fails=False):
        super().__init__()
        self.conv, self.fc, self.fails = nn.Conv2d(3, 4, 3), nn.Linear(144, 2), fails

    def forward(self, x):
        if self.fails or torch.is_autocast_enabled("cpu"):
            raise RuntimeError("no such thing")
        return {"logits": self.fc(self.conv(x).view(len(x), -1)), "kind": "dict"}


def test_what_does_not_run_is_left_out(monkeypatch):
    monkeypatch.setattr(execution_module, "_bfloat16_gains", lambda device: True)
    found = choose_execution(Particular(), EXAMPLE, TrainingSpec(epochs=1), cache=MemoryCache(), key="here")
    assert found == Execution()
    with pytest.raises(TrainingError, match=r"Particular does not run a training step .*no such thing.*correct its"):
        choose_execution(Particular(fails=True), EXAMPLE, TrainingSpec(epochs=1), cache=MemoryCache(), key="here")


def test_a_network_that_does_not_run_in_channels_last_trains_without():
    assert Execution(channels_last=True).within(PLAIN) == Execution()
    assert Execution(channels_last=True).within(INFERENCE) == Execution(channels_last=True)


def test_what_is_stated_is_taken_unmeasured(monkeypatch):
    cache = MemoryCache()
    found, timed = choose(monkeypatch, {}, cache=cache, precision="float16", channels_last=True)
    assert found == Execution(True, torch.float16)
    assert timed == []


def test_the_fastest_is_taken_where_it_gains(monkeypatch):
    times = {
        "float32, contiguous": 1.0,
        "float32, channels_last": 0.8,
        "bfloat16, contiguous": 0.95,
        "bfloat16, channels_last": 0.5,
    }
    found, timed = choose(monkeypatch, times)
    assert found == Execution(True, torch.bfloat16)
    assert sorted(timed) == sorted(times)
    assert choose(monkeypatch, times, precision="float32")[0] == Execution(True, None)
    assert choose(monkeypatch, times, channels_last=False)[0] == Execution(False, None)
    assert choose(monkeypatch, times, bfloat16=False)[0] == Execution(True, None)


def test_a_small_gain_is_not_worth_it(monkeypatch):
    times = {"float32, contiguous": 1.0, "float32, channels_last": 0.95}
    assert choose(monkeypatch, times, bfloat16=False)[0] == Execution(False, None)


@pytest.mark.parametrize("channels_last", ["auto", False])
def test_what_was_chosen_once_stays(monkeypatch, channels_last):
    """Prepared weights are kept by the execution they were trained with, so noise must not change it later."""
    cache = MemoryCache()
    times = {"float32, contiguous": 1.0, "float32, channels_last": 0.5}
    first, _ = choose(monkeypatch, times, bfloat16=False, cache=cache, channels_last=channels_last)
    later = {"float32, contiguous": 0.1, "bfloat16, contiguous": 0.01, "bfloat16, channels_last": 0.01}
    again, timed = choose(monkeypatch, later, bfloat16=True, cache=cache, channels_last=channels_last)
    assert again == first
    assert timed == []
    other, _ = choose(monkeypatch, times, cache=cache, precision="float32", channels_last=False)
    assert other == Execution(False, None)


def test_measuring_changes_nothing_of_the_module():
    network = module().eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seconds = execution_module._step_seconds(network, EXAMPLE, Execution(True, torch.bfloat16))
    assert seconds > 0
    assert not network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network[0].weight.is_contiguous()
    assert all(parameter.grad is None for parameter in network.parameters())


def test_an_execution_places_and_casts():
    execution = Execution(True, torch.bfloat16)
    assert execution.place(EXAMPLE).is_contiguous(memory_format=torch.channels_last)
    with execution.precision(torch.device("cpu")):
        assert module()[0](EXAMPLE).dtype == torch.bfloat16
    with Execution().precision(torch.device("cpu")):
        assert module()[0](EXAMPLE).dtype == torch.float32
