"""Every search space that comes with eenas is searched as it stands, on the smallest task."""

import pytest
import torch
from torch import nn

from eenas import shipped
from eenas.designs.space import load_space
from eenas.results.search import search
from eenas.testing.smallest import smallest_task
from tests.smallest_study import SETTINGS

pytestmark = pytest.mark.slow

TRIALS = 4
BLOCKS = 10


def deep_backbone():
    """Ten small blocks, so that every space has a cut point for each of its slots."""

    def block(channels, stride):
        return nn.Sequential(nn.Conv2d(channels, 8, 3, stride, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())

    with torch.random.fork_rng():
        torch.manual_seed(0)
        blocks = [block(8 if number else 3, 2 if number == 6 else 1) for number in range(BLOCKS)]
        return nn.Sequential(*blocks, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)))


@pytest.mark.parametrize("name", shipped.names("search_spaces"))
def test_a_shipped_space_is_searched(tmp_path, name):
    quick = ("space.cost_cap=1.0", "training.epochs=0.2", "prepare.training.epochs=1")
    chance = ("search.known_designs=false", "search.sampler=random", "search.prune=false")
    found = search(
        deep_backbone(),
        task=smallest_task(),
        storage=f"sqlite:///{tmp_path}/eenas.db",
        device="cpu",
        overrides=(*SETTINGS, *quick, *chance),
        space=name,
        trials=TRIALS,
    )
    assert [trial.state for trial in found.trials if trial.state not in ("complete", "infeasible", "copied")] == []
    searched = [trial for trial in found.trials if trial.design is not None and trial.design.branches]
    assert searched
    assert found.front
    for trial in searched:
        assert trial.design.provenance["space"]["version"] == load_space(name).version
        assert any(point.shares[-1] < 1 for point in trial.points), "nobody may leave early"
