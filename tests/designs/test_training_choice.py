"""Training choices: what contradicts itself is refused, what has no effect does not count."""

from dataclasses import asdict
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.designs.design import Design
from eenas.designs.training_choice import (
    Hybrid,
    LossWeights,
    Strategy,
    Teacher,
    TrainingChoice,
    contradiction_of,
    unused_keys,
    without_contradiction,
)
from eenas.errors import DesignError
from eenas.specs import from_table, to_table

VALUES = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(get_args(Strategy)),
        "hybrid": st.sampled_from(get_args(Hybrid)),
        "teacher": st.sampled_from(get_args(Teacher)),
        "loss_weights": st.sampled_from(get_args(LossWeights)),
        "distillation_weight": st.sampled_from([0.0, 0.3, 1.0]),
        "distillation_temperature": st.sampled_from([1.0, 4.0]),
        "final_weight": st.sampled_from([1.0, 2.0]),
        "gradient_equilibrium": st.booleans(),
        "backbone_rate": st.sampled_from([0.0, 0.3, 1.0]),
        "weight_average": st.sampled_from([0.0, 0.99]),
        "patience": st.integers(0, 2),
    }
)


def choices() -> st.SearchStrategy[TrainingChoice]:
    return VALUES.map(lambda values: TrainingChoice(**without_contradiction(values)[0]))


@given(choice=choices(), branches=st.integers(0, 3))
def test_canonical_once_is_canonical_for_ever(choice, branches):
    canonical = choice.canonical(branches)
    assert canonical.canonical(branches) == canonical
    assert from_table(TrainingChoice, to_table(canonical)) == canonical


@given(choice=choices(), branches=st.integers(1, 3), other=choices())
def test_unused_keys_have_no_effect(choice, branches, other):
    values = asdict(choice)
    for key in unused_keys(choice.strategy, choice.hybrid):
        if key != "backbone_rate" or choice.loss_weights != "boosted":
            values[key] = getattr(other, key)
    assert TrainingChoice(**values).canonical(branches) == choice.canonical(branches)


@given(values=VALUES)
def test_drawn_contradictions_become_choices(values):
    found, line = without_contradiction(values)
    TrainingChoice(**found)
    assert (line is None) == (found == values)
    if line is not None:
        assert found == {**values, "loss_weights": "equal"}
        with pytest.raises(DesignError, match="boosted"):
            TrainingChoice(**values)


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({"strategy": "distillation", "distillation_weight": 0.0}, {"strategy": "joint"}),
        ({"strategy": "joint", "backbone_rate": 0.0, "final_weight": 2.0}, {"strategy": "two_stage"}),
        (
            {"strategy": "distillation", "backbone_rate": 0.0},
            {"strategy": "hybrid", "hybrid": "two_stage_distillation"},
        ),
        ({"strategy": "hybrid", "hybrid": "mixed", "backbone_rate": 0.0}, {"strategy": "two_stage"}),
        (
            {"strategy": "hybrid", "hybrid": "two_stage_distillation", "distillation_weight": 0.0},
            {"strategy": "two_stage"},
        ),
        ({"strategy": "branch_wise", "loss_weights": "linear"}, {"strategy": "branch_wise"}),
        ({"loss_weights": "uncertainty", "final_weight": 3.0}, {"loss_weights": "uncertainty"}),
        (
            {"strategy": "joint", "teacher": "final", "distillation_temperature": 9.0, "hybrid": "alternating"},
            {"strategy": "joint"},
        ),
    ],
)
def test_two_ways_to_say_one_training(given, same):
    assert TrainingChoice(**given).canonical(2) == TrainingChoice(**same)


def test_what_has_an_effect_stays():
    for values in (
        {"strategy": "branch_wise", "loss_weights": "boosted"},
        {"strategy": "two_stage", "loss_weights": "linear"},
        {"strategy": "hybrid", "hybrid": "two_stage_joint", "backbone_rate": 0.0},
        {"weight_average": 0.9, "patience": 3},
    ):
        assert TrainingChoice(**values).canonical(2) == TrainingChoice(**values)


def test_one_exit_is_trained_alike_by_every_strategy():
    for strategy in get_args(Strategy):
        choice = TrainingChoice(strategy=strategy, teacher="final", learning_rate=0.3)
        assert choice.canonical(0) == TrainingChoice(strategy="joint", learning_rate=0.3)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"strategy": "join"}, "training.strategy: unknown value 'join'; nearest: 'joint'"),
        ({"hybrid": "mix"}, "training.hybrid: unknown value"),
        ({"teacher": "me"}, "training.teacher: unknown value"),
        ({"distillation_temperature": 0}, "distillation_temperature must be above 0"),
        ({"distillation_weight": 1.5}, r"distillation_weight must be in \[0, 1\], got 1.5"),
        ({"final_weight": 0}, "final_weight must be above 0"),
        ({"weight_average": 1}, r"weight_average must be in \[0, 1\)"),
        ({"patience": -1}, "patience must be a whole number of at least 0, got -1"),
        ({"patience": 1.5}, "patience must be a whole number"),
        ({"loss_weights": "boosted", "strategy": "two_stage"}, "training.strategy = 'two_stage' does not allow; set"),
        ({"loss_weights": "boosted", "strategy": "hybrid"}, "training.hybrid = 'mixed' does not allow"),
        ({"loss_weights": "boosted", "backbone_rate": 0}, "backbone_rate = 0 freezes it; set backbone_rate above 0"),
    ],
)
def test_errors_name_key_and_fix(values, text):
    with pytest.raises(DesignError, match=text):
        TrainingChoice(**values)


def test_contradictions_without_a_choice():
    assert contradiction_of(strategy="joint", hybrid="mixed", loss_weights="boosted", frozen=False) is None
    assert contradiction_of(strategy="two_stage", hybrid="mixed", loss_weights="linear", frozen=True) is None


def test_a_design_without_the_new_keys_is_read():
    table = {"backbone": "a", "num_classes": 2, "input_size": 8, "training": {"strategy": "joint"}}
    assert Design.from_table(table).training == TrainingChoice(strategy="joint")
