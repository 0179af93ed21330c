"""The harmonic mean of accuracy and earliness, and the policy with the highest one."""

import numpy as np
import pytest

from eenas.frozen.in_time.harmonic_mean import fit_harmonic_mean, harmonic_mean
from eenas.policies.costs import EARLINESS, KNOWN, MACS, CostFacts, Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.patience_confidence import PatienceConfidencePolicy
from eenas.policies.operating_point import evaluate

TIMES = np.array([0.1, 0.4, 1.0])


def table_of(right: list[float], n: int = 200) -> ExitTable:
    """A table whose exits are right for shares of the samples, and sure of it where they are right."""
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=n)
    logits = np.zeros((n, 3, 2), dtype=np.float32)
    for k, share in enumerate(right):
        correct = generator.random(n) < share
        strength = np.where(correct, 3.0, 0.5) + 0.1 * generator.random(n)
        answers = np.where(correct, labels, 1 - labels)
        logits[np.arange(n), k, answers] = strength
    facts = (KNOWN[MACS], CostFacts(name=EARLINESS, unit="of the series", provenance="made up"))
    return ExitTable(
        logits=logits, labels=labels, exits=("a", "b", "final"), costs=Costs(facts, np.array([TIMES * 10, TIMES]))
    )


def test_the_harmonic_mean_is_that_of_its_definition() -> None:
    assert harmonic_mean(0.8, 0.2) == pytest.approx(0.8)
    np.testing.assert_allclose(harmonic_mean(np.array([1.0, 0.5, 0.0]), np.array([0.5, 0.0, 1.0])), [2 / 3, 2 / 3, 0])


def test_the_policy_has_the_highest_harmonic_mean_of_all_thresholds_and_patiences() -> None:
    table = table_of([0.6, 0.9, 0.95])
    found = evaluate(fit_harmonic_mean(table), table)
    best = float(harmonic_mean(found.accuracy, found.expected[EARLINESS]))
    for patience in (1, 2):
        for threshold in (*np.linspace(0, 1, 101), None):
            policy = PatienceConfidencePolicy(
                score="max_softmax", temperatures=(1.0,) * 3, threshold=threshold, patience=patience
            )
            other = evaluate(policy, table)
            assert best >= float(harmonic_mean(other.accuracy, other.expected[EARLINESS])) - 1e-9
    assert 0 < found.shares[0] < 1


def test_where_the_first_exit_is_always_right_all_answer_there() -> None:
    policy = fit_harmonic_mean(table_of([1.0, 1.0, 1.0]))
    assert policy.last_reachable == 0
