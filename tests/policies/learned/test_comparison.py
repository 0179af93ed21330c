"""Learned policies against one common threshold: at equal MACs, paired, and said in words."""

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.costs import MACS
from eenas.policies.fit import Fitting
from eenas.policies.learned.comparison import PolicyComparison, compare_learned, comparison_words
from eenas.policies.learned.selection import LEAST_SAMPLES
from eenas.policies.operating_point import evaluate
from tests.policies.tables import deceptive_table, random_table

VALUES = {"kind": "jei_dnn", "budget": 0.5, "macs_share": 0.5, "accuracy": 0.8, "threshold_accuracy": 0.7}
QUICK = ("backward_regression", "jei_dnn", "learned_to_exit")


def test_both_spend_the_same_and_the_winner_is_named():
    calibration, test = deceptive_table(), deceptive_table(seed=1)
    found = compare_learned(calibration, test, backbone_macs=3.0, kinds=QUICK, budgets=(0.2, 0.6))
    assert [(one.kind, one.budget) for one in found] == [(kind, 0.6) for kind in QUICK]  # nobody keeps 0.2
    curve = [evaluate(point.policy, test) for point in Fitting(test).operating_points(test, limit=500)]
    for one in found:
        assert one.verdict == "won"
        assert one.low < one.difference < one.high
        assert one.difference == pytest.approx(one.accuracy - one.threshold_accuracy)
        assert one.macs_share <= 0.65
        best = max(point.accuracy for point in curve if point.expected[MACS] <= 3.0 * one.macs_share)
        assert one.threshold_accuracy <= best + 1e-9
    assert "of 3 comparisons, 3 won (95 %)" in comparison_words(found)


def test_it_repeats_itself_and_says_where_nothing_is_won():
    calibration, test = random_table(samples=500, seed=1), random_table(samples=2000, seed=2)
    macs = float(test.costs[MACS][-1])
    found = compare_learned(calibration, test, backbone_macs=macs, kinds=["learned_to_exit"], budgets=(0.7, 0.9))
    again = compare_learned(calibration, test, backbone_macs=macs, kinds=["learned_to_exit"], budgets=(0.7, 0.9))
    assert found == again
    assert len(found) == 2
    assert {one.verdict for one in found} <= {"within noise", "did not win"}


def test_balanced_accuracies_are_compared_with_weights():
    from dataclasses import replace

    calibration, test = (replace(deceptive_table(seed=seed), balanced=True) for seed in (0, 1))
    (one,) = compare_learned(calibration, test, backbone_macs=3.0, kinds=["jei_dnn"], budgets=(0.6,))
    assert one.verdict == "won"
    assert one.low < one.difference < one.high


def test_words_follow_the_interval():
    one = {**VALUES, "difference": 0.1}
    assert PolicyComparison(**one, low=0.01, high=0.2).verdict == "won"
    assert PolicyComparison(**one, low=-0.01, high=0.2).verdict == "within noise"
    assert PolicyComparison(**one, low=-0.3, high=-0.1).verdict == "did not win"
    lost = PolicyComparison(**one, low=-0.3, high=-0.1)
    assert "of 2 comparisons, 2 did not win" in comparison_words([lost, lost])
    assert comparison_words(()) == ""
    with pytest.raises(PolicyError, match="finite numbers"):
        PolicyComparison(**one, low=np.nan, high=0.2)


def test_what_cannot_be_compared():
    few, test = deceptive_table(samples=LEAST_SAMPLES - 1), deceptive_table()
    assert compare_learned(few, test, backbone_macs=3.0) == ()
    one = random_table(samples=500, exits=1)
    assert compare_learned(one, one, backbone_macs=1.0) == ()
    with pytest.raises(PolicyError, match="need the same exits"):
        compare_learned(test, random_table(), backbone_macs=3.0)
    with pytest.raises(PolicyError, match="'luck' is not a learned kind of policy; known: policy_gradient"):
        compare_learned(test, test, backbone_macs=3.0, kinds=["luck"])
