"""Costs of leaving at each exit against sums made by hand."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.backbones.cut_points import CutPoint
from eenas.backbones.features import FeatureShape
from eenas.branches.fc import Fc
from eenas.designs.design import Placed
from eenas.measurement.costs.cost import Cost
from eenas.measurement.costs.own_cost import OwnCost
from eenas.measurement.latency import Latency
from eenas.measurement.profile import BranchCost, Profile
from eenas.measurement.runtime import Joints
from eenas.measurement.tiers.part_times import part_times
from eenas.networks.exit_costs import exit_costs
from eenas.policies.costs import CostFacts
from tests.smallest_networks import small_design


def milliseconds(value):
    return Latency(
        median_ms=value, p95_ms=value, spread=0.0, repeats=3, device="CPU", runtime="eager", threads=1, batch=1,
        dtype="float32",
    )  # fmt: skip


def profile(prefixes=(1.0, 3.0, 6.0), *, timed=True):
    shape = FeatureShape((4, 2, 2))
    return Profile(
        backbone="made up",
        cut_points=tuple(CutPoint(name, shape, True) for name in "abc"),
        macs=(100, 300, 600),
        total_macs=1000,
        parameters=(10, 20, 30),
        total_parameters=50,
        latency_ms=tuple(milliseconds(value) for value in prefixes) if timed else (),
        total_latency=milliseconds(10.0) if timed else None,
        plain_latency=milliseconds(9.5) if timed else None,
        decision=milliseconds(0.25) if timed else None,
    )


def design(*names):
    branches = tuple(Placed(cut_point=name, branch=Fc()) for name in names)
    return small_design(*branches, num_classes=5)


def cost(macs, parameters, latency):
    return BranchCost(macs=macs, parameters=parameters, latency=None if latency is None else milliseconds(latency))


def test_every_branch_and_decision_on_the_way_counts():
    found = exit_costs(design("a", "c"), profile(), [cost(7, 2, 0.5), cost(11, 3, 0.75)])
    assert found.costs["macs"].tolist() == [100 + 7 + 5, 600 + 7 + 11 + 10, 1000 + 7 + 11 + 10]
    assert found.costs["latency"] == pytest.approx([1.0 + 0.5 + 0.25, 6.0 + 0.5 + 0.75 + 0.5, 10.0 + 1.25 + 0.5])
    assert found.parameters == 50 + 2 + 3


def test_programs_of_their_own_add_what_joins_them():
    joints = Joints(cut_ms=(0.125, 9.0, 0.5), call_ms=0.25, entry_ms=0.0625)
    found = exit_costs(design("a", "c"), replace(profile(), joints=joints), [cost(1, 1, 0.5), cost(1, 1, 0.75)])
    first, second = 0.5 - 0.25 + 0.25, 0.75 - 0.25 + 0.25
    assert found.costs["latency"] == pytest.approx(
        [
            1.0 + 0.0625 + first,
            6.0 + 0.0625 + first + 0.125 + second,
            10.0 + 0.0625 + first + 0.125 + second + 0.5 + 0.25,
        ]
    )


def test_without_branches_the_backbone_alone_counts():
    found = exit_costs(design(), profile(), [])
    assert found.costs["macs"].tolist() == [1000.0]
    assert found.costs["latency"].tolist() == [9.5]
    assert found.parameters == 50


def test_noise_never_makes_more_work_quicker():
    found = exit_costs(design("a", "b"), profile((5.0, 3.0, 6.0)), [cost(1, 1, 0.5), cost(1, 1, 0.25)])
    assert found.costs["latency"].tolist() == pytest.approx([5.75, 6.25, 11.25])


@given(
    prefixes=st.tuples(*(st.floats(0.01, 20.0) for _ in "abc")),
    names=st.sampled_from(["a", "b", "c", "ab", "ac", "bc", "abc"]),
    joints=st.sampled_from([None, Joints(cut_ms=(0.1, 0.2, 0.3), call_ms=0.125, entry_ms=0.0625)]),
)
def test_the_parts_of_tiers_add_up_to_the_latency_of_each_exit(prefixes, names, joints):
    timed = replace(profile(prefixes), joints=joints)
    branches = [cost(1, 1, 0.5), cost(1, 1, 0.25), cost(1, 1, 0.375)][: len(names)]
    at = tuple("abc".index(name) for name in names)
    parts = part_times(timed, at, branches)
    ends = [*at, 3]
    summed = [
        parts.entry_ms + parts.segments_ms[: end + 1].sum() + parts.exits_ms[: k + 1].sum()
        for k, end in enumerate(ends)
    ]
    latency = exit_costs(design(*names), timed, branches).costs["latency"]
    assert latency.tolist() == pytest.approx(summed)


def test_latency_is_left_out_where_any_part_was_not_timed():
    assert exit_costs(design("a"), profile(timed=False), [cost(1, 1, 0.5)]).costs.get("latency") is None
    assert exit_costs(design("a"), profile(), [cost(1, 1, None)]).costs.get("latency") is None


def test_the_backbone_as_it_is_waits_for_nothing_but_itself():
    joints = Joints(cut_ms=(0.125, 9.0, 0.5), call_ms=0.25, entry_ms=0.0625)
    found = exit_costs(design(), replace(profile(), joints=joints), [])
    assert found.costs["latency"].tolist() == [9.5]


def energy(prefixes=(4.0, 2.0, 3.0, 9.0)):
    """A cost of the study's own: made-up prefixes, and a hundredth for each MAC of a branch."""
    return OwnCost.of("energy", GivenEnergy(values=prefixes), profile())


@dataclass(frozen=True, kw_only=True)
class GivenEnergy(Cost):
    unit: str = "mJ"
    values: tuple[float, ...] = ()

    def prefixes(self, profile):
        return self.values

    def branch(self, branch, shape, profile):
        return 0.01 * branch.macs


def test_a_cost_of_the_study_s_own_is_the_prefix_and_every_branch_on_the_way():
    found = exit_costs(design("a", "c"), profile(), [cost(7, 2, 0.5), cost(11, 3, 0.75)], [energy()]).costs
    assert found.names == ("macs", "latency", "energy")
    assert found["energy"] == pytest.approx([4.0 + 0.07, 3.0 + 0.07 + 0.11, 9.0 + 0.07 + 0.11])
    assert found.facts[2] == CostFacts(name="energy", unit="mJ", provenance="by GivenEnergy")
    assert found.facts[1].provenance == "composed of parts measured on CPU, 1 thread, batch 1, float32, eager"
    plain = exit_costs(design(), profile(), [], [energy()]).costs
    assert plain["energy"].tolist() == [9.0]
    static = replace(design("b"), static=True)
    ended = exit_costs(static, profile(), [cost(7, 2, 0.5)], [energy()]).costs
    assert ended["energy"] == pytest.approx([2.0 + 0.07])
    untimed = exit_costs(design("a"), profile(timed=False), [cost(7, 2, None)], [energy()]).costs
    assert untimed.names == ("macs", "energy")
