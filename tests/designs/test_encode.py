"""Encode, then resolve: the same architecture, for every kind of placement."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eenas.branches.registry import branch_from_sizes
from eenas.designs.design import Design, Placed, TrainingChoice
from eenas.designs.domains import Domain, FloatRange, Scalar
from eenas.designs.encode import encode
from eenas.designs.proposal import draw
from eenas.designs.repair import BranchMacs
from eenas.designs.resolve import resolve
from eenas.designs.space import Space, load_space
from eenas.errors import DesignError, InfeasibleError
from eenas.measurement.profile import Profile
from eenas.tasks.images.image_input import image_input
from eenas.testing.stand_ins import stand_in_backbone

MakeProfile = Callable[..., Profile]

EVEN = [i / 10 for i in range(1, 10)]
LATE = [0.5, 0.52, 0.55, 0.8, 0.9, 0.92, 0.95]
BRANCH: dict[str, Any] = {
    "depth": {"low": 0.0, "high": 1.0},
    "structure": ["fc", "mlp", "conv_stack", "pool_fc"],
    "width": [8, 64],
    "layers": {"low": 1, "high": 3},
    "pool": ["avg", "mixed"],
}


def spaces() -> st.SearchStrategy[Space]:
    def space(kinds: list[str], on: Any, depth: Any, own: bool, cap: float) -> Space:
        slot = {"2": {"structure": ["pool_fc", "conv_stack"], "width": 64}} if own else {}
        table = {
            "branches": 4,
            "cost_cap": cap,
            "placement": {
                "kind": kinds,
                "metric": ["macs", "latency", "parameters"],
                "distribution": ["linear", "pareto", "fine", "gold"],
            },
            "branch": {**BRANCH, "on": on, "depth": depth},
            "slot": slot,
            "training": {"learning_rate": {"low": 0.01, "high": 0.1, "log": True}},
        }
        return Space.from_table(table)

    return st.builds(
        space,
        st.sampled_from([["uniform"], ["metric"], ["free"], ["uniform", "metric", "free"]]),
        st.sampled_from([True, [True, False]]),
        st.sampled_from([0.5, [0.0, 0.5, 1.0], {"low": 0.0, "high": 1.0}, {"low": 0.2, "high": 0.8, "step": 0.2}]),
        st.booleans(),
        st.sampled_from([0.01, 0.1, 1.0]),
    )


@settings(max_examples=300, deadline=None)
@given(space=spaces(), where=st.sampled_from([EVEN, LATE]), data=st.data())
def test_same_architecture(
    space: Space, where: list[float], data: st.DataObject, make_profile: MakeProfile, branch_macs: BranchMacs
) -> None:
    profile = make_profile(where, total=2_000_000)

    def suggest(name: str, domain: Domain) -> Scalar:
        if isinstance(domain, FloatRange) and domain.step is None:
            return data.draw(st.floats(domain.low, domain.high), label=name)
        return data.draw(st.sampled_from(domain.values() or ()), label=name)

    def resolved(proposal: Any) -> Design:
        return resolve(proposal, space, stand_in_backbone(profile, branch_macs))

    try:
        design = resolved(draw(space, suggest))
    except InfeasibleError:
        return
    proposal = encode(design, space, profile, branch_macs=branch_macs)
    assert list(proposal) == list(space.parameters())
    again = resolved(proposal)
    assert again.architecture_digest == design.architecture_digest
    assert again.digest == design.digest


def _design(*branches: tuple[str, str], **changes: Any) -> Design:
    placed = tuple(
        Placed(cut_point=name, branch=branch_from_sizes(kind, width=64, layers=1, pool="avg"))
        for name, kind in branches
    )
    return Design(
        **{"backbone": "stand-in", "num_classes": 10, "inputs": image_input(32), "branches": placed, **changes}
    )


def test_without_counting_macs_the_cap_is_taken_as_kept(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space, profile = load_space("default"), make_profile(total=10**8)
    design = _design(("block2", "fc"), ("block3", "conv_fc"), ("block9", "pool_fc"))
    again = resolve(encode(design, space, profile), space, stand_in_backbone(profile, branch_macs))
    assert again.architecture_digest == design.architecture_digest


def test_training_is_the_designs_own_or_the_nearest_allowed(make_profile: MakeProfile) -> None:
    space = load_space("default")
    training = TrainingChoice(learning_rate=0.5, loss_weights="cost", backbone_rate=0.4)
    proposal = encode(_design(("block2", "fc"), training=training), space, make_profile())
    assert proposal["training.learning_rate"] == 0.05
    assert proposal["training.loss_weights"] == "cost"
    assert proposal["training.backbone_rate"] == 0.4
    assert proposal["policy.target_macs"] == 0.5


@pytest.mark.parametrize(
    ("design", "space", "message"),
    [
        (_design(backbone="other"), Space(branches=2), "the design is for 'other'"),
        (_design(("nowhere", "fc")), Space(branches=2), "'nowhere' is not among the 9 cut points"),
        (_design(), Space(branches=2), "not every slot may be off"),
        (
            _design(("block1", "fc"), ("block2", "fc"), ("block3", "fc")),
            Space(branches=2),
            "it has 3 branches and the space 2 slots; set branches = 3",
        ),
        (_design(("block3", "mlp")), Space(branches=1), "no slot allows mlp 64 at block3"),
        (
            _design(("block3", "fc")),
            Space(branches=1, placement={"kind": "uniform"}),
            "uniform placement cannot reach its cut points",
        ),
    ],
)
def test_says_what_the_space_cannot_say(design: Design, space: Space, message: str, make_profile: MakeProfile) -> None:
    with pytest.raises(DesignError, match=message) as caught:
        encode(design, space, make_profile())
    assert "\n" not in str(caught.value)


def test_over_the_cap_is_not_sayable(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space, profile = load_space("default"), make_profile(total=10_000)
    with pytest.raises(DesignError, match="within the cost cap"):
        encode(_design(("block3", "fc")), space, profile, branch_macs=branch_macs)
