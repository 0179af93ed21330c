"""Accuracies under distortions against counting by hand, and their place in operating points."""

from dataclasses import replace

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.contexts.context_scores import BINS, beside_backbone, calibration_error, scores_in
from eenas.policies.contexts.robustness import (
    DISTORTED,
    WORST_DISTORTED,
    accuracies_under,
    context_accuracy,
    kind_of_context,
    robustness,
)
from eenas.policies.fit import fit
from eenas.policies.kinds.threshold import ONE_EXIT
from eenas.policies.operating_point import OperatingPoint, evaluate, with_robustness
from tests.policies.tables import random_table

CONTEXTS = np.array(["blur:1"] * 50 + ["blur:5"] * 10 + ["noise:1"] * 100 + ["clean"] * 40)


def distorted(**more):
    return replace(random_table(**more), contexts=CONTEXTS)


def test_each_context_counts_the_same_and_the_worst_is_a_kind():
    right = np.zeros(200, dtype=bool)
    right[:25] = right[50:60] = right[60:70] = right[160:190] = True
    found = accuracies_under(right, distorted())
    assert dict(context_accuracy(right, distorted())) == {"blur:1": 0.5, "blur:5": 1.0, "clean": 0.75, "noise:1": 0.1}
    assert found[DISTORTED] == pytest.approx((0.5 + 1.0 + 0.1 + 0.75) / 4)
    assert found[WORST_DISTORTED] == pytest.approx(0.1)
    assert [kind_of_context(name) for name in ("a:b:3", "clean")] == ["a:b", "clean"]


def test_balanced_accuracy_is_balanced_within_a_context():
    table = replace(distorted(), balanced=True)
    right = table.labels == table.labels[0]
    found = context_accuracy(right, table)
    for name, accuracy in found.items():
        assert accuracy == pytest.approx(1 / len(set(table.labels[name == CONTEXTS].tolist())))


def test_a_table_needs_contexts():
    with pytest.raises(PolicyError, match="needs an exit table with contexts"):
        robustness(fit(random_table()), random_table())


def test_an_operating_point_keeps_them_and_older_points_have_none():
    table = distorted()
    policy = fit(random_table(seed=1))
    point = evaluate(policy, random_table(seed=2))
    assert dict(point.robustness) == {}
    assert not any("distorted" in key for key in point.to_table())
    assert OperatingPoint.from_table(point.to_table()) == point
    found = with_robustness(point, table)
    right = policy.apply(table).answer == table.labels
    assert dict(found.robustness) == dict(accuracies_under(right, table))
    again = OperatingPoint.from_table(found.to_table())
    assert again == found
    assert list(again.expected) == list(point.expected)
    assert with_robustness(point, None) is point
    with pytest.raises(PolicyError, match="must be numbers"):
        replace(point, robustness={DISTORTED: "high"})


def test_the_scores_of_a_context_are_those_of_counting():
    table = random_table(samples=120)
    policy = fit(random_table(seed=3), within={"macs": table.costs["macs"][2]})
    found = scores_in("blur:1", policy, table, (1.0,) * 4)
    taken, right = policy.apply(table), table.correct()
    assert found.samples == 120
    assert found.accuracy == pytest.approx((taken.answer == table.labels).mean())
    assert found.macs == pytest.approx(table.costs["macs"][taken.exit_index].mean())
    assert found.shares == pytest.approx([(taken.exit_index == k).mean() for k in range(4)])
    assert found.exit_accuracy == pytest.approx(right.mean(axis=0))
    early = [any(row[:-1]) for row in right]
    assert found.wasteful == pytest.approx(np.mean([a and b for a, b in zip(early, right[:, -1], strict=True)]))
    assert found.destructive == pytest.approx(np.mean([a and not b for a, b in zip(early, right[:, -1], strict=True)]))
    assert found.backbone_accuracy is None
    plain = scores_in("blur:1", ONE_EXIT, table.truncate(1), (2.0,))
    (beside,) = beside_backbone([found], {"blur:1": plain})
    assert beside.backbone_accuracy == plain.exit_accuracy[0]
    assert beside.backbone_calibration_error == plain.calibration_error[0]
    assert beside_backbone([found], {}) == (found,)


def test_the_calibration_error_is_the_gap_of_each_bin_weighted_by_its_samples():
    generator = np.random.default_rng(0)
    confidence, right = generator.uniform(size=300), generator.random(300) < 0.6
    total = 0.0
    for number in range(BINS):
        inside = (confidence > number / BINS) & (confidence <= (number + 1) / BINS)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert calibration_error(confidence, right) == pytest.approx(total)
    assert calibration_error(np.ones(10), np.ones(10, dtype=bool)) == 0.0
