"""Risk control: coverage over many resamplings, the expectation, the order of methods, and what cannot be certified."""

from dataclasses import replace

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.exit_table import ExitTable
from eenas.policies.operating_point import evaluate
from eenas.policies.risk.control import RiskLimit, controlled
from eenas.policies.risk.losses import losses_of
from eenas.policies.rule import Rule
from tests.policies.tables import deceptive_table, random_table

POPULATION = random_table(samples=10_000, exits=3, classes=4)
"""Draws from it with replacement are samples of a distribution whose risk is known exactly."""


def risk(policy):
    answer, final = policy.apply(POPULATION).answer, POPULATION.answers()[:, -1]
    lost = losses_of(np.stack([answer, final], axis=1), POPULATION.labels)
    return float(lost[:, 0].mean())


def drawn(seed, samples=400):
    return POPULATION.take(np.random.default_rng(seed).integers(len(POPULATION), size=samples))


def macs(policy):
    return evaluate(policy, POPULATION).expected["macs"]


def test_the_risk_exceeds_the_limit_in_at_most_5_percent_of_200_resamplings():
    limit = RiskLimit(max_risk=0.06, confidence=0.95)
    found = [controlled(drawn(seed), limit) for seed in range(200)]
    risks = np.array([risk(each.policy) for each in found])
    assert (risks > 0.06).mean() <= 0.05 + 0.015
    assert risks.mean() > 0.02  # the bound is used: the policies are not simply safe
    assert all(each.guarantee.certified and each.guarantee.samples == 320 for each in found)
    assert np.mean([macs(each.policy) for each in found]) < 0.97 * POPULATION.costs["macs"][-1]


def test_conformal_risk_control_holds_in_expectation():
    found = [controlled(drawn(seed, 200), RiskLimit(max_risk=0.05, confidence=None)) for seed in range(100)]
    risks = np.array([risk(each.policy) for each in found])
    assert 0.02 < risks.mean() <= 0.05 + 2 * risks.std() / np.sqrt(100)
    assert found[0].guarantee.sentence().startswith("In expectation, the answer is wrong where the final exit is right")


def test_a_weaker_demand_and_a_tighter_method_cost_no_more():
    table = drawn(0, 3000)
    strict = controlled(table, RiskLimit(max_risk=0.02))
    assert macs(controlled(table, RiskLimit(max_risk=0.05)).policy) < macs(strict.policy)
    assert macs(controlled(table, RiskLimit(max_risk=0.02, confidence=0.8)).policy) <= macs(strict.policy)
    assert macs(controlled(table, RiskLimit(max_risk=0.02, method="binomial")).policy) <= macs(strict.policy)
    assert macs(controlled(table, RiskLimit(max_risk=0.02, loss="consistency")).policy) >= macs(strict.policy)
    assert controlled(table, RiskLimit(max_risk=0.02, method="betting")).guarantee.method == "betting"
    assert controlled(table, RiskLimit(max_risk=0.02)) == strict  # deterministic


@pytest.mark.parametrize(
    "rule",
    [
        Rule(kind="patience"),
        Rule(kind="vote"),
        Rule(kind="patience_confidence"),
        Rule(score="margin", per_exit=True),
        Rule(final_rule="most_confident"),
        Rule(ensemble="geometric"),
    ],
    ids=lambda rule: f"{rule.kind}-{rule.final_rule}-{rule.ensemble}",
)
def test_every_kind_of_policy_is_certified(rule):
    found = controlled(drawn(1, 4000), RiskLimit(max_risk=0.2), rule)
    assert found.guarantee.certified
    safe = controlled(drawn(1, 4000), RiskLimit(max_risk=1e-3, confidence=0.5), rule).policy
    assert macs(found.policy) < POPULATION.costs["macs"][-1]
    answer, without = found.policy.apply(POPULATION).answer, safe.apply(POPULATION).answer
    assert ((answer != without) & (without == POPULATION.labels)).mean() <= 0.2


def test_a_learned_kind_is_certified_if_it_wins_and_gives_way_to_one_threshold_otherwise():
    limit, rule = RiskLimit(max_risk=0.1), Rule(kind="failure_prediction")
    assert controlled(drawn(3, 1000), limit, rule).policy.kind == "threshold"  # too few samples to train on
    table = deceptive_table(samples=8000)
    found = controlled(table, limit, rule)
    assert found.guarantee.certified
    assert found.policy.kind == "failure_prediction"
    assert evaluate(found.policy, table).expected["macs"] < 0.8 * table.costs["macs"][-1]
    common = controlled(table, limit).policy  # the most confident samples are the wrong ones
    assert evaluate(found.policy, table).expected["macs"] < 0.9 * evaluate(common, table).expected["macs"]


def test_a_loss_at_every_early_exit_certifies_nothing_and_says_so():
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=500)
    logits = np.zeros((500, 2, 3), dtype=np.float32)
    logits[np.arange(500), 0, (labels + 1) % 3] = 5 + generator.random(500)
    logits[np.arange(500), 1, labels] = 5
    table = ExitTable(logits=logits, labels=labels, exits=("a", "final"), costs=POPULATION.costs.first(2))
    found = controlled(table, RiskLimit(max_risk=0.01))
    assert not found.guarantee.certified
    assert found.tested == 2
    assert found.policy.thresholds == (None,)
    assert found.guarantee.sentence().startswith("No early exit could be certified")
    assert found.guarantee.sentence().endswith("No sample leaves early.")


def test_exits_without_losses_are_all_used_and_one_exit_needs_none():
    table = drawn(2, 2000)
    same = replace(table, logits=np.repeat(table.logits[:, -1:], 3, axis=1))
    found = controlled(same, RiskLimit(max_risk=0.01))
    assert found.policy.thresholds == (0.0, 0.0)
    one = controlled(table.truncate(1), RiskLimit(max_risk=0.01))
    assert one.guarantee.certified
    assert one.policy.num_exits == 1


def test_too_few_samples_and_wrong_values_are_refused_in_one_line():
    with pytest.raises(PolicyError, match=r"0.01 with 95 % confidence needs at least 374 calibration samples, got 300"):
        controlled(drawn(0, 300), RiskLimit(max_risk=0.01))
    controlled(drawn(0, 374), RiskLimit(max_risk=0.01))
    with pytest.raises(PolicyError, match=r"0.01 in expectation needs at least 124 calibration samples, got 100"):
        controlled(drawn(0, 100), RiskLimit(max_risk=0.01, confidence=None))
    for value in (0, 1, -0.1, float("nan"), "much", True):
        with pytest.raises(PolicyError, match=r"max_risk must be a number between 0 and 1, both excluded, got"):
            RiskLimit(max_risk=value)
    with pytest.raises(PolicyError, match=r"confidence must be .* got 95; 0.95 is 95 %"):
        RiskLimit(max_risk=0.1, confidence=95)
    with pytest.raises(PolicyError, match=r"unknown method 'hoefding'"):
        RiskLimit(max_risk=0.1, method="hoefding")


def test_balanced_accuracy_is_said_not_to_be_covered():
    found = controlled(replace(drawn(0, 1000), balanced=True), RiskLimit(max_risk=0.1)).guarantee
    assert found.balanced
    assert found.sentence().endswith("the balanced accuracy is not covered.")


def test_limits_below_what_numbers_hold_are_refused_and_tiny_ones_need_many_samples():
    for confidence in (0.95, None):
        with pytest.raises(PolicyError, match="must be a number between 0 and 1"):
            RiskLimit(max_risk=1e-320, confidence=confidence)
        assert RiskLimit(max_risk=1e-299, confidence=confidence).least() > 10**298
