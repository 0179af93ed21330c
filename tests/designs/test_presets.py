"""Published branches named as structures in a search space."""

import pytest

from eenas.branches.presets import PRESETS, msdnet, sdn
from eenas.designs.design import Design
from eenas.designs.domains import Categorical
from eenas.designs.encode import encode
from eenas.designs.resolve import resolve
from eenas.designs.space import Space
from eenas.errors import SpecError
from eenas.testing.stand_ins import stand_in_backbone
from eenas.training.own_code import load_own_code


def test_a_preset_is_drawn_by_its_name_and_asks_for_no_size(make_profile, branch_macs):
    space = Space(branches=2, branch={"structure": ["sdn", "eenet"], "width": [16, 32], "pool": ["avg", "max"]})
    load_own_code(space, trust_code=True)
    assert list(space.parameters()) == ["slot1.structure", "slot2.structure"]
    drawn = {"slot1.structure": "eenet", "slot2.structure": "sdn"}
    design = resolve(drawn, space, stand_in_backbone(make_profile(), branch_macs))
    assert [placed.branch for placed in design.branches] == [PRESETS["eenet"](), sdn()]
    assert encode(design, space, make_profile(), branch_macs=branch_macs) == drawn
    assert Design.from_json(design.to_json()) == design


def test_beside_a_family_the_sizes_are_the_familys(make_profile, branch_macs):
    space = Space(branches=1, branch={"structure": ["msdnet", "conv_fc"], "width": [16, 32], "depth": 0.0})
    assert isinstance(space.parameters()["slot1.width"], Categorical)
    found = {
        resolve(
            {"slot1.structure": "msdnet", "slot1.width": width},
            space,
            stand_in_backbone(make_profile(), lambda branch, shape: 1),
        )
        .branches[0]
        .branch
        for width in (16, 32)
    }
    assert found == {msdnet()}


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(SpecError, match=r"branch.structure.*'sdn'"):
        Space(branch={"structure": ["sdnn"]})
