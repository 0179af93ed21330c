"""The specification of a cost in a study file, and its conversion to a cost."""

import dataclasses
import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from eenas import bounds, specs
from eenas.errors import MeasurementError, SpecError, nearest
from eenas.escaping import shortened
from eenas.measurement.costs.cost import Cost
from eenas.measurement.costs.edges import EdgesCost
from eenas.measurement.costs.linear import LinearCost
from eenas.measurement.costs.measured_table import TableCost
from eenas.measurement.costs.own_cost import own_fault
from eenas.plugins import Registry, class_problem, is_reference

KINDS: dict[str, type[Cost]] = {"linear": LinearCost, "table": TableCost, "edges": EdgesCost}
"""The built-in kinds of costs, by name."""


@dataclass(frozen=True, kw_only=True)
class CostSpec:
    """`[costs.NAME]` of a study file: the kind, one of KINDS or a user's class, and its fields unchanged.

    Raises SpecError for an unknown kind, and for fields that a built-in kind refuses.
    """

    kind: str
    """The kind: "linear", "table", "edges", or your own class as `./file.py:Class` or `package.module:Class`."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The other keys of the table, which the kind reads."""

    def __post_init__(self) -> None:
        """Check the kind."""
        if self.kind not in KINDS and not is_reference(self.kind):
            raise SpecError(
                f"unknown kind of cost {shortened(self.kind)}; {nearest(self.kind, KINDS)}; name a cost of your own "
                "./file.py:Class"
            )

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Read kind and fields. Fields of built-in kinds are checked at once."""
        bounds.check_keys(table, table, file=file, key=key)
        values = dict(table)
        kind = values.pop("kind", None)
        if not isinstance(kind, str):
            raise SpecError(
                f"{bounds.located(file, key) or 'the table'}: a cost needs a kind, {', '.join(KINDS)} or "
                f"./file.py:Class, got {shortened(kind)}"
            )
        found = specs.read_fields(cls, {"kind": kind, "fields": values}, file=file, key=key)
        if kind in KINDS:
            specs.from_table(KINDS[kind], values, file=file, key=key)
        return found

    def to_table(self) -> dict[str, Any]:
        """Return the table for `from_table`."""
        return {"kind": self.kind, **self.fields}

    def located(self, cost: Cost) -> "CostSpec":
        """Return the specification with the fields of the located `cost`, which needs no file any more."""
        if self.kind not in KINDS:
            return self
        return dataclasses.replace(
            self, fields={name: each for name, each in specs.to_table(cost).items() if each != ""}
        )

    def read(self, name: str, *, trust_code: bool = False, folder: Path | None = None) -> Cost:
        """Return the cost, with the content of its files in `folder`, the study file's.

        Raises SpecError for fields that it refuses, PluginError for code that is not trusted or cannot be loaded, and
        MeasurementError for a class that is not a cost.
        """
        cls = cost_class(self.kind, trust_code=trust_code, folder=folder)
        cost = specs.read_fields(cls, self.fields, key=f"costs.{name}")
        with own_fault(f"costs.{name} ({self.kind})"):
            return cost.located(folder)


def cost_class(kind: str, *, trust_code: bool = False, folder: Path | None = None) -> type[Cost]:
    """Return the class of a kind of cost, built-in or the user's own. See `CostSpec.read` for errors."""
    return COSTS.find(kind, trust_code=trust_code, relative_to=folder)


def code_of(cost: Cost) -> str:
    """Return a text for the code of a cost: empty for built-in kinds, the hash of its file for a user's class."""
    if type(cost) in KINDS.values():
        return ""
    try:
        return hashlib.sha256(Path(inspect.getfile(type(cost))).read_bytes()).hexdigest()[:16]
    except (OSError, TypeError):
        return type(cost).__qualname__


def _accept(kind: str, found: Any) -> type[Cost]:
    """Return the user's class, which has its reference as its kind from now on."""
    if (problem := class_problem(found, Cost)) is not None:
        raise MeasurementError(f"{kind}: {problem}")
    own: type[Cost] = found
    own.kind = kind
    return own


COSTS: Registry[type[Cost]] = Registry("kind of cost", KINDS, accept=_accept, error=MeasurementError)
"""The kinds of costs by name, and the user's own by reference."""
