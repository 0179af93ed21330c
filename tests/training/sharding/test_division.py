"""Trainings in two processes, whole or divided, end as in one; and what is divided, and when."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import eenas.training.sharding.division as division
from eenas.designs.training_choice import TrainingChoice
from eenas.errors import TrainingError
from eenas.training.process_group import ProcessGroup
from eenas.training.sharding.division import TrainingState, divided_group, units
from eenas.training.spec import TrainingSpec
from tests.training.sharding.trainings import network_of, train, under_torchrun

JOINT = {"strategy": "joint", "optimizer": "adamw", "learning_rate": 0.003}
CHOICES = [
    JOINT,
    {"strategy": "distillation", "loss_weights": "uncertainty"},
    {"strategy": "branch_wise"},
    {"strategy": "hybrid", "hybrid": "mixed", "weight_average": 0.5, "patience": 1},
    {"strategy": "hybrid", "hybrid": "alternating"},
]
WAYS = [{"sharding": "none"}, {"sharding": "fsdp"}, {"sharding": "none", "micro_batch_size": 3}]
"""Every choice is trained in each of these ways."""
CLOSE = 2e-4


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The trainings of two processes by choice and way."""
    trainings = [{"choice": choice, **way} for choice in CHOICES for way in WAYS]
    found = iter(under_torchrun(tmp_path_factory.mktemp("two") / "run", trainings))
    return [[next(found) for _ in WAYS] for _ in CHOICES]


def flat(found):
    return np.concatenate(found["weights"])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(CHOICES)))
def test_two_processes_end_as_one_whole_or_divided_and_in_micro_batches(two, number):
    alone = train(ProcessGroup(), CHOICES[number])
    for way, ranks in zip(WAYS, two[number], strict=True):
        first, second = ranks
        assert flat(first).tolist() == flat(second).tolist()
        assert first["sharded"] == (way["sharding"] == "fsdp")
        assert first["samples"] == alone["samples"]
        assert np.abs(flat(first) - flat(alone)).max() < CLOSE, way
    moved = np.abs(
        flat(alone) - torch.cat([p.detach().flatten() for p in network_of(choice_of(number)).parameters()]).numpy()
    )
    assert moved.max() > 100 * CLOSE


def choice_of(number):
    return TrainingChoice(**{"learning_rate": 0.05, **CHOICES[number]})


@pytest.mark.slow
def test_a_divided_training_says_so_once(two):
    ranks = two[0][1]
    assert all("(sharding = fsdp) is divided over 2 processes" in found["notices"][0] for found in ranks)
    assert two[0][0][0]["notices"] == []


def test_auto_divides_what_does_not_fit_a_device(monkeypatch):
    network, choice, heard = network_of(TrainingChoice()), TrainingChoice(strategy="joint", optimizer="adamw"), []
    group, spec = ProcessGroup(0, 4), TrainingSpec(epochs=1)
    monkeypatch.setattr(ProcessGroup, "share", lambda self, value: value)
    needed = TrainingState.of(network, choice)
    assert needed.whole == 4 * needed.weights
    assert TrainingState.of(network, replace(choice, optimizer="sgd", weight_average=0.9)).whole == needed.whole
    assert divided_group(group, spec, network, choice, heard.append) is group, "processes share the memory of a CPU"
    for there, wanted in ((int(needed.whole / 0.7), False), (int(needed.whole / 0.9), True)):
        monkeypatch.setattr(division, "memory_of", lambda device, there=there: there)
        found = divided_group(group, spec, network, choice, heard.append)
        assert (found.sharded, bool(heard)) == (wanted, wanted)
    assert "more than 80% of the device's" in heard[0].text
    assert " 0.00 " not in heard[0].text, "a small network takes memory, too"
    for other in (replace(spec, sharding="none"),):
        assert not divided_group(group, other, network, choice, heard.append).sharded
    assert not divided_group(ProcessGroup(), replace(spec, sharding="fsdp"), network, choice, heard.append).sharded
    with pytest.raises(TrainingError, match='set precision to "bfloat16"'):
        divided_group(group, replace(spec, sharding="fsdp", precision="float16"), network, choice, heard.append)


def test_blocks_of_lists_are_gathered_alone_but_not_across_the_cut_point_of_a_branch():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(16, 2)

    class Blocks(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(Attention() for _ in range(12))
            self.head = nn.Linear(16, 4)

    whole = Blocks()
    assert units(whole) == list(whole.blocks), "the parts of attention are not called as modules"
    whole.head.weight = nn.Parameter(torch.zeros(4, 16))
    whole.blocks[3].attention.out_proj.weight = whole.blocks[4].attention.out_proj.weight
    assert units(whole) == [], "tied parameters lie in one group"
    network = network_of(TrainingChoice())
    cut = network.branches.names[0]
    blocks = dict(network.backbone.named_modules())
    for unit in units(network):
        name = next(name for name, module in blocks.items() if module is unit)
        assert not cut.startswith(f"{name}.")


@pytest.mark.parametrize(
    ("count", "text"),
    [(3 * 2**30, "3.00 GB"), (2**30 / 10, "0.10 GB"), (2**26, "64.00 MB"), (2**20 / 10, "0.10 MB"), (2**12, "4.00 KB")],
)
def test_memory_is_said_in_a_unit_that_shows_it(count, text):
    assert division._size(count) == text
