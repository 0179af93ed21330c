"""The rule that ends hopeless trials."""

import numpy as np
import pytest

from eenas.policies.exit_table import ExitTable
from eenas.search.hopeless import STARTUP, HopelessRule, curve_hypervolume


def table(skill, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(4, size=400)
    logits = generator.normal(size=(400, 2, 4)).astype(np.float32)
    logits[np.arange(400), :, labels] += skill
    return ExitTable(logits=logits, labels=labels, exits=("a", "final"), macs=np.array([50.0, 100.0]))


def ask(rule, skill, progress=0.5, seed=0, method="joint"):
    value = curve_hypervolume(table(skill, seed), backbone_macs=100.0, score="max_softmax")
    return rule.is_hopeless(progress, value, method=method)


def test_more_skill_is_more_area():
    areas = [curve_hypervolume(table(skill), backbone_macs=100.0, score="max_softmax") for skill in (0, 1, 2, 4)]
    assert areas == sorted(areas)
    assert areas[0] < 0.1 * areas[-1]


def test_nobody_is_hopeless_before_there_are_others():
    rule = HopelessRule()
    assert not any(ask(rule, 0.0, seed=seed) for seed in range(STARTUP))


@pytest.mark.parametrize(("skill", "hopeless"), [(0.0, True), (2.0, False), (6.0, False)])
def test_far_below_the_others_is_hopeless(skill, hopeless):
    rule = HopelessRule()
    for seed in range(STARTUP):
        ask(rule, 2.0 + 0.1 * seed, seed=seed)
    assert ask(rule, skill, seed=9) is hopeless


def test_trials_are_compared_at_the_same_share_of_the_budget_only():
    rule = HopelessRule()
    for seed in range(STARTUP):
        ask(rule, 4.0, progress=0.75, seed=seed)
    assert not ask(rule, 0.0, progress=0.25)


def test_trials_are_compared_with_those_that_train_alike_only():
    rule = HopelessRule()
    for seed in range(STARTUP):
        ask(rule, 4.0, seed=seed)
    assert not ask(rule, 0.0, method="branch_wise")
    assert ask(rule, 0.0, seed=STARTUP)


def test_the_usual_rise_is_that_of_trials_that_ended():
    rule = HopelessRule()
    assert rule.rise(0.5, method="joint") is None
    for half, end in ((0.4, 0.5), (0.45, 0.6), (0.3, 0.32)):
        rule.add_end({0.26: half - 0.1, 0.51: half}, end, method="joint")
    assert rule.rise(0.5, method="joint") == pytest.approx(0.1)
    assert rule.rise(0.25, method="joint") == pytest.approx(0.2)
    assert rule.rise(0.5, method="two_stage") is None
    assert rule.rise(0.75, method="joint") is None
