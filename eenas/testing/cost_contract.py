"""The contract tests of a cost, for its author to run."""

import copy
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar

from eenas import specs
from eenas.backbones.cut_points import CutPoint
from eenas.backbones.features import FeatureShape
from eenas.measurement.costs.cost import Cost
from eenas.measurement.costs.own_cost import OwnCost
from eenas.measurement.costs.spec import COSTS
from eenas.measurement.profile import BranchCost, Profile
from eenas.policies.costs import CostFacts
from eenas.testing.named import home_of
from eenas.testing.stand_ins import stand_in_latency


class CostContract:
    """A pytest class for a cost. Derive from it and set `cost`.

        class TestMine(CostContract):
            cost = "./my_cost.py:Energy"

    `cost` is a cost, or its kind as in a study, which is built with `fields`.
    """

    cost: ClassVar[Cost | str]
    fields: ClassVar[Mapping[str, Any]] = {}

    def test_it_keeps_the_contract(self) -> None:
        """See `check_cost`."""
        cost = self.cost
        if isinstance(cost, str):
            cost = COSTS.find(cost, trust_code=True, relative_to=home_of(self))(**self.fields)
        check_cost(cost)


def check_cost(cost: Cost, profile: Profile | None = None) -> OwnCost:
    """Check a cost against the contract of `Cost` on a profile (default: a made-up one), and return its values there.

    A cost is data that survives its table, with a unit and a provenance. Each cut point, the whole backbone and every
    branch have a number of at least 0, the same each time. A larger branch does not cost less. Raises AssertionError
    with the violated rule, and MeasurementError for invalid values.
    """
    profile = made_up_profile() if profile is None else profile
    assert pickle.loads(pickle.dumps(cost)) == cost, f"{cost} must equal its copy"
    table = specs.to_table(cost)
    assert specs.read_fields(type(cost), table) == cost, f"{cost} must come back from its table {table}"
    located = cost.located(None)
    assert isinstance(located, type(cost)), f"located must return a {type(cost).__name__}, got {located!r:.100}"
    found = OwnCost.of("cost", located, profile)
    facts = CostFacts(name="cost", unit=found.unit, provenance=found.provenance)
    assert facts.provenance, "a cost needs a provenance"
    again = OwnCost.of("cost", copy.deepcopy(located), profile)
    assert found.prefixes == again.prefixes, "the same profile must have the same prefixes"
    for point in profile.cut_points:
        none, small, large = (found.branch(each, point.shape) for each in _branches())
        assert none <= small <= large, f"a larger branch at {point.name} must not cost less: {none}, {small}, {large}"
        assert found.branch(_branches()[1], point.shape) == small, "the same branch must cost the same"
    return found


def made_up_profile() -> Profile:
    """Return a made-up profile with four cut points: two maps, tokens and a vector, all with latencies."""
    shapes = (FeatureShape((8, 4, 4)), FeatureShape((16, 2, 2)), FeatureShape((4, 16)), FeatureShape((32,)))
    return Profile(
        backbone="made up",
        cut_points=tuple(CutPoint(f"block{index}", shape, True) for index, shape in enumerate(shapes, start=1)),
        macs=(1_000, 3_000, 6_000, 9_000),
        total_macs=10_000,
        parameters=(100, 200, 400, 700),
        total_parameters=1_000,
        latency_ms=tuple(stand_in_latency(value) for value in (0.5, 1.0, 1.5, 2.0)),
        total_latency=stand_in_latency(2.5),
        plain_latency=stand_in_latency(2.25),
        decision=stand_in_latency(0.125),
    )


def _branches() -> tuple[BranchCost, BranchCost, BranchCost]:
    """Return an empty branch, a small one, and one that is larger in every respect."""
    sizes = ((0, 0, 0.0), (100, 10, 0.25), (1_000, 50, 0.75))
    return tuple(  # type: ignore[return-value]  # as many as there are sizes
        BranchCost(macs=macs, parameters=parameters, latency=stand_in_latency(time)) for macs, parameters, time in sizes
    )
