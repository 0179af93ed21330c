"""Resolving: the three placements, repairs in their order, and equal designs from unequal proposals."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.branches.cascade import Cascade
from eenas.designs.design import Design, Placed
from eenas.designs.domains import Domain, FloatRange, Scalar
from eenas.designs.finding import Found
from eenas.designs.placement import SAVINGS, candidates
from eenas.designs.proposal import Proposal, draw
from eenas.designs.repair import BranchMacs, cost_limit
from eenas.designs.resolve import resolve
from eenas.designs.space import Space, load_space
from eenas.errors import DesignError, InfeasibleError
from eenas.measurement.profile import Profile
from eenas.testing.stand_ins import stand_in_backbone

SHAPE = FeatureShape((32, 8, 8))
MakeProfile = Callable[..., Profile]


def drawn(data: st.DataObject, space: Space) -> Proposal:
    def suggest(name: str, domain: Domain) -> Scalar:
        if isinstance(domain, FloatRange) and domain.step is None:
            return data.draw(st.floats(domain.low, domain.high), label=name)
        return data.draw(st.sampled_from(domain.values() or ()), label=name)

    return draw(space, suggest)


def resolved(proposal: Proposal, space: Space, profile: Profile, branch_macs: BranchMacs) -> Design:
    backbone = stand_in_backbone(profile, branch_macs)
    return resolve(proposal, space, backbone, chooser=first_candidates, learner=plainest_forms)


def first_candidates(candidates: tuple[Placed, ...], values: Mapping[str, Scalar]) -> Found:
    return Found(branches=candidates[: int(values["most"])])


def plainest_forms(placed: tuple[Placed, ...]) -> Found:
    return Found(branches=tuple(Placed(each.cut_point, each.branch.stand_in(SHAPE)) for each in placed))


def places(design: Design) -> list[int]:
    return [int(placed.cut_point.removeprefix("block")) for placed in design.branches]


def test_uniform_metric_and_free(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    profile = make_profile()
    uniform = Space(branches=3, placement={"kind": "uniform"})
    assert places(resolved({}, uniform, profile, branch_macs)) == [3, 5, 8]
    gold = Space(branches=3, placement={"kind": "metric", "distribution": "gold"})
    assert places(resolved({}, gold, profile, branch_macs)) == [2, 4, 6]
    by_parameters = Space(branches=3, placement={"kind": "metric", "metric": "parameters"})
    assert places(resolved({}, by_parameters, profile, branch_macs)) == [5, 7, 9]
    free = Space(branches=3, branch={"depth": {"low": 0, "high": 1}})
    depths = {"slot1.depth": 0.3, "slot2.depth": 0.0, "slot3.depth": 1.0}
    assert places(resolved(depths, free, profile, branch_macs)) == [1, 3, 9]


def test_slots_that_are_off_count_for_nothing(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(branches=3, placement={"kind": "uniform"}, branch={"on": [True, False], "width": [8, 16]})
    proposal: dict[str, Scalar] = {"slot1.on": False, "slot2.on": True, "slot3.on": False}
    design = resolved(proposal, space, make_profile(), branch_macs)
    assert places(design) == [5]
    assert design.provenance["repairs"] == []


def test_two_at_one_cut_point(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(branches=2, branch={"depth": [0.0, 1.0]})
    design = resolved({"slot1.depth": 1.0, "slot2.depth": 0.0}, space, make_profile(), branch_macs)
    assert places(design) == [5, 6]
    assert design.provenance["repairs"] == ["slot 2: block5 is taken; moved to block6"]
    space = Space(branches=2, branch={"depth": 1.0})
    crowded = make_profile([0.01, 0.6])
    design = resolved({}, space, crowded, branch_macs)
    assert places(design) == [2]
    assert design.provenance["repairs"] == ["slot 2: no free cut point behind block2; dropped"]


def _one(structure: str, width: int, layers: int, **changes: Any) -> tuple[Proposal, Space]:
    branch = {"structure": [structure, "fc"], "width": [8, 16, 32, 64], "layers": {"low": 1, "high": 3}, **changes}
    proposal: dict[str, Scalar] = {"slot1.structure": structure, "slot1.width": width, "slot1.layers": layers}
    return proposal, Space(branches=1, branch=branch)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (9 * 16 * 64 * (32 + 2 * 64), (64, 3)),
        (9 * 16 * 64 * (32 + 2 * 64) - 1, (32, 3)),
        (9 * 16 * 8 * (32 + 2 * 8), (8, 3)),
        (9 * 16 * 8 * (32 + 2 * 8) - 1, (8, 2)),
        (9 * 16 * 8 * 32, (8, 1)),
    ],
)
def test_over_the_cap_narrower_then_shallower(
    limit: int, expected: tuple[int, int], make_profile: MakeProfile, branch_macs: BranchMacs
) -> None:
    profile = make_profile([0.5], total=20 * limit)
    proposal, space = _one("conv_stack", 64, 3)
    design = resolved(proposal, space, profile, branch_macs)
    table = design.branches[0].branch.to_table()
    assert (table["width"], table["layers"]) == expected
    repairs = design.provenance["repairs"]
    assert len(repairs) == (expected != (64, 3))
    assert all("over the cap of" in text and text.startswith("slot 1: at block1, ") for text in repairs)


def test_one_layer_fewer_starts_from_the_drawn_width(make_profile: MakeProfile) -> None:
    def macs(branch: Branch, shape: FeatureShape) -> int:
        return 10**9 if branch.to_table()["layers"] > 1 else 1

    proposal, space = _one("conv_stack", 32, 3)
    table = resolved(proposal, space, make_profile([0.5]), macs).branches[0].branch.to_table()
    assert (table["width"], table["layers"]) == (32, 1)


def test_nothing_stands(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    proposal, space = _one("conv_stack", 64, 3)
    with pytest.raises(InfeasibleError, match=r"none of the 1 requested branches can be placed: slot 1: .*; dropped"):
        resolved(proposal, space, make_profile([0.5], total=1000), branch_macs)
    with pytest.raises(InfeasibleError, match="slot 1: "):
        resolved(proposal, space, make_profile([0.5], shape=FeatureShape((64,))), branch_macs)


def test_no_branch_asked_for_is_a_design(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(branches=2, branch={"on": [True, False]}, training={"loss_weights": ["cost", "equal"]})
    proposal = {"slot1.on": False, "slot2.on": False, "training.loss_weights": "cost"}
    design = resolved(proposal, space, make_profile(), branch_macs)
    assert design.branches == ()
    assert design.training.loss_weights == "equal"
    assert design.policy.target_macs == 1.0


def test_equal_designs_have_equal_digests(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(
        branches=1,
        placement={"kind": ["uniform", "metric", "free"], "metric": ["macs", "latency"]},
        branch={"depth": {"low": 0, "high": 1}, "structure": ["fc", "mlp"], "width": [8, 16]},
    )
    first = {"placement.kind": "uniform", "placement.metric": "macs", "slot1.depth": 0.0}
    first |= {"slot1.structure": "fc", "slot1.width": 8}
    digests = {
        resolved({**first, **change}, space, make_profile(), branch_macs).digest
        for change in (
            {},
            {"slot1.width": 16},
            {"placement.kind": "free", "slot1.depth": 0.5},
            {"placement.kind": "metric", "placement.metric": "latency"},
        )
    }
    assert len(digests) == 1
    assert resolved({**first, "slot1.structure": "mlp"}, space, make_profile(), branch_macs).digest not in digests


def test_a_space_for_another_backbone(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    with pytest.raises(DesignError, match="more exits than cut points"):
        resolved({}, Space(branches=3), make_profile([0.5]), branch_macs)
    by_latency = Space(branches=1, placement={"kind": "metric", "metric": "latency"})
    with pytest.raises(DesignError, match="measure"):
        resolved({}, by_latency, make_profile(latency=False), branch_macs)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_designs_keep_their_promises(data: st.DataObject, make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = load_space("default")
    profile = make_profile(
        [i / 11 for i in range(1, 11)], total=data.draw(st.sampled_from([10**5, 10**6, 10**7, 10**8]))
    )
    proposal = drawn(data, space)
    on = sum(bool(proposal[f"slot{slot}.on"]) for slot in range(1, 7))
    try:
        design = resolved(proposal, space, profile, branch_macs)
    except InfeasibleError:
        assert on
        return
    assert places(design) == sorted(set(places(design)))
    chosen = design.provenance["placement"]["kind"] == "gating"
    assert len(design.branches) <= (space.branches if chosen else on)
    allowed = {profile.cut_points[index].name for index in candidates(profile)}
    for placed in design.branches:
        index = profile.index(placed.cut_point)
        branch = placed.branch.branch if isinstance(placed.branch, Cascade) else placed.branch
        assert placed.cut_point in allowed
        assert branch_macs(branch, profile.cut_points[index].shape) <= cost_limit(space, profile, index)
    assert design == design.canonical()
    assert Design.from_json(design.to_json()) == design
    by_rule = not chosen and design.provenance["placement"].get("metric") not in SAVINGS
    if by_rule and on > len(design.branches):
        assert any("dropped" in text for text in design.provenance["repairs"])
