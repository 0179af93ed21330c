"""The objective of a choice of branches, the best choice by exhaustive search, and polishing by single flips."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TrainingError
from eenas.frozen.candidate_table import CandidateTable

THRESHOLDS: tuple[float, ...] = tuple(float(1 - 10 ** (-k / 8)) for k in range(1, 25))
"""The common thresholds that are tried: 0.25 to 0.999, closer together towards 1 where small differences matter."""
MOST_SUBSETS = 2**18
"""The largest number of choices that `SubsetObjective.exhaustive` accepts."""

Subset = tuple[int, ...]
_TOLERANCE = 1e-12


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The objective `value` J of a choice, with the `accuracy` in [0, 1] and the expected relative `cost` in it.

    A cost of 1 is the backbone's without branches. `threshold` is the common threshold with the highest J.
    """

    value: float
    accuracy: float
    cost: float
    threshold: float


class SubsetOutcome(NamedTuple):
    """The accuracy and the cost of a choice at each of T thresholds.

    `accuracy` float64 [T] is in [0, 1]; `cost` float64 [T] is the expected relative cost.
    """

    accuracy: NDArray[np.float64]
    cost: NDArray[np.float64]


class _RunningTotals(NamedTuple):
    """The running totals over the exits scored so far, in depth order.

    `reached` int64 [N] is the number of thresholds that a sample's highest confidence reaches: it has left at these.
    `right` and `spent` float64 [T] are, for each threshold, the number of samples that left with a correct prediction
    and the MACs of all that left; `heads` are the MACs of the branches so far.
    """

    reached: NDArray[np.int64]
    right: NDArray[np.float64]
    spent: NDArray[np.float64]
    heads: float


