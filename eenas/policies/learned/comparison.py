"""Learned policies against the best common threshold at equal MACs, with paired intervals."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from eenas.errors import PolicyError, plural
from eenas.escaping import shortened
from eenas.policies.bootstrap import advantage
from eenas.policies.costs import MACS, mean_cost
from eenas.policies.curve import common_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.signal_policy import leave
from eenas.policies.learned.learned_kinds import LEARNED
from eenas.policies.learned.selection import can_train, fit_learned
from eenas.policies.scores import branch_scores
from eenas.policies.temperatures import fit_temperatures

BUDGETS = (0.25, 0.5, 0.75)
"""The budgets of mean MACs, as shares of the plain backbone's."""


@dataclass(frozen=True, kw_only=True)
class PolicyComparison:
    """A learned kind against one common threshold on the same samples, at the same mean MACs.

    `budget` is the share of the plain backbone's MACs for which the kind was fitted on calibration, and `macs_share`
    the share that it spends here. `accuracy` and `threshold_accuracy` are those of both; `difference` is the first
    minus the second, and `low` and `high` are the ends of its 95 % interval (paired bootstrap). Raises PolicyError for
    values that are not numbers.
    """

    kind: str
    budget: float
    macs_share: float
    accuracy: float
    threshold_accuracy: float
    difference: float
    low: float
    high: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        shares = (self.budget, self.macs_share, self.accuracy, self.threshold_accuracy)
        numbers = (*shares, self.difference, self.low, self.high)
        if not all(math.isfinite(value) for value in numbers) or min(shares) < 0:
            raise PolicyError(f"a comparison of policies needs finite numbers, got {shortened(numbers)}")

    @property
    def verdict(self) -> str:
        """The conclusion from the interval: "won", "did not win" or "within noise"."""
        return "won" if self.low > 0 else "did not win" if self.high < 0 else "within noise"


def compare_learned(
    calibration: ExitTable,
    test: ExitTable,
    *,
    backbone_macs: float,
    kinds: Iterable[str] = tuple(LEARNED),
    budgets: Sequence[float] = BUDGETS,
    seed: int = 0,
) -> tuple[PolicyComparison, ...]:
    """Compare learned kinds, fitted on calibration, with one common threshold on the largest probability, on `test`.

    A kind takes part even if it does not win on held-out calibration samples. The threshold is the one whose mean MACs
    on the test samples are nearest to those that the kind spends there; this looks at no label. Budgets that no policy
    keeps are left out. Returns nothing for fewer than LEAST_SAMPLES calibration samples and for a network with one
    exit. Raises PolicyError for an unknown kind, and if the tables have different exits.
    """
    if calibration.exits != test.exits:
        raise PolicyError(f"both tables need the same exits, got {list(calibration.exits)} and {list(test.exits)}")
    names = tuple(kinds)
    if unknown := [kind for kind in names if kind not in LEARNED]:
        raise PolicyError(f"{shortened(unknown[0])} is not a learned kind of policy; known: {', '.join(LEARNED)}")
    if not can_train(calibration):
        return ()
    temperatures = tuple(fit_temperatures(calibration).tolist())
    curve, macs = common_curve(test, temperatures), test.costs[MACS]
    scores, correct, rows = branch_scores(test.logits, temperatures), test.correct(), np.arange(len(test))
    found = []
    for kind in names:
        candidates = fit_learned(kind, calibration, temperatures, seed=seed).candidates()
        for budget in budgets:
            policy = candidates.best({MACS: budget * backbone_macs})
            if not policy.within_budget:
                continue
            exits = policy.apply(test).exit_index
            spent = float(mean_cost(np.bincount(exits, minlength=test.num_exits), macs))
            nearest = int(np.abs(curve.costs[MACS] - spent).argmin())
            others = leave(scores, np.full(scores.shape[1], curve.thresholds[nearest]))
            one, other = correct[rows, exits], correct[rows, others]
            difference, low, high = advantage(one, other, test.weights)
            accuracy = float(curve.accuracy[nearest])
            found.append(
                PolicyComparison(
                    kind=kind,
                    budget=float(budget),
                    macs_share=spent / backbone_macs,
                    accuracy=accuracy + difference,
                    threshold_accuracy=accuracy,
                    difference=difference,
                    low=low,
                    high=high,
                )
            )
    return tuple(found)


def comparison_words(comparisons: Sequence[PolicyComparison]) -> str:
    """Return a sentence on how often learned policies won; empty without comparisons."""
    if not comparisons:
        return ""
    counts = {word: sum(one.verdict == word for one in comparisons) for word in ("won", "within noise", "did not win")}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    many = plural(len(comparisons), "comparison")
    return f"Learned policies against one common threshold at equal MACs: of {many}, {said} (95 %)."
