"""Known designs: which there are, where they stand, and that the shipped spaces can say them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from eenas import shipped
from eenas.branches.presets import branchynet_lenet
from eenas.designs.design import Design
from eenas.designs.encode import encode
from eenas.designs.known import known_designs
from eenas.designs.repair import BranchMacs
from eenas.designs.resolve import resolve
from eenas.designs.space import Space, load_space
from eenas.errors import DesignError
from eenas.measurement.profile import Profile
from eenas.testing.stand_ins import stand_in_backbone

MakeProfile = Callable[..., Profile]


def known(space: Space, profile: Profile, branch_macs: BranchMacs) -> dict[str, Design]:
    return dict(known_designs(space, stand_in_backbone(profile, branch_macs)))


def test_the_list(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    profile = make_profile([i / 20 for i in range(1, 20)], total=10**9)
    designs = known(load_space("default"), profile, branch_macs)
    assert list(designs) == ["no branch", *(f"uniform {n} fc" for n in range(1, 7)), "sdn six"]
    assert [placed.cut_point for placed in designs["uniform 3 fc"].branches] == ["block5", "block10", "block15"]
    assert {placed.branch.to_table()["kind"] for placed in designs["uniform 3 fc"].branches} == {"fc"}
    sdn = designs["sdn six"].branches
    assert [placed.cut_point for placed in sdn] == [f"block{n}" for n in (3, 6, 9, 12, 15, 18)]
    assert {(placed.branch.to_table()["kind"], placed.branch.to_table()["pool"]) for placed in sdn} == {
        ("pool_fc", "mixed")
    }
    assert len({design.digest for design in designs.values()}) == len(designs)


def test_a_backbone_of_branchynet_comes_with_its_published_branches(
    make_profile: MakeProfile, branch_macs: BranchMacs
) -> None:
    profile = replace(make_profile([0.1, 0.5]), backbone="branchynet_lenet")
    points = tuple(
        replace(point, name=name) for point, name in zip(profile.cut_points, ("conv1", "relu2"), strict=True)
    )
    profile = replace(profile, cut_points=points)
    design = known(load_space("lenet"), profile, branch_macs)["branchynet"]
    assert [(placed.cut_point, placed.branch) for placed in design.branches] == [("conv1", branchynet_lenet())]
    assert design.training.strategy == "joint"
    elsewhere = replace(profile, cut_points=(replace(points[0], name="relu1"), points[1]))
    assert "branchynet" not in known(load_space("lenet"), elsewhere, branch_macs)


def test_pool_fc_where_fc_is_too_dear(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    profile = make_profile(total=200_000)  # fc costs 20,480 and pool_fc 5,120 MACs
    designs = known(load_space("default"), profile, branch_macs)
    assert [placed.branch.to_table()["kind"] for placed in designs["uniform 1 fc"].branches] == ["pool_fc"]
    assert len(designs["uniform 6 fc"].branches) < 6


def test_pool_fc_where_the_space_has_no_fc(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(branches=1, branch={"structure": ["mlp", "pool_fc"], "pool": ["mixed", "max"]})
    placed = known(space, make_profile(), branch_macs)["uniform 1 fc"].branches[0]
    assert placed.branch.label() == "pool_fc max"
    placed = known(Space(branches=1, branch={"structure": "mlp"}), make_profile(), branch_macs)[
        "uniform 1 fc"
    ].branches[0]
    assert placed.branch.label() == "fc"


def test_few_slots_or_cut_points(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    assert list(known(load_space("small"), make_profile(), branch_macs)) == [
        "no branch",
        *(f"uniform {n} fc" for n in (1, 2, 3)),
    ]
    assert list(known(Space(branches=6), make_profile([0.5]), branch_macs)) == ["no branch", "uniform 1 fc"]


def test_only_some_of_the_uniform_ones(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    found = known_designs(load_space("small"), stand_in_backbone(make_profile(), branch_macs), uniform_counts=[2, 3, 9])
    assert [name for name, _ in found] == ["no branch", "uniform 2 fc", "uniform 3 fc"]


def test_training_is_what_the_space_fixes(make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space = Space(
        branches=1, training={"optimizer": "adamw", "learning_rate": [0.001, 0.003]}, policy={"score": "margin"}
    )
    design = known(space, make_profile(), branch_macs)["uniform 1 fc"]
    assert (design.training.optimizer, design.training.learning_rate) == ("adamw", 0.003)
    assert design.policy.score == "margin"


UNSAYABLE = {
    "branchynet": {"uniform", "sdn"},
    "sdn": {"uniform", "no"},
    "deebert": {"no", "uniform", "sdn"},
    "pabee": {"no", "uniform", "sdn"},
    "in_time": {"sdn"},
}
"""What spaces with the branches of one publication, or for one kind of features, cannot say."""


@pytest.mark.parametrize("name", shipped.names("search_spaces"))
def test_shipped_spaces_can_say_them_all(name: str, make_profile: MakeProfile, branch_macs: BranchMacs) -> None:
    space, profile = load_space(name), make_profile([i / 20 for i in range(1, 20)], total=10**9)
    for title, each in known(space, profile, branch_macs).items():
        if title.split()[0] in UNSAYABLE.get(name, ()):
            with pytest.raises(DesignError, match="the search space cannot express this design"):
                encode(each, space, profile)
            continue
        proposal = encode(each, space, profile)
        again = resolve(proposal, space, stand_in_backbone(profile, branch_macs))
        assert again.architecture_digest == each.architecture_digest
        assert again.digest == each.digest
