"""The features of learned policies: scores, and agreement with earlier exits; the same alone as in a table."""

import numpy as np
import pytest

from eenas.policies.learned.features import (
    AGREEMENT,
    EXIT,
    FEATURES,
    PREVIOUS,
    SHARP,
    confidence_features,
    quick_features,
    table_features,
)
from eenas.policies.scores import score
from tests.policies.tables import random_table

TEMPERATURES = (0.7, 1.0, 1.6, 1.0)


def test_they_are_the_scores_and_what_earlier_exits_said():
    table = random_table(samples=60)
    found = table_features(table.logits, table.answers(), TEMPERATURES)
    assert found.shape == (60, 3, len(FEATURES))
    for k in range(3):
        for position, kind in enumerate(("max_softmax", "margin", "entropy")):
            np.testing.assert_allclose(
                found[:, k, position], score(table.logits[:, k], TEMPERATURES[k], kind), atol=1e-12
            )
        halved = score(table.logits[:, k], TEMPERATURES[k] / 2, "entropy")
        np.testing.assert_allclose(found[:, k, SHARP], halved, atol=1e-12)
        assert (found[:, k, EXIT] == k / 4).all()
    answers = table.answers()
    for n in range(60):
        assert found[n, 2, AGREEMENT] == sum(answers[n, j] == answers[n, 2] for j in range(2)) / 2
    assert np.array_equal(found[:, 2, PREVIOUS], found[:, 1, 0])
    assert (found[:, 0, [AGREEMENT, PREVIOUS]] == 0).all()


@pytest.mark.parametrize("classes", [2, 5, 100])
def test_a_sample_has_the_same_ones_alone_and_quickly(classes):
    logits = (np.random.default_rng(0).normal(size=(50, classes)) * 5).astype(np.float32)
    together = confidence_features(logits, 1.3, sharp=True)
    for n in range(50):
        assert np.array_equal(confidence_features(logits[n : n + 1], 1.3, sharp=True)[0], together[n])
        np.testing.assert_allclose(quick_features(logits[n], 1.3, sharp=True), together[n], atol=1e-12)
        np.testing.assert_allclose(quick_features(logits[n], 1.3, sharp=False), together[n, :3], atol=1e-12)


def test_rows_that_are_not_finite_have_zeros():
    logits = np.array([[np.nan, 0, 1], [np.inf, 0, 1], [30, 0, -3e38]], dtype=np.float32)
    found = confidence_features(logits, 1.0, sharp=True)
    assert (found[:2] == 0).all()
    for row in (logits[0], logits[1], np.tile(logits[0], 20), np.tile(logits[1], 20), -np.tile(logits[1], 20)):
        assert quick_features(row, 1.0, sharp=True) is None
    assert found[2, 0] == pytest.approx(1)
    assert confidence_features(logits[:0], 1.0, sharp=False).shape == (0, 3)
