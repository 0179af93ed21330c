"""Losses against the final exit, and the monotone loss against its definition."""

import numpy as np
import pytest
from hypothesis import given

from eenas.errors import PolicyError
from eenas.policies.curve import common_curve
from eenas.policies.kinds.signal_policy import leave
from eenas.policies.risk.losses import critical_limits, losses_of
from eenas.policies.scores import branch_scores
from tests.policies.tables import tables


def test_the_gap_counts_lost_answers_and_consistency_all_changes():
    answers, labels = np.array([[0, 1], [1, 1], [0, 1], [2, 0]]), np.array([1, 1, 0, 1])
    assert losses_of(answers, labels).tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]
    assert losses_of(answers, labels, "consistency").tolist() == [[1, 0], [0, 0], [1, 0], [1, 0]]
    own = answers[:, -1]
    np.testing.assert_array_equal(losses_of(answers, own), losses_of(answers, own, "consistency"))
    with pytest.raises(PolicyError, match=r"unknown loss 'gapp'; nearest: 'gap'"):
        losses_of(answers, labels, "gapp")


@given(tables(min_exits=2))
def test_the_critical_limit_is_the_highest_limit_with_a_loss(table):
    signals = branch_scores(table.logits, (1.0,) * table.num_exits)
    losses, limits = losses_of(table.answers(), table.labels), common_curve(table, (1.0,) * table.num_exits).thresholds
    at = np.stack([losses[np.arange(len(table)), leave(signals, np.full(signals.shape[1], x))] for x in limits])
    monotone = np.maximum.accumulate(at[::-1])[::-1]  # the largest loss at this limit or a higher one
    np.testing.assert_array_equal(critical_limits(signals, losses) >= limits[:, None], monotone)
