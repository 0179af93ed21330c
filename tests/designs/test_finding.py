"""Placement that is learned, structures that are found, cascades: what resolving asks for and makes of the answers."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from eenas.backbones.features import FeatureShape
from eenas.branches.cascade import Cascade
from eenas.branches.fc import Fc
from eenas.branches.learned import Learned
from eenas.branches.registry import branch_from_sizes
from eenas.designs.counting import count_architectures
from eenas.designs.design import Design, Placed
from eenas.designs.domains import Scalar
from eenas.designs.encode import encode
from eenas.designs.finding import Chooser, Found, Learner
from eenas.designs.known import known_designs
from eenas.designs.repair import BranchMacs
from eenas.designs.resolve import resolve
from eenas.designs.space import Space
from eenas.errors import DesignError, InfeasibleError
from eenas.measurement.profile import Profile
from eenas.testing.stand_ins import stand_in_backbone
from tests.smallest_networks import small_design

MakeProfile = Callable[..., Profile]
SMALL = FeatureShape((1, 1, 1))
BY_GATES: dict[str, Any] = {"kind": "gating", "cost_weight": 0.5, "count": 2}


class Every:
    """A chooser that keeps every second candidate and remembers what it was asked."""

    def __init__(self, keep: slice = slice(None, None, 2)) -> None:
        self.keep = keep
        self.candidates: tuple[Placed, ...] = ()
        self.values: Mapping[str, Scalar] = {}

    def __call__(self, candidates: tuple[Placed, ...], values: Mapping[str, Scalar]) -> Found:
        self.candidates, self.values = candidates, values
        kept = candidates[self.keep][: int(values["most"])]
        return Found(branches=kept, facts={"value": 0.5}, notes=("one line",))


def found_families(placed: tuple[Placed, ...]) -> Found:
    """A learner that finds `fc` everywhere."""
    named = tuple(Placed(each.cut_point, Fc()) if each.branch.is_open else each for each in placed)
    return Found(branches=named, facts={"alphas": [0.25, 0.75]})


def resolved(
    space: Space,
    profile: Profile,
    branch_macs: BranchMacs,
    proposal: Mapping[str, Scalar] | None = None,
    *,
    chooser: Chooser | None = None,
    learner: Learner | None = None,
) -> Design:
    backbone = stand_in_backbone(profile, branch_macs)
    return resolve(proposal or {}, space, backbone, chooser=chooser, learner=learner)


def places(design: Design) -> list[int]:
    return [int(placed.cut_point.removeprefix("block")) for placed in design.branches]


def test_a_chooser_gets_a_branch_at_every_cut_point(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(branches=3, placement=BY_GATES, slot={2: {"structure": "pool_fc"}})
    chooser = Every()
    design = resolved(space, make_profile(), branch_macs, chooser=chooser)
    assert [placed.cut_point for placed in chooser.candidates] == [f"block{i}" for i in range(1, 10)]
    kinds = [placed.branch.kind for placed in chooser.candidates]
    assert kinds == ["fc"] * 3 + ["pool_fc"] * 3 + ["fc"] * 3  # bands end at 1/3 and 2/3 of the MACs
    assert chooser.values == {**BY_GATES, "most": 3}
    assert places(design) == [1, 3, 5]
    assert design.provenance["placement"] == {**BY_GATES, "value": 0.5}
    assert design.provenance["repairs"] == ["one line"]
    assert Design.from_json(design.to_json()) == design


def test_candidates_keep_the_cap_and_belong_to_slots_that_are_on(
    make_profile: MakeProfile, branch_macs: BranchMacs
) -> None:
    branch = {"on": [True, False], "structure": "conv_stack", "width": [8, 64], "layers": 1}
    space = Space(branches=3, placement=BY_GATES, branch=branch)
    proposal: dict[str, Scalar] = {f"slot{slot}.width": 64 for slot in (1, 2, 3)}
    proposal |= {"slot1.on": True, "slot2.on": False, "slot3.on": True}
    chooser = Every(slice(None))
    design = resolved(space, make_profile(total=1_000_000), branch_macs, proposal, chooser=chooser)
    assert [placed.cut_point for placed in chooser.candidates] == ["block1", "block2", "block3"]
    assert {placed.branch.label() for placed in chooser.candidates} == {"conv_stack 1x8"}
    first, *rest = design.provenance["repairs"]
    assert first.startswith("slot 3: at block7, conv_stack 1x64 costs 294,912 MACs")
    assert first.endswith("dropped; nor at block8, block9")
    assert rest[0].startswith("slot 1: at block1, conv_stack 1x64 costs")
    with pytest.raises(InfeasibleError, match="no cut point in the 2 requested bands can carry its branch: slot 1: "):
        resolved(space, make_profile(total=1000), branch_macs, proposal, chooser=chooser)


def test_no_slot_on_asks_nobody(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    for placement in ({"kind": "gating"}, {"kind": "metric", "metric": "savings"}):
        space = Space(branches=2, placement=placement, branch={"on": False})
        assert resolved(space, make_profile(), branch_macs).branches == ()


@pytest.mark.parametrize("metric", ["gain", "savings"])
def test_gain_and_savings_place_as_many_as_slots_are_on(
    metric: str, make_profile: MakeProfile, branch_macs: BranchMacs
) -> None:
    space = Space(branches=3, placement={"kind": "metric", "metric": metric}, slot={2: {"on": False}})
    chooser = Every(slice(None))
    design = resolved(space, make_profile(), branch_macs, chooser=chooser)
    assert chooser.values == {"kind": "metric", "metric": metric, "most": 2}
    assert places(design) == [1, 2]
    assert design.provenance["placement"] == {"kind": "metric", "metric": metric, "value": 0.5}


def test_a_count_that_cannot_stand_is_lowered(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(branches=3, placement={"kind": "gating", "count": 3})
    chooser = Every(slice(None))
    design = resolved(space, make_profile([0.3, 0.6, 0.9], shape=SMALL, total=300), branch_macs, chooser=chooser)
    assert chooser.values["count"] == chooser.values["most"] == len(design.branches) == 2
    assert "placement.count = 3, but only 2 can be placed; 2 used" in design.provenance["repairs"]


def test_without_a_chooser_or_with_a_wrong_one(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(branches=2, placement={"kind": "gating"})
    with pytest.raises(DesignError, match=r"placement.kind = 'gating' trains branches .* needs a chooser; pass one"):
        resolved(space, make_profile(), branch_macs)
    for wrong in (Every(slice(0, 0)), Every(slice(None, None, -1))):
        with pytest.raises(DesignError, match="a chooser must keep 1 to 2 of"):
            resolved(space, make_profile(), branch_macs, chooser=wrong)


def test_a_learner_names_open_structures(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(
        branches=2, placement={"kind": "uniform"}, branch={"structure": "learned"}, slot={2: {"structure": "fc"}}
    )
    design = resolved(space, make_profile(), branch_macs, learner=found_families)
    assert [placed.branch for placed in design.branches] == [Fc(), Fc()]
    assert design.provenance["learned"] == {"alphas": [0.25, 0.75]}
    with pytest.raises(DesignError, match="learned 32 at block3 has a structure to be found, which needs a learner"):
        resolved(space, make_profile(), branch_macs)
    with pytest.raises(DesignError, match="a learner must return branches at"):
        resolved(space, make_profile(), branch_macs, learner=lambda placed: Found(branches=placed[:1]))


def test_what_a_learner_finds_has_to_keep_the_cap(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    def dear(placed: tuple[Placed, ...]) -> Found:
        branch = branch_from_sizes("conv_stack", width=512, layers=1, pool="avg")
        return Found(branches=(Placed(placed[0].cut_point, branch), *found_families(placed[1:]).branches))

    space = Space(branches=2, placement={"kind": "uniform"}, branch={"structure": "learned"})
    design = resolved(space, make_profile(), branch_macs, learner=dear)
    assert places(design) == [7]
    assert "at block3, conv_stack 1x512 was found but costs" in design.provenance["repairs"][0]
    one = Space(branches=1, placement={"kind": "uniform"}, branch={"structure": "learned"})
    with pytest.raises(InfeasibleError, match="none of the 1 requested branches can be placed: at block5"):
        resolved(one, make_profile(), branch_macs, learner=dear)


def test_open_branches_are_chosen_first_and_named_after(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(branches=2, placement={"kind": "gating"}, branch={"structure": "learned"})
    chooser = Every()
    design = resolved(space, make_profile(), branch_macs, chooser=chooser, learner=found_families)
    assert {placed.branch for placed in chooser.candidates} == {Learned()}
    assert [placed.branch for placed in design.branches] == [Fc(), Fc()]
    assert places(design) == [1, 3]


def test_a_cascade_wraps_all_but_the_first_and_encodes(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(branches=3, placement={"kind": "uniform"}, network={"cascade": [False, True]})
    plain = resolved(space, make_profile(), branch_macs, {"network.cascade": False})
    cascade = resolved(space, make_profile(), branch_macs, {"network.cascade": True})
    assert [type(placed.branch) for placed in cascade.branches] == [Fc, Cascade, Cascade]
    assert places(cascade) == places(plain)
    assert cascade.digest != plain.digest
    assert Design.from_json(cascade.to_json()) == cascade
    for design, said in ((plain, False), (cascade, True)):
        assert encode(design, space, make_profile(), branch_macs=branch_macs) == {"network.cascade": said}
    with pytest.raises(DesignError, match=r"its branches form a cascade; allow network.cascade = true"):
        encode(cascade, Space(branches=3, placement={"kind": "uniform"}), make_profile())
    only = Space(branches=3, placement={"kind": "uniform"}, network={"cascade": True})
    with pytest.raises(DesignError, match=r"its branches form no cascade; allow network.cascade = false"):
        encode(plain, only, make_profile())
    known = dict(known_designs(only, stand_in_backbone(make_profile(), branch_macs)))
    assert known["uniform 3 fc"].branches == cascade.branches


def test_half_a_cascade_and_a_cascade_at_the_front_are_refused(make_profile: MakeProfile) -> None:
    def design(*cascades: bool) -> Design:
        branches = (Cascade(branch=Fc()) if wrapped else Fc() for wrapped in cascades)
        placed = tuple(Placed(f"block{2 * index + 1}", branch) for index, branch in enumerate(branches))
        return small_design(*placed, size=32, num_classes=10)

    with pytest.raises(DesignError, match="the first branch, at 'block1', cannot be a cascade"):
        design(True)
    space = Space(branches=3, network={"cascade": [False, True]})
    with pytest.raises(DesignError, match="only some of its branches form a cascade"):
        encode(design(False, True, False), space, make_profile())
    with pytest.raises(DesignError, match=r"'block1' \(learned 32\) has a structure to be found"):
        small_design(Placed("block1", Learned()), size=32, num_classes=10)


def test_a_cascade_doubles_the_architectures_of_two_branches_or_more(
    make_profile: MakeProfile, branch_macs: BranchMacs
) -> None:
    table: dict[str, Any] = {"branches": 2, "branch": {"on": [True, False], "structure": ["fc", "pool_fc"]}}
    profile = make_profile([0.2, 0.8])
    assert count_architectures(Space.from_table(table), profile, 10, branch_macs) == 9
    table["network"] = {"cascade": [False, True]}
    assert count_architectures(Space.from_table(table), profile, 10, branch_macs) == 1 + 4 + 2 * 4


def test_what_gates_chose_is_said_by_free_placement(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    placement = {"kind": ["gating", "free"], "cost_weight": {"low": 0.1, "high": 1}}
    space = Space(branches=2, placement=placement, branch={"depth": {"low": 0, "high": 1}})
    proposal: dict[str, Scalar] = {"placement.kind": "gating", "placement.cost_weight": 0.5}
    proposal |= {"slot1.depth": 0.5, "slot2.depth": 0.5}
    design = resolved(space, make_profile(), branch_macs, proposal, chooser=Every(slice(0, None, 6)))
    again = encode(design, space, make_profile(), branch_macs=branch_macs)
    assert again["placement.kind"] == "free"
    assert again["placement.cost_weight"] == 0.1
    assert resolved(space, make_profile(), branch_macs, again).digest == design.digest
    only = Space(branches=2, placement={"kind": "gating"})
    with pytest.raises(
        DesignError, match=r"\(block1, block7\) was found by training, not by a rule; also allow kind = 'free'"
    ):
        encode(design, only, make_profile(), branch_macs=branch_macs)
