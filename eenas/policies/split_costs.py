"""Costs that depend on the split between tiers: a column for each split, and the best split of a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.tier_names import CLOUD_ONLY, EDGE_ONLY, TIER_LATENCY, TierSplit

_SLACK_OF_SPLITS = 1e-9
"""The relative tolerance of limits and ties, for rounding errors in means over samples."""
_MOST_AT_ONCE = 1 << 22
"""The largest number of means that are computed at once, for memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitCosts:
    """T costs of K exits under each of S splits: `values` float64 [S, T, K], finite and not negative.

    `splits` (S) are the splits and `names` (T) the costs. A sample that leaves at exit k under split s costs
    `values[s, :, k]`. The best split of a policy has the lowest mean of the cost `by` among the splits that hold the
    limits on mean costs (`expected`) and on the cost of every exit (`worst`), by name. If no split holds them, it is
    among those that exceed them least, as the sum of shares of the limits. Ties go to the lower means of the other
    costs in their order, then to the last split, which stays longest on the earlier tiers.

    Raises PolicyError for values of another shape, and for a cost in `by` or a limit that is not among `names`.
    """

    splits: tuple[TierSplit, ...]
    names: tuple[str, ...]
    values: NDArray[np.float64]
    by: str = TIER_LATENCY
    expected: Mapping[str, float] = field(default_factory=dict)
    worst: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Convert to float64 and check that the parts fit together."""
        values = np.asarray(self.values, dtype=np.float64)
        shape = (len(self.splits), len(self.names))
        if values.ndim != 3 or values.shape[:2] != shape or not len(self.splits):
            raise PolicyError(
                f"the costs of splits must be [{shape[0]} splits, {shape[1]} costs, exits], got {values.shape}"
            )
        if not (np.isfinite(values) & (values >= 0)).all():
            raise PolicyError("the costs of splits must be finite numbers from 0 up; check the profiles and the link")
        if unknown := [name for name in (self.by, *self.expected, *self.worst) if name not in self.names]:
            raise PolicyError(f"no split has the cost {shortened(unknown[0])}, only {', '.join(self.names)}")
        object.__setattr__(self, "values", values)

    def facts_table(self) -> dict[str, Any]:
        """Return everything but the values as plain data."""
        splits = [each if isinstance(each, str) else list(each) for each in self.splits]
        limits = {"expected": dict(self.expected), "worst": dict(self.worst)}
        return {"splits": splits, "names": list(self.names), "by": self.by, **limits}

    def first(self, exits: int) -> SplitCosts:
        """Return the costs of the first `exits` exits."""
        return replace(self, values=self.values[:, :, :exits])

    def under(self, split: TierSplit | None) -> NDArray[np.float64]:
        """Return the costs [T, K] under one split. Raises PolicyError for an unknown split."""
        if split not in self.splits:
            raise PolicyError(
                f"the split {shortened(split)} is not among those of this network, {shortened(self.splits)}"
            )
        return np.asarray(self.values[self.splits.index(split)])

    def best(self, leaving: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the index [M] of the best split of each policy, and its mean costs [T, M].

        `leaving` [M, K] counts the samples that leave at each exit. The search is exact: it compares all splits.
        """
        index = np.empty(len(leaving), dtype=np.int64)
        means = np.empty((len(self.names), len(leaving)))
        rows = max(_MOST_AT_ONCE // (len(self.splits) * len(self.names)), 1)
        for start in range(0, len(leaving), rows):
            part = slice(start, min(start + rows, len(leaving)))
            index[part], means[:, part] = self._best(leaving[part])
        return index, means

    def last_allowed(self) -> int:
        """Return the last exit k such that one split holds the worst-case limits at all exits up to k, or -1."""
        held = np.ones(self.values[:, 0].shape, dtype=np.bool_)
        for name, limit in self.worst.items():
            held &= self.values[:, self.names.index(name)] <= limit * (1 + _SLACK_OF_SPLITS)
        return int(np.cumprod(held, axis=1).sum(axis=1).max()) - 1

    def _best(self, leaving: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        shares = leaving / leaving.sum(axis=1, keepdims=True)
        means = np.einsum("mk,stk->tms", shares, self.values)
        excess = np.zeros(means.shape[1:])
        for limits, costs in ((self.expected, means), (self.worst, self.values.max(axis=2).T[:, None])):
            for name, limit in limits.items():
                excess = excess + np.maximum(costs[self.names.index(name)] / limit - 1 - _SLACK_OF_SPLITS, 0.0)
        kept = _lowest(excess, np.ones_like(excess, dtype=np.bool_))
        for name in dict.fromkeys((self.by, *self.names)):
            kept = _lowest(means[self.names.index(name)], kept)
        index = kept.shape[1] - 1 - kept[:, ::-1].argmax(axis=1)
        return index, means[:, np.arange(len(leaving)), index]


def split_from(value: object) -> TierSplit | None:
    """Return a split from plain data: a name, or a list of names for several links. None stays None.

    Raises PolicyError for anything else.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise PolicyError(f"a split is the name of a cut point, or a list of names, got {shortened(value)}")


def split_words(split: TierSplit, first: str = "edge", last: str = "cloud") -> str:
    """Return a split for readers: "cloud only", "edge only", "after layer2.1"; with two links "after a, after b".

    `first` and `last` are the names of the first tier and the last one.
    """
    places = (split,) if isinstance(split, str) else split
    for end, name in ((EDGE_ONLY, first), (CLOUD_ONLY, last)):
        if all(each == end for each in places):
            return f"{name} only"
    words = {EDGE_ONLY: "the last exit", CLOUD_ONLY: "the input"}
    return ", ".join(f"after {words.get(each, each)}" for each in places)


def _lowest(values: NDArray[np.float64], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of the `kept` splits [M, S] have the lowest value of their row, within rounding errors."""
    least = np.where(kept, values, np.inf).min(axis=1, keepdims=True)
    return np.asarray(kept & (values <= least * (1 + _SLACK_OF_SPLITS) + 1e-15))
