"""The comparison of learned policies with one common threshold, as rows of text."""

from collections.abc import Sequence

from eenas.percent import percent
from eenas.policies.learned.comparison import PolicyComparison

POLICY_HEADS = ("policy", "fitted for", "MACs", "accuracy", "threshold", "difference, 95 %", "")
"""The heads of the columns: the budget and the spent MACs are shares of the plain backbone's."""


def policy_rows(comparisons: Sequence[PolicyComparison]) -> list[tuple[str, ...]]:
    """Return a row of POLICY_HEADS for each comparison; differences are points of accuracy."""
    return [
        (
            one.kind,
            percent(one.budget, 0),
            percent(one.macs_share),
            percent(one.accuracy),
            percent(one.threshold_accuracy),
            f"{100 * one.difference:+z.1f} ({100 * one.low:+z.1f} to {100 * one.high:+z.1f})",
            one.verdict,
        )
        for one in comparisons
    ]
