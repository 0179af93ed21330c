"""A cost as a study file names it, read to the cost itself: one of eenas's own or the user's."""

import dataclasses
import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from eenas import plugins, specs
from eenas.errors import MeasurementError, SpecError, nearest
from eenas.escaping import shortened
from eenas.measurement.costs.cost import Cost
from eenas.measurement.costs.linear import LinearCost
from eenas.measurement.costs.measured_table import TableCost

KINDS: dict[str, type[Cost]] = {"linear": LinearCost, "table": TableCost}
"""The kinds of costs that eenas has, by name."""


@dataclass(frozen=True, kw_only=True)
class CostSpec:
    """`[costs.NAME]` of a study file: the kind, one of KINDS or the user's own class, and its fields as they stand.

    Raises SpecError for an unknown kind, and for fields that a kind of eenas's own refuses.
    """

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a kind that is none."""
        if self.kind not in KINDS and not plugins.is_reference(self.kind):
            raise SpecError(
                f"unknown kind of cost {shortened(self.kind)}; {nearest(self.kind, KINDS)}; one of your own is named "
                "./file.py:Class"
            )

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Read kind and fields; those of eenas's own kinds are checked at once."""
        if not isinstance(table, Mapping):
            raise SpecError(f"{file or 'the table'}: [{key}]: must be a table, got {shortened(table)}")
        values = dict(table)
        kind = values.pop("kind", None)
        if not isinstance(kind, str):
            raise SpecError(
                f"{file or 'the table'}: [{key}]: a cost needs a kind, {', '.join(KINDS)} or ./file.py:Class, got "
                f"{shortened(kind)}"
            )
        found = specs.read_fields(cls, {"kind": kind, "fields": values}, file=file, key=key)
        if kind in KINDS:
            specs.from_table(KINDS[kind], values, file=file, key=key)
        return found

    def to_table(self) -> dict[str, Any]:
        """The inverse of `from_table`."""
        return {"kind": self.kind, **self.fields}

    def located(self, cost: Cost) -> "CostSpec":
        """The same with the fields that the located `cost` has, for a record that needs no file beside it."""
        if self.kind not in KINDS:
            return self
        return dataclasses.replace(
            self, fields={name: each for name, each in specs.to_table(cost).items() if each != ""}
        )

    def read(self, name: str, *, trust_code: bool = False, folder: Path | None = None) -> Cost:
        """The cost, with what it needs of files in `folder`, the study file's.

        Raises SpecError for fields that it refuses, PluginError for code that is not trusted or does not load, and
        MeasurementError for a class that is no cost.
        """
        cls = KINDS.get(self.kind) or cost_class(self.kind, trust_code=trust_code, folder=folder)
        return specs.read_fields(cls, self.fields, key=f"costs.{name}").located(folder)


def cost_class(kind: str, *, trust_code: bool = False, folder: Path | None = None) -> type[Cost]:
    """The user's class of a cost by `package.module:Class` or `./file.py:Class`. For what it raises see `read`."""
    found = plugins.load(kind, trust_code=trust_code, relative_to=folder)
    if (problem := _problem(found)) is not None:
        raise MeasurementError(f"{kind}: {problem}")
    own: type[Cost] = found
    own.kind = kind
    return own


def code_of(cost: Cost) -> str:
    """What stands for the code of a cost: nothing for eenas's own, the hash of its file for the user's."""
    if type(cost) in KINDS.values():
        return ""
    try:
        return hashlib.sha256(Path(inspect.getfile(type(cost))).read_bytes()).hexdigest()[:16]
    except (OSError, TypeError):
        return type(cost).__qualname__


def _problem(found: Any) -> str | None:
    """What keeps an object from being a cost, or None."""
    if not (isinstance(found, type) and issubclass(found, Cost)):
        return f"must be a class derived from eenas.measurement.costs.cost.Cost, got {shortened(found)}"
    parameters = vars(found).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        return f"{found.__name__} must be marked @dataclass(frozen=True, kw_only=True)"
    if inspect.isabstract(found):
        return f"{found.__name__} must define prefixes(profile) and branch(branch, shape, profile)"
    return None
