"""The branches that a space can place, against those that draws do place."""

import random

from eenas.branches.cascade import Cascade
from eenas.branches.fc import Fc
from eenas.branches.learned import Learned
from eenas.designs.domains import Categorical, IntRange
from eenas.designs.drawable import drawable_branches, has_cells
from eenas.designs.finding import Found
from eenas.designs.proposal import draw
from eenas.designs.resolve import resolve
from eenas.designs.space import Space, load_space
from eenas.errors import InfeasibleError
from eenas.testing.stand_ins import stand_in_backbone


def suggest(generator, name, domain):
    if isinstance(domain, Categorical):
        return generator.choice(domain.choices)
    if isinstance(domain, IntRange):
        return generator.choice(domain.values())
    return generator.uniform(domain.low, domain.high)


def test_whatever_is_drawn_was_listed(make_profile, branch_macs):
    table = load_space("default").to_table()
    table["placement"] = {"kind": ["uniform", "free"]}
    table["slot"] = {"1": {"structure": ["fc", "learned"]}}
    space, profile = Space.from_table(table), make_profile()
    listed = drawable_branches(space, profile, branch_macs)
    generator, placed = random.Random(0), set()

    def learner(branches):
        shape = profile.cut_points[0].shape
        found = (
            each if not each.branch.is_open else type(each)(each.cut_point, generator.choice(each.branch.forms(shape)))
            for each in branches
        )
        return Found(branches=tuple(found))

    for _ in range(300):
        try:
            design = resolve(
                draw(space, lambda name, domain: suggest(generator, name, domain)),
                space,
                stand_in_backbone(profile, branch_macs),
                learner=learner,
            )
        except InfeasibleError:
            continue
        for each in design.branches:
            inside = each.branch.branch if isinstance(each.branch, Cascade) else each.branch
            shape = profile.cut_points[profile.index(each.cut_point)].shape
            placed.add((inside, shape))
    assert len(placed) > 20
    assert placed <= set(listed)
    assert not any(branch.is_open or isinstance(branch, Learned | Cascade) for branch, _ in listed)
    assert (Fc(), profile.cut_points[0].shape) in listed


def test_cells_are_known_to_be_made_up():
    assert has_cells(load_space("default"))
    assert not has_cells(load_space("small"))
