"""What a choice of branches is worth, the best choice by trying every one, and a choice polished by single flips."""

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
"""The common thresholds that are tried, 0.25 to 0.999, closer together towards 1 where they matter."""
MOST_SUBSETS = 2**18
"""More choices than these are not enumerated."""

Subset = tuple[int, ...]
_GAIN = 1e-12


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What a choice is worth: `value` J, the `accuracy` in [0, 1] and the expected relative `cost` it is made of.

    A cost of 1 is that of the backbone without branches; `threshold` is the common one at which J is highest.
    """

    value: float
    accuracy: float
    cost: float
    threshold: float


class Outcome(NamedTuple):
    """`accuracy` float64 [T] in [0, 1] and expected relative `cost` float64 [T] of a choice at each threshold."""

    accuracy: NDArray[np.float64]
    cost: NDArray[np.float64]


class _Prefix(NamedTuple):
    """Exits that were decided, in depth order. `reached` int64 [N]: how many thresholds a sample's best score reaches,
    which are those it left at; `right` and `spent` float64 [T]: samples that left rightly and their MACs, for each
    threshold; `heads`: the MACs of the branches so far.
    """

    reached: NDArray[np.int64]
    right: NDArray[np.float64]
    spent: NDArray[np.float64]
    heads: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """Scores choices of branches by `J = accuracy_weight * accuracy - cost_weight * expected relative cost`.

    One J is used wherever placement is learned or compared: every branch's score is its highest temperature-scaled
    probability, a sample leaves at the first chosen branch whose score reaches the common threshold, every branch on
    the way is paid for, and of `thresholds` (rising) the one with the highest J counts. `temperatures` [O + 1] are
    the table's own where none are given.

    A choice is a rising tuple of candidates, at most one for each cut point. To hold a choice against another split,
    score it there with the temperatures and the threshold it was made with.
    """

    table: CandidateTable
    cost_weight: float
    accuracy_weight: float = 1.0
    thresholds: tuple[float, ...] = THRESHOLDS
    temperatures: NDArray[np.float64] | None = None

    @cached_property
    def _levels(self) -> NDArray[np.int64]:
        """How many of the thresholds each score reaches, [N, O]."""
        scores = self.table.scores(self.temperatures)
        return np.searchsorted(np.asarray(self.thresholds), scores, side="right").astype(np.int64)

    def worth(self, chosen: Sequence[int]) -> Worth:
        """What the branches `chosen` are worth; an empty choice is the backbone alone."""
        return self._worth(*self.outcome(chosen))

    def exhaustive(self, *, most: int | None = None, count: int = 0, least: int = 1) -> tuple[Subset, Worth]:
        """The best of all choices of `least` to `most` branches (`count` above 0: of exactly so many); first of equals.

        Choices share what their common beginning costs to score, so that 2^14 of 5,000 samples take seconds. Raises
        TrainingError for more than MOST_SUBSETS.
        """
        if self.choices > MOST_SUBSETS:
            raise TrainingError(
                f"{self.choices:,} choices of branches are too many to try each; at most {MOST_SUBSETS:,}"
            )
        low, high = self._bounds(most, count, least)
        best: tuple[Subset, Worth] | None = None
        for chosen, state in self._walk(low, high):
            worth = self._worth(*self._outcome(state))
            if best is None or worth.value > best[1].value + _GAIN:
                best = chosen, worth
        assert best is not None
        return best

    @property
    def choices(self) -> int:
        """How many choices of branches there are, none among them."""
        return prod(1 + len(group) for group in self.table.groups)

    def outcome(self, chosen: Sequence[int]) -> Outcome:
        """Accuracy and expected relative cost of the branches `chosen` at every threshold."""
        state = self._start()
        for option in chosen:
            state = self._after(state, option)
        return self._outcome(state)

    def outcomes(self, *, most: int | None = None) -> Iterator[tuple[Subset, Outcome]]:
        """Every choice of at most `most` branches with its outcome; what choices have in common is scored once."""
        for chosen, state in self._walk(*self._bounds(most, 0, 0)):
            yield chosen, self._outcome(state)

    def neighbours(self, chosen: Subset, *, most: int | None = None) -> Iterator[Subset]:
        """The choices one flip away: a branch less, one more, or another structure at its cut point."""
        return self._neighbours(chosen, *self._bounds(most, 0, 0))

    def _walk(self, low: int, high: int) -> Iterator[tuple[Subset, _Prefix]]:
        """Every choice of `low` to `high` branches; the state of a common beginning is computed once."""
        groups = self.table.groups

        def visit(group: int, chosen: Subset, state: _Prefix) -> Iterator[tuple[Subset, _Prefix]]:
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
        """The best choice of one branch."""
        return max(
            ((option,) for group in self.table.groups for option in group), key=lambda one: self.worth(one).value
        )

    def polish(
        self, chosen: Sequence[int], *, most: int | None = None, count: int = 0, least: int = 1
    ) -> tuple[Subset, Worth, int]:
        """The choice after its best single flips, one after another while J rises; what it is worth; how many flips.

        A flip takes a branch away, adds one, or puts another structure at its cut point; where no branch may be added
        (`count`, `most`) it also moves one to another cut point.
        """
        low, high = self._bounds(most, count, least)
        current, flips = tuple(sorted(chosen)), 0
        worth = self.worth(current)
        while True:
            found = [(self.worth(other), other) for other in self._neighbours(current, low, high)]
            following = max(found, key=lambda pair: pair[0].value, default=None)
            if following is None or following[0].value <= worth.value + _GAIN:
                return current, worth, flips
            (worth, current), flips = following, flips + 1

    def best(self, *, most: int | None = None, count: int = 0) -> tuple[Subset, Worth]:
        """The best choice where all can be tried; else one that grew branch by branch and was polished after each."""
        if self.choices <= 2**12:
            return self.exhaustive(most=most, count=count)
        low, high = self._bounds(most, count, 1)
        current: Subset = ()
        worth: Worth | None = None
        while len(current) < high:
            bigger = [other for other in self._neighbours(current, 0, high) if len(other) > len(current)]
            following, above, _ = self.polish(
                max(bigger, key=lambda each: self.worth(each).value), count=len(current) + 1
            )
            if worth is not None and len(current) >= low and above.value <= worth.value + _GAIN:
                break
            current, worth = following, above
        assert worth is not None
        return current, worth

    def _bounds(self, most: int | None, count: int, least: int) -> tuple[int, int]:
        places = len(self.table.groups)
        high = min(places, most if most is not None else places)
        if count > high or least > high:
            raise TrainingError(
                f"{max(count, least)} branches were asked for, and at most {high} can stand; ask for fewer"
            )
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

    def _start(self) -> _Prefix:
        zeros = np.zeros(len(self.thresholds))
        return _Prefix(np.zeros(len(self.table), dtype=np.int64), zeros, zeros, 0.0)

    def _after(self, state: _Prefix, option: int) -> _Prefix:
        """One more exit: a sample leaves here for the thresholds from its best score so far to its score here."""
        levels = self._levels[:, option]
        heads = state.heads + float(self.table.branch_macs[option])
        movers = np.nonzero(levels > state.reached)[0]
        before, here = state.reached[movers], levels[movers]
        right = self.table.correct[movers, option]
        left = self._between(before, here)
        return _Prefix(
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
        """For each threshold the number of samples for which it is at `first` or above and below `stop`; [T].

        With `weights` what these samples count together.
        """
        size = len(self.thresholds) + 1
        change = np.bincount(first, weights, minlength=size) - np.bincount(stop, weights, minlength=size)
        return np.cumsum(change)[:-1].astype(np.float64)

    def _outcome(self, state: _Prefix) -> Outcome:
        """The final exit answers for whoever is left."""
        size = len(self.thresholds) + 1
        reached = np.bincount(state.reached + size * self._right_at_the_end, minlength=2 * size).reshape(2, size)
        wrong, right = np.cumsum(reached, axis=1)[:, :-1]
        spent = state.spent + (wrong + right) * (self.table.total_macs + state.heads)
        if (weights := self.table.weights) is not None:
            counted = np.bincount(state.reached, weights * self._right_at_the_end, minlength=size)
            right = np.cumsum(counted)[:-1]
        samples = len(self.table)
        return Outcome((state.right + right) / samples, spent / (samples * self.table.total_macs))

    @cached_property
    def _right_at_the_end(self) -> NDArray[np.int64]:
        return self.table.correct[:, -1].astype(np.int64)

    def _worth(self, accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> Worth:
        value = self.accuracy_weight * accuracy - self.cost_weight * cost
        at = int(np.argmax(value))
        return Worth(
            value=float(value[at]),
            accuracy=float(accuracy[at]),
            cost=float(cost[at]),
            threshold=float(self.thresholds[at]),
        )