@dataclass(frozen=True, kw_only=True, eq=False)
class SubsetObjective:
    """The objective of placement, `J = accuracy_weight * accuracy - cost_weight * expected relative cost`.

    All placement is learned and compared by this J. A branch's confidence is its highest temperature-scaled
    probability. A sample leaves at the first chosen branch whose confidence reaches the common threshold and pays for
    every branch on the way. J is the highest over `thresholds` (rising). `temperatures` [O + 1] default to the table's
    own.

    A choice is a rising tuple of candidates, at most one per cut point. To evaluate a choice on another split, use the
    temperatures and the threshold that it was made with.
    """

    table: CandidateTable
    cost_weight: float
    accuracy_weight: float = 1.0
    thresholds: tuple[float, ...] = THRESHOLDS
    temperatures: NDArray[np.float64] | None = None

    @cached_property
    def _levels(self) -> NDArray[np.int64]:
        """The number of thresholds that each confidence reaches, [N, O]."""
        confidences = self.table.confidences(self.temperatures)
        return np.searchsorted(np.asarray(self.thresholds), confidences, side="right").astype(np.int64)

    def evaluate(self, chosen: Sequence[int]) -> Evaluation:
        """Evaluate the branches `chosen`; an empty choice is the backbone alone."""
        return self._evaluation(*self.outcome(chosen))

    def exhaustive(self, *, most: int | None = None, count: int = 0, least: int = 1) -> tuple[Subset, Evaluation]:
        """Return the best of all choices of `least` to `most` branches (of `count`, if above 0), and its evaluation.

        The first of equal choices wins. Choices with the same first branches share the cost of scoring these, so that
        2^14 choices on 5,000 samples take seconds. Raises TrainingError for more than MOST_SUBSETS choices.
        """
        if self.choices > MOST_SUBSETS:
            raise TrainingError(
                f"exhaustive search takes at most {MOST_SUBSETS:,} choices of branches, got {self.choices:,}"
            )
        low, high = self._bounds(most, count, least)
        best: tuple[Subset, Evaluation] | None = None
        for chosen, state in self._walk(low, high):
            evaluation = self._evaluation(*self._outcome(state))
            if best is None or evaluation.value > best[1].value + _TOLERANCE:
                best = chosen, evaluation
        assert best is not None
        return best

    @property
    def choices(self) -> int:
        """The number of choices of branches, including the empty one."""
        return prod(1 + len(group) for group in self.table.groups)

    def outcome(self, chosen: Sequence[int]) -> SubsetOutcome:
        """Return the accuracy and the expected relative cost of the branches `chosen` at every threshold."""
        state = self._start()
        for option in chosen:
            state = self._after(state, option)
        return self._outcome(state)

    def outcomes(self, *, most: int | None = None) -> Iterator[tuple[Subset, SubsetOutcome]]:
        """Yield every choice of at most `most` branches with its outcome. Common first branches are scored once."""
        for chosen, state in self._walk(*self._bounds(most, 0, 0)):
            yield chosen, self._outcome(state)

    def neighbours(self, chosen: Subset, *, most: int | None = None) -> Iterator[Subset]:
        """Return the choices one flip away: one branch less, one more, or another structure at its cut point."""
        return self._neighbours(chosen, *self._bounds(most, 0, 0))

    def _walk(self, low: int, high: int) -> Iterator[tuple[Subset, _RunningTotals]]:
        """Yield every choice of `low` to `high` branches. Common first branches are scored once."""
        groups = self.table.groups

        def visit(group: int, chosen: Subset, state: _RunningTotals) -> Iterator[tuple[Subset, _RunningTotals]]:
            if group == len(groups):
                yield chosen, state
                return
            if len(chosen) + len(groups) - group - 1 >= low:
                yield from visit(group + 1, chosen, state)
            if len(chosen) < high:
                for option in groups[group]:
                    yield from visit(group + 1, (*chosen, option), self._after(state, option))

        return visit(0, (), self._start())

    def single(self) -> Subset:
        """Return the best choice of one branch."""
        return max(
            ((option,) for group in self.table.groups for option in group), key=lambda one: self.evaluate(one).value
        )

    def polish(
        self, chosen: Sequence[int], *, most: int | None = None, count: int = 0, least: int = 1
    ) -> tuple[Subset, Evaluation, int]:
        """Apply the best single flip while J rises; return the final choice, its evaluation and the number of flips.

        A flip removes a branch, adds one, or replaces the structure at its cut point. If no branch can be added
        (`count`, `most`), a flip can also move one to another cut point.
        """
        low, high = self._bounds(most, count, least)
        current, flips = tuple(sorted(chosen)), 0
        evaluation = self.evaluate(current)
        while True:
            found = [(self.evaluate(other), other) for other in self._neighbours(current, low, high)]
            following = max(found, key=lambda pair: pair[0].value, default=None)
            if following is None or following[0].value <= evaluation.value + _TOLERANCE:
                return current, evaluation, flips
            (evaluation, current), flips = following, flips + 1

    def best(self, *, most: int | None = None, count: int = 0) -> tuple[Subset, Evaluation]:
        """Return the best choice and its evaluation.

        The search is exhaustive for few choices. Otherwise the choice grows branch by branch and is polished after
        each.
        """
        if self.choices <= 2**12:
            return self.exhaustive(most=most, count=count)
        low, high = self._bounds(most, count, 1)
        current: Subset = ()
        evaluation: Evaluation | None = None
        while len(current) < high:
            bigger = [other for other in self._neighbours(current, 0, high) if len(other) > len(current)]
            following, above, _ = self.polish(
                max(bigger, key=lambda each: self.evaluate(each).value), count=len(current) + 1
            )
            if evaluation is not None and len(current) >= low and above.value <= evaluation.value + _TOLERANCE:
                break
            current, evaluation = following, above
        assert evaluation is not None
        return current, evaluation

    def _bounds(self, most: int | None, count: int, least: int) -> tuple[int, int]:
        places = len(self.table.groups)
        high = min(places, most if most is not None else places)
        if count > high or least > high:
            raise TrainingError(f"the number of branches must be at most {high}, got {max(count, least)}; lower it")
        return (count, count) if count else (least, high)

    def _neighbours(self, chosen: Subset, low: int, high: int) -> Iterator[Subset]:
        places = {option: group for group in self.table.groups for option in group}
        free = [group for group in self.table.groups if not set(group) & set(chosen)]
        added = [option for group in free for option in group]
        for gone in chosen:
            rest = tuple(option for option in chosen if option != gone)
            if len(rest) >= low:
                yield rest
            others = [option for option in places[gone] if option != gone]
            if len(chosen) >= high:
                others += added
            for option in others:
                yield tuple(sorted((*rest, option)))
        if len(chosen) < high:
            for option in added:
                yield tuple(sorted((*chosen, option)))

    def _start(self) -> _RunningTotals:
        zeros = np.zeros(len(self.thresholds))
        return _RunningTotals(np.zeros(len(self.table), dtype=np.int64), zeros, zeros, 0.0)

    def _after(self, state: _RunningTotals, option: int) -> _RunningTotals:
        """Add one exit.

        A sample leaves here at the thresholds between its highest confidence so far and its confidence here.
        """
        levels = self._levels[:, option]
        heads = state.heads + float(self.table.branch_macs[option])
        movers = np.nonzero(levels > state.reached)[0]
        before, here = state.reached[movers], levels[movers]
        right = self.table.correct[movers, option]
        left = self._between(before, here)
        return _RunningTotals(
            np.maximum(state.reached, levels),
            state.right + self._between(before[right], here[right], self._weights_of(movers[right])),
            state.spent + left * (self.table.backbone_macs[option] + heads),
            heads,
        )

    def _weights_of(self, samples: NDArray[np.int64]) -> NDArray[np.float64] | None:
        return None if self.table.weights is None else self.table.weights[samples]

    def _between(
        self, first: NDArray[np.int64], stop: NDArray[np.int64], weights: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return, for each threshold, the number of samples with `first` <= threshold < `stop`, [T].

        With `weights` it is the sum of their weights.
        """
        size = len(self.thresholds) + 1
        change = np.bincount(first, weights, minlength=size) - np.bincount(stop, weights, minlength=size)
        return np.cumsum(change)[:-1].astype(np.float64)

    def _outcome(self, state: _RunningTotals) -> SubsetOutcome:
        """Let all remaining samples leave at the final exit."""
        size = len(self.thresholds) + 1
        reached = np.bincount(state.reached + size * self._final_correct, minlength=2 * size).reshape(2, size)
        wrong, right = np.cumsum(reached, axis=1)[:, :-1]
        spent = state.spent + (wrong + right) * (self.table.total_macs + state.heads)
        if (weights := self.table.weights) is not None:
            counted = np.bincount(state.reached, weights * self._final_correct, minlength=size)
            right = np.cumsum(counted)[:-1]
        samples = len(self.table)
        return SubsetOutcome((state.right + right) / samples, spent / (samples * self.table.total_macs))

    @cached_property
    def _final_correct(self) -> NDArray[np.int64]:
        return self.table.correct[:, -1].astype(np.int64)

    def _evaluation(self, accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> Evaluation:
        value = self.accuracy_weight * accuracy - self.cost_weight * cost
        at = int(np.argmax(value))
        return Evaluation(
            value=float(value[at]),
            accuracy=float(accuracy[at]),
            cost=float(cost[at]),
            threshold=float(self.thresholds[at]),
        )
