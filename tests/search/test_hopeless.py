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
    return rule.is_hopeless(progress, table(skill, seed), method=method, backbone_macs=100.0, score="max_softmax")


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
