"""Costs of reaching each exit: named columns with unit and provenance, the MACs first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened
from eenas.policies.split_costs import SplitCosts
from eenas.tier_names import BYTES_SENT, PRICE, TIER_ENERGY, TIER_LATENCY, TierSplit

MACS, LATENCY = "macs", "latency"
"""The names of the two costs that eenas counts and measures itself."""

EARLINESS = "earliness"
"""The name of the cost of networks with exits in time: the share of a series that is seen before the answer, lower is
better (Xing, Pei and Yu 2012, "Early classification on time series"; Schäfer and Leser 2020, section 2)."""

ALONE = np.array([1])
"""The counts of leaving of a network with one exit."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_UNIT = re.compile(r"[\w µ%/·²³°€$().-]{0,20}")
LONGEST = 1000
"""The largest number of characters of a provenance."""
_KEYS = {LATENCY: "latency_ms"}
_TAKEN = {
    *("accuracy", "accuracy_drop", "above_backbone", "balanced", "boosted", "branches", "cascade", "choice", "costs"),
    *("cut_points", "design", "end_to_end", "ends_at", "ensemble", "exit_accuracy", "exits", "final_rule", "how"),
    *("kind", "knee", "labels", "latency_ms", "leaving", "logits", "name", "network", "number", "on_front", "origin"),
    *("parameters", "policy", "reason", "recommended", "samples", "seconds", "share", "shares", "state", "strategy"),
    *("structure", "structures", "temperature", "trial", "weights"),
}
"""Names that no cost may have: tables, files and limits use them for other values."""


def key_of(name: str) -> str:
    """Return the key of a cost in limits, budgets and files: its name, or "latency_ms" for the latency."""
    return _KEYS.get(name, name)


def cost_of(key: str) -> str:
    """Return the name of the cost with this key, the inverse of `key_of`."""
    return next((name for name, own in _KEYS.items() if own == key), key)


def name_fault(name: str) -> str | None:
    """Return the rule that `name` breaks, or None if a cost may have this name."""
    if not _NAME.fullmatch(name):
        return "a name has up to 40 lower-case letters, digits and underscores, and starts with a letter"
    if name in _TAKEN or name.startswith(("worst_", "expected_", "max_", "min_")) or name.endswith("_share"):
        return "the name has another meaning in tables and limits"
    return None


@dataclass(frozen=True, kw_only=True)
class CostFacts:
    """The description of a cost: its name, its unit and the provenance of its values. Lower is better.

    Raises PolicyError for a reserved name, a unit that is not plain text of at most 20 characters, and a provenance
    that is not one line of printable text.
    """

    name: str
    unit: str = ""
    provenance: str = ""

    def __post_init__(self) -> None:
        """Check that tables and pages can show the values."""
        if (fault := name_fault(self.name)) is not None:
            raise PolicyError(f"a cost cannot be called {shortened(self.name)}: {fault}; give another name")
        if not _UNIT.fullmatch(self.unit):
            raise PolicyError(
                f"the unit of {self.name} must be at most 20 letters, digits, spaces and µ%/·²³°€$().-, got "
                f"{shortened(self.unit)}"
            )
        if len(self.provenance) > LONGEST or not self.provenance.isprintable():
            raise PolicyError(
                f"the provenance of {self.name} must be a line of at most {LONGEST:,} characters, got "
                f"{shortened(self.provenance)}"
            )


KNOWN = {
    MACS: CostFacts(name=MACS, unit="MACs", provenance="counted"),
    LATENCY: CostFacts(name=LATENCY, unit="ms", provenance="measured"),
}
"""The descriptions of the costs that eenas counts and measures itself."""
PER_SPLIT = {
    TIER_LATENCY: CostFacts(name=TIER_LATENCY, unit="ms", provenance="composed of the profiles of tiers and the links"),
    BYTES_SENT: CostFacts(name=BYTES_SENT, unit="B", provenance="counted at the split"),
    TIER_ENERGY: CostFacts(name=TIER_ENERGY, unit="J", provenance="by the watts of tiers and the joules of links"),
    PRICE: CostFacts(name=PRICE, provenance="by the prices of tiers and links"),
}
"""The descriptions of the costs that depend on the split between tiers."""


