"""Compiled training: it gives the weights of the plain one, is measured before it is taken, and says why it fails."""

import shutil

import pytest
import torch
from torch import nn

from eenas.errors import OutOfMemoryError, TrainingError
from eenas.networks.exit_pass import ExitPass
from eenas.progress import notices_to
from eenas.testing.smallest import smallest_task
from eenas.training.checkpoints import Checkpoint
from eenas.training.compilation import decision
from eenas.training.compilation.compiled_network import CompiledNetwork, compiler_errors
from eenas.training.spec import TrainingSpec
from eenas.training.trainer import Verdict
from tests.training.test_trainer import network_for, run


@pytest.fixture(scope="module")
def task():
    return smallest_task()


def eager(monkeypatch):
    """Passes run as they are; only the compiler is left out."""
    monkeypatch.setattr(torch, "compile", lambda call: call)


def spec(compile, **options):
    return TrainingSpec(**({"epochs": 1} | options), batch_size=16, compile=compile)


def trained(task, compile, **options):
    network = network_for(task)
    report = run(network, task, spec=spec(compile, **options))
    return network.state_dict(), report


def test_copies_of_the_modules_train_the_weights_of_the_network(task, monkeypatch):
    eager(monkeypatch)
    plain, report = trained(task, None)
    found, compiled = trained(task, True)
    assert report.compiled == {}
    assert compiled.compiled["0"]["used"]
    assert found.keys() == plain.keys()
    assert all(torch.equal(found[name], value) for name, value in plain.items())


def test_the_network_gets_no_hooks(task):
    network = network_for(task)
    with ExitPass(CompiledNetwork(network, [(None, False)]).copies[0], None, equilibrium=False):
        assert not any(part._forward_hooks for part in network.modules())


def test_a_module_that_replaces_a_buffer_is_refused(task, monkeypatch):
    eager(monkeypatch)
    monkeypatch.setattr(decision, "SHORTEST", 0.0)

    class Replacing(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(()))

        def forward(self, x):
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
            return x - self.mean

    def replacing():
        network = network_for(task)
        network.branches.at("0").append(Replacing())
        return network

    with pytest.raises(TrainingError, match=r"Replacing replaces its buffer 'mean', .* or set compile to false"):
        run(replacing(), task, spec=spec(True))
    report = run(network := replacing(), task, spec=spec("auto"))
    assert "replaces its buffer" in report.compiled["0"]["why"]
    assert network.state_dict()["branches.0.4.mean"] != 0


@pytest.mark.parametrize(("times", "used"), [((0.5, 0.1), True), ((1e6, 0.1), False), ((0.5, 2.0), False)])
def test_auto_takes_what_is_faster_with_the_compilation(task, monkeypatch, times, used):
    eager(monkeypatch)
    monkeypatch.setattr(
        decision.Compilable, "_seconds", lambda self, parts, *, compiled: times if compiled else (1.0, 1.0)
    )
    monkeypatch.setattr(decision, "SHORTEST", 1.0)
    told = []
    with notices_to(told.append):
        _, report = trained(task, "auto")
    assert report.compiled["0"]["used"] is used
    assert "a step takes" in told[0].text


@pytest.mark.parametrize(("micro", "steps"), [(None, 15), (4, 60)])
def test_the_measured_steps_are_those_of_micro_batches(task, monkeypatch, micro, steps):
    eager(monkeypatch)
    monkeypatch.setattr(decision, "SHORTEST", 0.0)
    _, report = trained(task, "auto", micro_batch_size=micro)
    assert report.compiled["0"]["why"].endswith(f"for {steps} steps")


@pytest.mark.parametrize("setting", [None, "auto"])
def test_a_resumed_training_keeps_the_decision_unless_the_setting_changed(task, tmp_path, monkeypatch, setting):
    def part(compile, verdict):
        checkpoint = Checkpoint(tmp_path / "state.pt")
        return run(
            network_for(task), task, spec=spec(compile), checkpoint=checkpoint, after_epoch=lambda report: verdict
        )

    first = part("auto", Verdict.STOP)
    assert first.stopped
    again = decision.Compilation(False, "measured again")
    monkeypatch.setattr(decision.Compilable, "decide", lambda self, *rest: again if self.plan.spec.compile else None)
    assert part(setting, Verdict.CONTINUE).compiled == (first.compiled if setting == "auto" else {})


def test_a_short_training_is_not_compiled(task):
    _, report = trained(task, "auto")
    assert "too short" in report.compiled["0"]["why"]


def test_a_compiler_that_fails_is_a_notice_or_an_error_with_the_fix(task, monkeypatch):
    def fail(call):
        def failing(x):
            raise RuntimeError("no C++ compiler")

        return failing

    monkeypatch.setattr(torch, "compile", fail)
    monkeypatch.setattr(decision, "SHORTEST", 0.0)
    plain, _ = trained(task, None)
    found, report = trained(task, "auto")
    assert all(torch.equal(found[name], value) for name, value in plain.items()), "it is measured on a copy"
    assert not report.compiled["0"]["used"]
    assert "no C++ compiler" in report.compiled["0"]["why"]
    with pytest.raises(TrainingError, match=r'no C\+\+ compiler\); set compile to "auto" or false'):
        trained(task, True)


def test_memory_is_no_fault_of_the_compiler(task, monkeypatch):
    def fail(*given, **options):
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="out of memory"), compiler_errors():
        fail()
    monkeypatch.setattr("eenas.networks.network.EarlyExitNetwork.forward", fail)
    with pytest.raises(OutOfMemoryError, match=r"smaller batch_size or micro_batch_size=8, which keeps"):
        trained(task, None)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("default")
def test_compiled_steps_give_the_same_weights_up_to_rounding(task):
    plain, _ = trained(task, None, epochs=None, samples=64)
    found, _ = trained(task, True, epochs=None, samples=64)
    assert found.keys() == plain.keys()
    for name, value in plain.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)
