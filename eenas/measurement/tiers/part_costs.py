"""One cost of every part of a network on every tier, and from it the cost of leaving at each exit for each split."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import MeasurementError


@dataclass(frozen=True, kw_only=True, eq=False)
class PartCosts:
    """One additive cost of T tiers, L segments and K exits: milliseconds, bytes, joules or a price.

    `segments` [T, L] are the costs of each segment, `branches` [T, K] those of each exit (its branch and its decision),
    and `hops` [T - 1, L + 1] those of one request and its answer over each link after so many segments; the last column
    is never used. `after` [K] are the numbers of segments before each exit, not falling, the last one L.

    A split is [T - 1] numbers of segments, not falling: tier t runs the segments up to its number and the branches
    there, and a sample that has not left goes over link t. L is "final": nothing crosses that link.

    Raises MeasurementError for other shapes and for values that are not finite numbers from 0 up.
    """

    segments: NDArray[np.float64]
    branches: NDArray[np.float64]
    hops: NDArray[np.float64]
    after: tuple[int, ...]

    def __post_init__(self) -> None:
        """Convert to float64 and check shapes and values."""
        after = tuple(int(each) for each in self.after)
        object.__setattr__(self, "after", after)
        for name in ("segments", "branches", "hops"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
            values = getattr(self, name)
            if values.ndim != 2 or not (np.isfinite(values) & (values >= 0)).all():
                raise MeasurementError(f"the {name} of tiers must be finite numbers from 0 up, two-dimensional")
        (tiers, count), exits = self.segments.shape, len(after)
        wanted = {"branches": (tiers, exits), "hops": (tiers - 1, count + 1)}
        for name, shape in wanted.items():
            if (got := getattr(self, name).shape) != shape:
                raise MeasurementError(
                    f"{tiers} tiers, {count} segments and {exits} exits need {name} {shape}, got {got}"
                )
        if not after or list(after) != sorted(after) or after[0] < 1 or after[-1] != count:
            raise MeasurementError(f"exits must be in order and the last one after all {count} segments, got {after}")

    @property
    def tiers(self) -> int:
        """T, the number of tiers."""
        return len(self.segments)

    @property
    def length(self) -> int:
        """L, the number of segments."""
        return int(self.segments.shape[1])

    @cached_property
    def splits(self) -> NDArray[np.int64]:
        """Every split [S, T - 1] in lexical order: L + 1 of two tiers, C(L + T - 1, T - 1) in general."""
        return np.array(list(combinations_with_replacement(range(self.length + 1), self.tiers - 1)), dtype=np.int64)

    def columns(self, splits: ArrayLike, *, cloud_branches: bool = True) -> NDArray[np.float64]:
        """Return the cost [S, K] of leaving at each exit under each of the `splits` [S, T - 1].

        The cost counts each segment and branch on the way where it runs, and each link on the way. Without
        `cloud_branches` only the first tier runs branches, and samples that cross its link all go to the last exit:
        every exit behind the split has the cost of the last one then. Raises MeasurementError for other splits.
        """
        chosen = self._checked(splits)
        after, rows = np.array(self.after), np.arange(len(chosen))[:, None]
        bounds = np.concatenate(
            [np.zeros((len(chosen), 1), np.int64), chosen, np.full((len(chosen), 1), self.length)], 1
        )
        found = np.zeros((len(chosen), len(after)))
        for tier in range(self.tiers):
            reached = np.concatenate([[0.0], np.cumsum(self.segments[tier])])
            start, end = bounds[:, tier, None], bounds[:, tier + 1, None]
            found += reached[np.minimum(end, after)] - reached[np.minimum(start, after)]
            if tier < self.tiers - 1:
                found += np.where(after > end, self.hops[tier][end], 0.0)
        where = (chosen[:, :, None] < after).sum(axis=1)  # the tier of each exit, [S, K]
        each = self.branches[where, np.arange(len(after))]
        if cloud_branches:
            return np.asarray(found + np.cumsum(each, axis=1))
        behind = where > 0
        local = np.cumsum(np.where(behind, 0.0, each), axis=1)
        last = found[:, -1:] + local[:, -1:] + np.where(behind[:, -1:], each[:, -1:], 0.0)
        return np.asarray(np.where(behind, last[rows, 0], found + local))

    def _checked(self, splits: ArrayLike) -> NDArray[np.int64]:
        found = np.asarray(splits, dtype=np.int64)
        fits = found.ndim == 2 and found.shape[1] == self.tiers - 1
        if not fits or (found < 0).any() or (found > self.length).any() or (np.diff(found, axis=1) < 0).any():
            raise MeasurementError(
                f"a split of {self.tiers} tiers is {self.tiers - 1} numbers from 0 to {self.length}, not falling, got "
                f"{np.array2string(found, threshold=8)}"
            )
        return found


def reaching(shares: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share [K] of samples that reach each exit from the shares [K] that leave there."""
    given = np.asarray(shares, dtype=np.float64)
    return np.asarray(np.clip(np.concatenate([[1.0], 1.0 - np.cumsum(given)[:-1]]), 0.0, 1.0))
