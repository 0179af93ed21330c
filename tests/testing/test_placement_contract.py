"""The placement contract: every kind of placement keeps it, and breaking it is noticed."""

from collections.abc import Mapping
from typing import Any

import pytest

from eenas import shipped
from eenas.backbones.cut_points import CutPoint
from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.branches.fc import Fc
from eenas.branches.learned import Learned
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.designs.domains import Scalar
from eenas.designs.finding import Found
from eenas.designs.space import Space, fitted_space, load_space
from eenas.measurement.latency import Latency
from eenas.measurement.profile import Profile
from eenas.testing.placement_contract import check_chooser, check_learner, check_placement
from eenas.testing.stand_ins import stand_in_backbone

SHAPE = FeatureShape((16, 8, 8))
PLACED = tuple(Placed(f"block{index}", Fc()) for index in range(1, 10))


def branch_macs(branch: Branch, shape: FeatureShape) -> int:
    return 10 * shape.elements


def profile() -> Profile:
    latency = Latency(
        **{"median_ms": 1.0, "p95_ms": 1.0, "spread": 0.0, "repeats": 9, "device": "none", "runtime": "none"},
        **{"threads": 1, "batch": 1, "dtype": "float32"},
    )
    return Profile(
        backbone="stand-in",
        cut_points=tuple(CutPoint(name=f"block{index}", shape=SHAPE, block_end=True) for index in range(1, 10)),
        macs=tuple(range(100_000, 1_000_000, 100_000)),
        total_macs=1_000_000,
        parameters=(1,) * 9,
        total_parameters=2,
        latency_ms=(latency,) * 9,
        total_latency=latency,
    )


def some(candidates: tuple[Placed, ...], values: Mapping[str, Scalar]) -> Found:
    return Found(branches=candidates[: int(values.get("count", 0)) or int(values["most"])])


def plain(placed: tuple[Placed, ...]) -> Found:
    branches = (Placed(each.cut_point, Fc()) if each.branch.is_open else each for each in placed)
    return Found(branches=tuple(branches), facts={"found": "fc"})


def check(space: Space, **options: Any) -> int:
    options = {"chooser": some, "learner": plain, **options}
    return len(check_placement(space, stand_in_backbone(profile(), branch_macs), **options))


@pytest.mark.parametrize("kind", ["uniform", "metric", "free", "gating"])
def test_every_kind_of_placement_keeps_it(kind: str) -> None:
    table: dict[str, Any] = {
        "branches": 4,
        "branch": {"on": [True, False], "depth": {"low": 0, "high": 1}, "structure": ["fc", "pool_fc", "learned"]},
        "network": {"cascade": [True, False]},
        "placement": {"kind": kind},
    }
    if kind == "metric":
        table["placement"] |= {"metric": ["macs", "latency", "parameters", "gain", "savings"]}
    if kind == "gating":
        table["placement"] |= {"cost_weight": {"low": 0.1, "high": 1.0}, "count": [0, 2]}
    assert check(Space.from_table(table), proposals=20) > 10


@pytest.mark.parametrize("name", shipped.names("search_spaces"))
def test_every_shipped_space_keeps_it(name: str) -> None:
    check(fitted_space(load_space(name), profile()))


def test_a_chooser_that_breaks_it_is_noticed() -> None:
    values = {"kind": "gating", "cost_weight": 0.3, "count": 0, "most": 3}
    check_chooser(some, PLACED, values)
    check_chooser(some, PLACED, {**values, "count": 2})
    asked: list[int] = []

    def fickle(candidates: tuple[Placed, ...], values: Mapping[str, Scalar]) -> Found:
        asked.append(1)
        return Found(branches=candidates[:1], facts={"asked": len(asked)})

    wrong: dict[str, Any] = {
        "must keep at least one": lambda candidates, values: Found(branches=()),
        "at most 3 branches, got 9": lambda candidates, values: Found(branches=candidates),
        "must be candidates in depth order": lambda candidates, values: Found(branches=candidates[2::-1]),
        "fc is not open and became pool_fc": lambda candidates, values: Found(branches=(Placed("block1", PoolFc()),)),
        "plain JSON": lambda candidates, values: Found(branches=candidates[:1], facts={"a": (1, 2)}),
        "must give the same result": fickle,
    }
    for message, chooser in wrong.items():
        with pytest.raises(AssertionError, match=message):
            check_chooser(chooser, PLACED, values)
    with pytest.raises(AssertionError, match="must keep 2 branches, got 1"):
        check_chooser(lambda candidates, values: Found(branches=candidates[:1]), PLACED, {**values, "count": 2})


def test_a_learner_that_breaks_it_is_noticed() -> None:
    placed = (Placed("block1", Learned()), Placed("block2", PoolFc()))
    assert check_learner(plain, placed).branches == (Placed("block1", Fc()), placed[1])
    wrong: dict[str, Any] = {
        "must not move branches": lambda placed: Found(branches=plain(placed).branches[::-1]),
        "is still open": lambda placed: Found(branches=placed),
        "is not open and was changed": lambda placed: Found(
            branches=tuple(Placed(each.cut_point, Fc()) for each in placed)
        ),
    }
    for message, learner in wrong.items():
        with pytest.raises(AssertionError, match=message):
            check_learner(learner, placed)


def test_a_branch_over_the_cap_is_noticed() -> None:
    counts = iter([1, 1])

    def dearer_when_asked_again(branch: Branch, shape: FeatureShape) -> int:
        return next(counts, 10**9)

    with pytest.raises(AssertionError, match=r"fc at block\d has 1,000,000,000 MACs, above the cap of"):
        check_placement(Space(branches=2), stand_in_backbone(profile(), dearer_when_asked_again))
