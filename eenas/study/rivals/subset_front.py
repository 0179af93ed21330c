"""The frozen front: the best choices of trained branches and thresholds, without training a network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eenas.fronts.dominance import pareto_mask
from eenas.fronts.hypervolume import REFERENCE_COST, hypervolume, most_added
from eenas.frozen.subsets import Subset, SubsetObjective, SubsetOutcome

EXACT = 2**16
"""The largest number of choices for an exhaustive search; above it a beam search is used."""
BEAM = 16
"""The width of the beam: the choices kept for each number of branches."""
ROUNDS = 4
"""The largest number of rounds of single flips after the beam search. They stop once a round gains nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SubsetFront:
    """The Pareto front of all scored choices on the table of the objective, from the cheapest to the most accurate.

    Point i is choice `subsets[of[i]]` at threshold `thresholds[i]`, with `accuracy[i]` in [0, 1] and expected relative
    cost `cost[i]`. `scored` counts the choices scored, each at every threshold. `method` describes the search.
    """

    subsets: tuple[Subset, ...]
    of: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    cost: NDArray[np.float64]
    scored: int
    method: str

    def area(self, chance: float) -> float:
        """Return the hypervolume from the reference point (1.1, `chance`)."""
        return _area(self.accuracy, self.cost, chance)


def find_front(objective: SubsetObjective, *, most: int | None = None) -> SubsetFront:
    """Return the front over choices of at most `most` branches.

    With at most EXACT choices it is exact for the thresholds of the objective: all choices are enumerated. Otherwise a
    beam search adds branches one by one and keeps, for each size, the BEAM choices with the largest hypervolume of
    their curves. The choices on the front are then flipped one branch at a time while the front improves.
    """
    if objective.choices <= EXACT:
        return _exact(objective, most)
    return _beam(objective, most)


def pick(objective: SubsetObjective, subsets: Sequence[Subset], count: int, chance: float) -> tuple[Subset, ...]:
    """Return up to `count` of `subsets`: each adds most hypervolume to those before it. Fewer if none adds any."""
    outcomes = [objective.outcome(subset) for subset in subsets]
    curves = [(outcome.accuracy, outcome.cost) for outcome in outcomes]
    taken = most_added(curves, count, reference_cost=REFERENCE_COST, reference_accuracy=chance)
    return tuple(subsets[index] for index in taken)


def _area(accuracy: NDArray[np.float64], cost: NDArray[np.float64], chance: float) -> float:
    return hypervolume(accuracy, cost, reference_cost=REFERENCE_COST, reference_accuracy=chance)


@dataclass
class _RunningFront:
    """The front of all choices added so far. Pending choices are merged into it in blocks."""

    thresholds: NDArray[np.float64]
    seen: set[Subset] = field(default_factory=set)
    pending: list[tuple[Subset, SubsetOutcome]] = field(default_factory=list)
    subsets: list[Subset] = field(default_factory=list)
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    """Accuracy, cost, threshold and index of the choice of each point of the front, [M, 4]."""

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
        order = np.lexsort((values[:, 3], values[:, 1], -values[:, 0]))  # ties go to the choice scored first
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
    best = _RunningFront(np.asarray(objective.thresholds))
    for subset, outcome in objective.outcomes(most=most):
        best.add(subset, outcome)
    return best.front(f"all {len(best.seen):,} choices")


def _beam(objective: SubsetObjective, most: int | None) -> SubsetFront:
    best = _RunningFront(np.asarray(objective.thresholds))
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
