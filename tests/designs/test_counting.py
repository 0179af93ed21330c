"""Counting architectures against resolving every proposal of a space."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.designs.counting import count_architectures
from eenas.designs.repair import BranchMacs
from eenas.designs.resolve import resolve
from eenas.designs.space import Space, load_space
from eenas.errors import InfeasibleError
from eenas.measurement.profile import Profile
from eenas.testing.stand_ins import stand_in_backbone

MakeProfile = Callable[..., Profile]

EVEN = [0.1, 0.3, 0.5, 0.7, 0.9]
LATE = [0.6, 0.62, 0.9, 0.95]


def slow_count(space: Space, profile: Profile, branch_macs: BranchMacs) -> int:
    parameters = {name: domain.values() or () for name, domain in space.parameters().items()}
    found = set()
    for values in itertools.product(*parameters.values()):
        proposal = dict(zip(parameters, values, strict=True))
        try:
            design = resolve(proposal, space, stand_in_backbone(profile, branch_macs))
        except InfeasibleError:
            continue
        found.add(design.architecture_digest)
    return len(found)


FREE = {"on": [True, False], "depth": {"low": 0.0, "high": 1.0, "step": 0.25}}
SPACES: dict[str, dict[str, Any]] = {
    "free": {"branch": {**FREE, "structure": ["fc", "pool_fc"]}},
    "always on": {"branch": {**FREE, "on": True, "structure": ["fc", "pool_fc"]}},
    "one depth": {"branches": 3, "branch": {"on": [True, False], "depth": 0.5}},
    "sizes": {
        "branch": {"depth": [0.1, 0.9], "structure": ["fc", "mlp", "conv_stack"], "width": [8, 64], "layers": [1, 3]}
    },
    "uniform": {
        "branches": 3,
        "placement": {"kind": "uniform"},
        "branch": {"on": [True, False], "structure": ["fc", "pool_fc"]},
    },
    "metric": {
        "branches": 3,
        "placement": {"kind": "metric", "metric": ["macs", "parameters"], "distribution": ["linear", "gold", "fine"]},
        "branch": {"on": [True, False], "structure": ["fc", "conv_fc"]},
    },
    "all kinds": {
        "placement": {"kind": ["uniform", "metric", "free"], "distribution": ["linear", "pareto"]},
        "branch": {**FREE, "structure": ["fc", "conv_fc"]},
    },
    "own slots": {
        "placement": {"kind": ["uniform", "free"]},
        "branch": {**FREE, "structure": ["fc", "pool_fc"]},
        "slot": {"2": {"structure": ["conv_fc", "fc"], "on": True}},
    },
    "off": {"branch": {"on": False}},
}


@pytest.mark.parametrize("total", [100_000, 500_000, 5_000_000])
@pytest.mark.parametrize("where", [EVEN, LATE], ids=["even", "late"])
@pytest.mark.parametrize("table", SPACES.values(), ids=SPACES.keys())
def test_counts_what_resolving_everything_finds(
    table: dict[str, Any], where: list[float], total: int, make_profile: MakeProfile, branch_macs: BranchMacs
) -> None:
    space = Space.from_table({"branches": 2, **table})
    profile = make_profile(where, total=total)
    assert count_architectures(space, profile, 10, branch_macs) == slow_count(space, profile, branch_macs)


def test_a_continuous_depth_reaches_what_a_grid_reaches(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    profile = make_profile(EVEN)
    grid = Space(branches=2, branch={**FREE, "depth": {"low": 0.0, "high": 1.0, "step": 0.05}})
    smooth = Space(branches=2, branch={**FREE, "depth": {"low": 0.0, "high": 1.0}})
    assert count_architectures(smooth, profile, 10, branch_macs) == slow_count(grid, profile, branch_macs)


def test_free_placement_by_hand(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    """Four cut points, one in each band, slots on or off, two structures: three possibilities at each, 3^4."""
    profile = make_profile([0.125, 0.375, 0.625, 0.875])
    space = Space(branches=4, branch={"on": [True, False], "structure": ["fc", "pool_fc"]})
    assert count_architectures(space, profile, 10, branch_macs) == 81


def test_the_default_space_counts_at_once(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    asked: list[tuple[Branch, FeatureShape]] = []

    def counted(branch: Branch, shape: FeatureShape) -> int:
        asked.append((branch, shape))
        return branch_macs(branch, shape)

    space, profile = load_space("default"), make_profile([i / 20 for i in range(1, 20)], total=10**9)
    count = count_architectures(space, profile, 10, counted)
    assert len(asked) == len(set(asked))
    structures = len({branch for branch, _ in asked})
    everywhere, to_be_found = 1 + 4 + 4 + 12 + 3 + 36 + 4, 1 + 4  # capsules; plainest forms in the first slot
    assert structures == everywhere + to_be_found
    assert everywhere**6 < count < 2 * (1 + everywhere + 8) ** 6 * 19**6
    assert count_architectures(space, make_profile(latency=False, total=10**9), 10, branch_macs) > everywhere**6
