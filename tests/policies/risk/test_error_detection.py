"""Confusion by hand, and areas under ROC curves against counting pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import PolicyError
from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.risk.error_detection import auroc, confusion, roc_curve
from tests.policies.tables import random_table


def test_confusion_is_the_distance_of_all_exits_from_the_final_one():
    logits = np.log(np.array([[[0.5, 0.5], [0.9, 0.1], [0.8, 0.2]], [[0.8, 0.2]] * 3]))
    table = ExitTable(logits=logits, labels=[0, 0], exits=("a", "b", "final"), costs=Costs.of(macs=[1, 2, 3]))
    np.testing.assert_allclose(confusion(table, [1, 1, 1]), [0.6 + 0.2, 0], atol=1e-6)
    assert confusion(random_table(exits=1), [1.0]).tolist() == [0.0] * 200


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=30))
def test_the_area_counts_pairs(samples):
    scores, wrong = np.array([s for s, _ in samples], dtype=float), np.array([w for _, w in samples])
    if wrong.all() or not wrong.any():
        with pytest.raises(PolicyError, match="some answers are wrong and some right, got"):
            auroc(scores, wrong)
        return
    pairs = [(a > b) + (a == b) / 2 for a in scores[wrong] for b in scores[~wrong]]
    assert auroc(scores, wrong) == pytest.approx(np.mean(pairs))
    alarms, hits = roc_curve(scores, wrong)
    assert (alarms[0], hits[0], alarms[-1], hits[-1]) == (0, 0, 1, 1)
    with pytest.raises(PolicyError, match="must be finite"):
        auroc(np.append(scores, np.nan), np.append(wrong, True))
