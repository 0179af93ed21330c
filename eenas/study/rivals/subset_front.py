"""The front of the frozen regime: the best choices of trained branches and thresholds, without training a network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eenas.fronts.dominance import pareto_mask
from eenas.fronts.hypervolume import REFERENCE_COST, hypervolume, most_added
from eenas.frozen.subsets import Subset, SubsetObjective, SubsetOutcome

EXACT = 2**16
"""Up to so many choices every one is scored; a beam is searched among more."""
BEAM = 16
"""Choices of each number of branches that a beam goes on with."""
ROUNDS = 4
"""Rounds of single flips after the beam, unless one gains nothing before."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SubsetFront:
    """What no other scored choice beats on the table of the judge, from the cheapest point to the most accurate.

    Point i is choice `subsets[of[i]]` at threshold `thresholds[i]`, with `accuracy[i]` in [0, 1] and expected relative
    cost `cost[i]`. `scored` counts the choices that were tried, each at every threshold; `method` says how they were
    chosen.
    """

    subsets: tuple[Subset, ...]
    of: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    cost: NDArray[np.float64]
    scored: int
    method: str

    def area(self, chance: float) -> float:
        """The hypervolume to (1.1, `chance`)."""
        return _area(self.accuracy, self.cost, chance)


def find_front(objective: SubsetObjective, *, most: int | None = None) -> SubsetFront:
    """The front over choices of at most `most` branches.

    Where there are at most EXACT choices it is exact for the judge's thresholds, by enumerating all with common
    beginnings scored once. Otherwise a beam grows choices branch by branch, keeping the BEAM of each size with the
    largest hypervolume of their own curves, and the choices on the front are then flipped one branch at a time while
    the front gains.
    """
    if objective.choices <= EXACT:
        return _exact(objective, most)
    return _beam(objective, most)


def pick(objective: SubsetObjective, subsets: Sequence[Subset], count: int, chance: float) -> tuple[Subset, ...]:
    """Up to `count` of `subsets`, each the one that adds most hypervolume to those before it; fewer when none does."""
    outcomes = [objective.outcome(subset) for subset in subsets]
    curves = [(outcome.accuracy, outcome.cost) for outcome in outcomes]
    taken = most_added(curves, count, reference_cost=REFERENCE_COST, reference_accuracy=chance)
    return tuple(subsets[index] for index in taken)


def _area(accuracy: NDArray[np.float64], cost: NDArray[np.float64], chance: float) -> float:
    return hypervolume(accuracy, cost, reference_cost=REFERENCE_COST, reference_accuracy=chance)


@dataclass
class _Best:
    """The front of everything that was added, reduced whenever much has come."""

    thresholds: NDArray[np.float64]
    seen: set[Subset] = field(default_factory=set)
    pending: list[tuple[Subset, SubsetOutcome]] = field(default_factory=list)
    subsets: list[Subset] = field(default_factory=list)
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    """Of the front's points: accuracy, cost, threshold and the index of the choice."""

    def add(self, subset: Subset, outcome: SubsetOutcome) -> None:
        self.seen.add(subset)
        self.pending.append((subset, outcome))
        if len(self.pending) >= 4096:
            self.reduce()

    def reduce(self) -> None:
        start = len(self.subsets)
        self.subsets += [subset for subset, _ in self.pending]
        new = [
            np.stack([o.accuracy, o.cost, self.thresholds, np.full(len(self.thresholds), start + i)], axis=1)
            for i, (_, o) in enumerate(self.pending)
        ]
        self.pending.clear()
        values = np.concatenate([self.values, *new])
        order = np.lexsort((values[:, 3], values[:, 1], -values[:, 0]))  # of equals the first that was tried
        values = values[order]
        values = values[np.append(True, (np.diff(values[:, :2], axis=0) != 0).any(axis=1))[: len(values)]]
        values = values[pareto_mask(values[:, :2], (True, False))]
        used, index = np.unique(values[:, 3].astype(np.int64), return_inverse=True)
        self.subsets = [self.subsets[i] for i in used]
        self.values = np.column_stack([values[:, :3], index])

    def front(self, method: str) -> SubsetFront:
        self.reduce()
        values = self.values[np.argsort(self.values[:, 1], kind="stable")]
        return SubsetFront(
            subsets=tuple(self.subsets),
            of=values[:, 3].astype(np.int64),
            thresholds=values[:, 2].copy(),
            accuracy=values[:, 0].copy(),
            cost=values[:, 1].copy(),
            scored=len(self.seen),
            method=method,
        )


def _exact(objective: SubsetObjective, most: int | None) -> SubsetFront:
    best = _Best(np.asarray(objective.thresholds))
    for subset, outcome in objective.outcomes(most=most):
        best.add(subset, outcome)
    return best.front(f"all {len(best.seen):,} choices")


def _beam(objective: SubsetObjective, most: int | None) -> SubsetFront:
    best = _Best(np.asarray(objective.thresholds))
    chance = 1.0 / objective.table.logits.shape[2]

    def score(subsets: Iterator[Subset]) -> list[tuple[float, Subset]]:
        found = []
        for subset in subsets:
            if subset not in best.seen:
                outcome = objective.outcome(subset)
                best.add(subset, outcome)
                found.append((_area(*outcome, chance), subset))
        return found

    beam: list[Subset] = [()]
    score(iter(beam))
    while beam:
        larger = (
            other for subset in beam for other in objective.neighbours(subset, most=most) if len(other) > len(subset)
        )
        beam = [subset for _, subset in sorted(score(larger), reverse=True)[:BEAM]]
    area = 0.0
    for _ in range(ROUNDS):
        best.reduce()
        if (now := _area(best.values[:, 0], best.values[:, 1], chance)) <= area + 1e-6:
            break
        area = now
        score(other for subset in tuple(best.subsets) for other in objective.neighbours(subset, most=most))
    return best.front(f"a beam of {BEAM} and single flips, {len(best.seen):,} of {objective.choices:,} choices")
