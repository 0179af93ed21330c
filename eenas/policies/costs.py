"""Costs: what reaching each exit costs, in named columns with unit and provenance, the MACs first."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened

MACS, LATENCY = "macs", "latency"
"""The costs that every study counts or measures."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_UNIT = re.compile(r"[\w µ%/·²³°€$().-]{0,20}")
LONGEST = 1000
"""Characters of a provenance."""
_KEYS = {LATENCY: "latency_ms"}
_TAKEN = {
    *("accuracy", "accuracy_drop", "above_backbone", "balanced", "boosted", "branches", "cascade", "choice", "costs"),
    *("cut_points", "design", "end_to_end", "ends_at", "ensemble", "exit_accuracy", "exits", "final_rule", "how"),
    *("kind", "knee", "labels", "latency_ms", "leaving", "logits", "name", "network", "number", "on_front", "origin"),
    *("parameters", "policy", "reason", "recommended", "samples", "seconds", "share", "shares", "state", "strategy"),
    *("structure", "structures", "temperature", "trial", "weights"),
}
"""Names of other values that stand beside costs in tables, files and limits."""


def key_of(name: str) -> str:
    """The name of a cost in limits, budgets and files: that of the latency says its unit, "latency_ms"."""
    return _KEYS.get(name, name)


def cost_of(key: str) -> str:
    """The cost that `key_of` gave a key for."""
    return next((name for name, own in _KEYS.items() if own == key), key)


def name_fault(name: str) -> str | None:
    """Why no cost may be called `name`, with the rule; None where one may."""
    if not _NAME.fullmatch(name):
        return "a cost is named by up to 40 lower-case letters, digits and underscores, a letter first"
    if name in _TAKEN or name.startswith(("worst_", "expected_", "max_", "min_")) or name.endswith("_share"):
        return "the name means something else in tables and limits"
    return None


@dataclass(frozen=True, kw_only=True)
class CostFacts:
    """A cost in words: its name, its unit, and where its figures come from; less of it is better.

    Raises PolicyError for a name that is taken and for a unit that is no plain text of at most 20 characters.
    """

    name: str
    unit: str = ""
    provenance: str = ""

    def __post_init__(self) -> None:
        """Refuse what a table or a page could not show."""
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
"""What is known of a cost by its name alone."""


@dataclass(frozen=True, eq=False)
class Costs:
    """What N exits, or N policies, cost: D named columns, `values` float64 [D, N], each described by one of `facts`.

    Every value is finite and not negative. Raises PolicyError for anything else and for a name twice.
    """

    facts: tuple[CostFacts, ...]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Convert to float64 and refuse what is no cost."""
        names = [each.name for each in self.facts]
        if len(set(names)) != len(names):
            raise PolicyError(f"costs must have different names, got {shortened(names)}")
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
        object.__setattr__(self, "values", given)

    @classmethod
    def of(cls, columns: Mapping[str, ArrayLike | None] | None = None, /, **named: ArrayLike | None) -> "Costs":
        """Costs by name, each column [N], of which only the name is known; what is None is left out."""
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

    def __contains__(self, name: object) -> bool:
        """Whether a cost of this name is known."""
        return name in self.names

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """The column [N] of a cost. Raises PolicyError for one that is not known, with the nearest name."""
        if name not in self.names:
            raise PolicyError(f"the cost {shortened(name)} is not known here; {nearest(name, self.names)}")
        return np.asarray(self.values[self.names.index(name)])

    def get(self, name: str) -> NDArray[np.float64] | None:
        """The column [N] of a cost, None where it is not known."""
        return self[name] if name in self.names else None

    def first(self, exits: int) -> "Costs":
        """The costs of the first `exits` exits."""
        return Costs(self.facts, self.values[:, :exits])

    def at(self, indices: NDArray[np.int64]) -> "Costs":
        """The costs of some exits, or policies, by their indices [M]."""
        return Costs(self.facts, self.values[:, indices])

    def without(self, *names: str) -> "Costs":
        """The other costs."""
        kept = [index for index, name in enumerate(self.names) if name not in names]
        return Costs(tuple(self.facts[index] for index in kept), self.values[kept])

    def replacing(self, name: str, column: ArrayLike | None) -> "Costs":
        """The costs with another column [N] of this name, without one where it is None."""
        if column is None or name not in self.names:
            return self.without(name)
        rows = [np.asarray(column) if each == name else self[each] for each in self.names]
        return Costs(self.facts, np.stack(rows))

    def mean(self, leaving: NDArray[np.int64]) -> "Costs":
        """The mean costs of M policies by which `leaving` [M, K] samples leave at K exits that cost this."""
        return Costs(self.facts, np.stack([mean_cost(leaving, each) for each in self.values]))

    def of_exit(self, k: int) -> "CostValues":
        """The costs of one exit by name."""
        return CostValues(zip(self.names, self.values[:, k].tolist(), strict=True))


class CostValues(Mapping[str, float]):
    """One number for each cost by its name, in order; it is not changed, and equal ones have equal hashes."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float] | Iterable[tuple[str, float]] = (), /) -> None:
        self._values: dict[str, float] = dict(values)

    def __getitem__(self, name: str) -> float:
        """The number of a cost."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._values)

    def __hash__(self) -> int:
        """Of names and numbers, in whatever order."""
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        """As a table."""
        return f"CostValues({self._values})"


def mean_cost(leaving: NDArray[np.int64], costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean cost [...] of samples of which `leaving` [..., K] leave at exits that cost `costs` [K]."""
    return np.asarray((leaving * costs).sum(axis=-1) / leaving.sum(axis=-1))
