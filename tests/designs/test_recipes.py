"""The recipe for a budget, between its two ends and within what a space allows."""

import pytest

from eenas.designs.known import default_choices
from eenas.designs.recipes import ENDS, HIGH, LOW, recipe_for
from eenas.designs.space import Space, load_space

OPEN = {
    "strategy": "distillation",
    "backbone_rate": {"low": 0.1, "high": 1.0, "log": True},
    "final_weight": [1.0, 2.0, 4.0],
    "loss_weights": ["equal", "branchy", "boosted"],
}


@pytest.mark.parametrize(("target", "end"), [(LOW, 0), (LOW / 2, 0), (HIGH, 1), (1.0, 1)])
def test_each_end_is_taken_whole(target, end):
    recipe = recipe_for(Space(training=OPEN), target)
    assert {key: getattr(recipe, key) for key in ENDS} == {key: pytest.approx(ends[end]) for key, ends in ENDS.items()}


def test_numbers_move_between_the_ends():
    recipes = [recipe_for(Space(training=OPEN), target) for target in (0.25, 0.4, 0.5, 0.6, 0.75)]
    rates = [recipe.backbone_rate for recipe in recipes]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 5
    assert [recipe.final_weight for recipe in recipes] == [1.0, 2.0, 2.0, 2.0, 4.0]


@pytest.mark.parametrize("target", [0.25, 1.0])
def test_what_the_space_fixes_stays(target):
    fixed = {"strategy": "joint", "backbone_rate": 0.6, "final_weight": 8.0, "loss_weights": "linear"}
    recipe = recipe_for(Space(training=fixed), target)
    assert {key: getattr(recipe, key) for key in fixed} == fixed


@pytest.mark.parametrize("target", [0.25, 1.0])
def test_contradictions_are_taken_out(target):
    space = Space(training={**OPEN, "strategy": ["two_stage", "joint"], "loss_weights": ["boosted", "linear"]})
    assert recipe_for(space, target).loss_weights == "equal"


@pytest.mark.parametrize("name", ["cifar", "default"])
def test_the_shipped_spaces_let_a_study_draw_what_moves(name):
    space = load_space(name)
    assert {f"training.{key}" for key in ENDS} <= set(space.parameters())
    low, high = recipe_for(space, LOW), recipe_for(space, HIGH)
    assert low.backbone_rate > high.backbone_rate
    assert low.final_weight < high.final_weight
    assert high == default_choices(space)[0]
