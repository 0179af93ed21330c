"""Every strategy keeps the contract, with each option beside it; broken phases are named."""

from dataclasses import replace

import pytest

from eenas.designs.training_choice import TrainingChoice
from eenas.testing.strategy_contract import check_phases, check_strategy
from eenas.training.strategies import STRATEGIES, Phase, phases

RATES = {"learning_rate": 0.05, "backbone_rate": 0.5}
CHOICES = {
    "joint": {"strategy": "joint"},
    "joint, boosted": {"strategy": "joint", "loss_weights": "boosted"},
    "joint, uncertainty": {"strategy": "joint", "loss_weights": "uncertainty"},
    "joint, frozen": {"strategy": "joint", "backbone_rate": 0.0},
    "branch_wise": {"strategy": "branch_wise"},
    "branch_wise, boosted": {"strategy": "branch_wise", "loss_weights": "boosted"},
    "branch_wise, frozen": {"strategy": "branch_wise", "backbone_rate": 0.0},
    "two_stage": {"strategy": "two_stage"},
    "two_stage, averaged": {"strategy": "two_stage", "weight_average": 0.9},
    "distillation, final": {"strategy": "distillation", "teacher": "final"},
    "distillation, backbone": {"strategy": "distillation", "weight_average": 0.9, "gradient_equilibrium": True},
    "mixed": {"strategy": "hybrid", "hybrid": "mixed", "weight_average": 0.9},
    "two_stage_joint": {"strategy": "hybrid", "hybrid": "two_stage_joint"},
    "two_stage_distillation": {"strategy": "hybrid", "hybrid": "two_stage_distillation"},
    "joint_distillation": {"strategy": "hybrid", "hybrid": "joint_distillation"},
    "joint_distillation, frozen": {"strategy": "hybrid", "hybrid": "joint_distillation", "backbone_rate": 0.0},
    "alternating": {"strategy": "hybrid", "hybrid": "alternating", "optimizer": "adamw", "learning_rate": 0.005},
    "two_stage_joint, patience": {"strategy": "hybrid", "hybrid": "two_stage_joint", "patience": 1},
}


@pytest.mark.parametrize("name", CHOICES)
def test_each_strategy_keeps_the_contract(name, tmp_path):
    check_strategy(TrainingChoice(**{**RATES, **CHOICES[name]}), tmp_path)


def test_every_strategy_is_among_them():
    assert {TrainingChoice(**values).method for values in CHOICES.values()} == set(STRATEGIES)


@pytest.mark.parametrize("num_exits", [1, 2, 7])
@pytest.mark.parametrize("rate", [1.0, 0.0])
@pytest.mark.parametrize("method", tuple(STRATEGIES))
def test_phases_for_any_number_of_exits(method, rate, num_exits):
    values = {"strategy": method} if method in ("joint", "branch_wise", "two_stage", "distillation") else {}
    choice = TrainingChoice(**(values or {"strategy": "hybrid", "hybrid": method}), backbone_rate=rate)
    check_phases(phases(choice, num_exits), num_exits)


GOOD = Phase(name="joint", share=1.0, trains="all", exits=(0, 1))


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ((), "needs a phase"),
        ((replace(GOOD, share=0.5),), "sum to 1"),
        ((GOOD, replace(GOOD, share=0.0)), "needs a share"),
        ((replace(GOOD, exits=()),), "an exit with a loss"),
        ((replace(GOOD, exits=(1, 0)),), "must increase"),
        ((replace(GOOD, exits=(0, 2)),), "within 0 to 1"),
        ((replace(GOOD, rate=0.0),), "above 0"),
        ((replace(GOOD, trains="part", part=1, exits=(0,)),), "its own exit"),
        ((replace(GOOD, trains="branches"),), r"no trained parameters; leave 1 out of `exits`, or train the backb"),
        ((replace(GOOD, trains="backbone", exits=(1,)),), r"\[0\] are never trained"),
    ],
)
def test_broken_phases_are_named(broken, text):
    with pytest.raises(AssertionError, match=text):
        check_phases(broken, 2)