@dataclass(frozen=True, eq=False)
class Costs:
    """The costs of N exits or N policies: D named columns, `values` float64 [D, N], described by `facts` (D).

    With `splits`, the costs of exits have further columns that depend on the split between tiers. A mean has them, for
    the best split of each policy.

    Raises PolicyError for values that are negative or not finite, for another shape, and for duplicate names.
    """

    facts: tuple[CostFacts, ...]
    values: NDArray[np.float64]
    splits: SplitCosts | None = None

    def __post_init__(self) -> None:
        """Convert to float64 and check the values."""
        names = [each.name for each in self.facts]
        known = names if self.splits is None else [*names, *self.splits.names]
        if len(set(known)) != len(known):
            raise PolicyError(f"costs must have different names, got {shortened(known)}")
        given = np.asarray(self.values)
        if given.dtype.kind not in "fiu" or given.ndim != 2 or len(given) != len(names):
            raise PolicyError(
                f"costs must be numbers [{len(names)} costs, exits], got {given.dtype} of shape {given.shape}"
            )
        given = np.ascontiguousarray(given, dtype=np.float64)
        if not (np.isfinite(given) & (given >= 0)).all():
            bad = int(np.nonzero(~(np.isfinite(given) & (given >= 0)).all(axis=1))[0][0])
            raise PolicyError(
                f"{names[bad]} must be finite numbers from 0 up, one for each exit, got "
                f"{shortened(given[bad].tolist())}"
            )
        if self.splits is not None and self.splits.values.shape[2] != given.shape[1]:
            raise PolicyError(f"costs of {given.shape[1]} exits need as many under each split; give both the same")
        object.__setattr__(self, "values", given)

    @classmethod
    def of(cls, columns: Mapping[str, ArrayLike | None] | None = None, /, **named: ArrayLike | None) -> Costs:
        """Return costs from columns [N] by name. Columns that are None are left out."""
        found = {name: np.array(each) for name, each in {**(columns or {}), **named}.items() if each is not None}
        for name, each in found.items():
            if each.ndim != 1 or each.dtype.kind not in "fiu" or each.shape != next(iter(found.values())).shape:
                raise PolicyError(
                    f"{name} must be finite numbers from 0 up, one for each exit, got {shortened(each.tolist())}"
                )
        facts = tuple(KNOWN.get(name) or CostFacts(name=name) for name in found)
        return cls(facts, np.stack([each.astype(np.float64) for each in found.values()]) if found else np.empty((0, 0)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the columns in their order."""
        return tuple(each.name for each in self.facts)

    @property
    def mean_names(self) -> tuple[str, ...]:
        """The names of the columns of a mean: those that depend on the split come last."""
        return self.names if self.splits is None else (*self.names, *self.splits.names)

    def __contains__(self, name: object) -> bool:
        """Whether there is a cost with this name."""
        return name in self.names

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return the column [N] of a cost. Raises PolicyError for an unknown name, with the nearest one."""
        if name not in self.names:
            raise PolicyError(f"the cost {shortened(name)} is not known here; {nearest(name, self.names)}")
        return np.asarray(self.values[self.names.index(name)])

    def get(self, name: str) -> NDArray[np.float64] | None:
        """Return the column [N] of a cost, or None if it is not known."""
        return self[name] if name in self.names else None

    def first(self, exits: int) -> Costs:
        """Return the costs of the first `exits` exits."""
        splits = None if self.splits is None else self.splits.first(exits)
        return Costs(self.facts, self.values[:, :exits], splits)

    def at(self, indices: NDArray[np.int64]) -> Costs:
        """Return the costs of the policies with these indices [M]."""
        return Costs(self.facts, self.values[:, indices])

    def without(self, *names: str) -> Costs:
        """Return the costs except those with these names."""
        kept = [index for index, name in enumerate(self.names) if name not in names]
        return Costs(tuple(self.facts[index] for index in kept), self.values[kept], self.splits)

    def replacing(self, name: str, column: ArrayLike | None) -> Costs:
        """Return the costs with the column [N] of this name replaced, or removed if `column` is None."""
        if column is None or name not in self.names:
            return self.without(name)
        rows = [np.asarray(column) if each == name else self[each] for each in self.names]
        return Costs(self.facts, np.stack(rows), self.splits)

    def mean(self, leaving: NDArray[np.int64]) -> Costs:
        """Return the mean costs of M policies from their counts `leaving` [M, K] of samples that leave at each exit."""
        found = Costs(self.facts, np.stack([mean_cost(leaving, each) for each in self.values]))
        return found if self.splits is None else found.joined(self.splits.names, self.splits.best(leaving)[1])

    def best_split(self, leaving: NDArray[np.int64]) -> TierSplit | None:
        """Return the best split of a policy with these counts [K], or None without tiers."""
        return None if self.splits is None else self.splits.splits[int(self.splits.best(leaving[None])[0][0])]

    def under(self, split: TierSplit | None) -> Costs:
        """Return the costs with the columns under this split, or as they are without tiers.

        Raises PolicyError for an unknown split.
        """
        if self.splits is None:
            return self
        return Costs(self.facts, self.values).joined(self.splits.names, self.splits.under(split))

    def under_best(self, leaving: NDArray[np.int64]) -> Costs:
        """Return the costs with the columns under the best split of a policy with these counts [K]."""
        return self.under(self.best_split(leaving))

    def joined(self, names: Iterable[str], values: NDArray[np.float64]) -> Costs:
        """Return the costs with further columns of these names, `values` [names, N]."""
        facts = (PER_SPLIT.get(name) or CostFacts(name=name) for name in names)
        return Costs((*self.facts, *facts), np.concatenate([self.values, values]))

    def of_exit(self, k: int) -> CostValues:
        """Return the costs of one exit by name."""
        return CostValues(zip(self.names, self.values[:, k].tolist(), strict=True))


class CostValues(Mapping[str, float]):
    """One number for each cost by name, in order. The mapping is immutable and hashable."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float] | Iterable[tuple[str, float]] = (), /) -> None:
        self._values: dict[str, float] = dict(values)

    def __getitem__(self, name: str) -> float:
        """Return the number of a cost."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """The number of costs."""
        return len(self._values)

    def __hash__(self) -> int:
        """The hash of names and numbers, independent of their order."""
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        """A text with the names and numbers."""
        return f"CostValues({self._values})"


def mean_cost(leaving: NDArray[np.int64], costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean cost [...] from the counts `leaving` [..., K] and the `costs` [K] of leaving at each exit."""
    return np.asarray((leaving * costs).sum(axis=-1) / leaving.sum(axis=-1))
