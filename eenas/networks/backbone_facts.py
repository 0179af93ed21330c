"""The accuracy and costs of the plain backbone, the reference for all shares in a study."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from eenas import bounds
from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.policies.costs import MACS, CostValues, cost_of, key_of, name_fault
from eenas.specs import read_fields

_OWN = ("name", "weights", "accuracy", "parameters")


@dataclass(frozen=True, kw_only=True)
class BackboneFacts:
    """The plain prepared backbone: validation accuracy in [0, 1], parameters and costs by name, MACs first."""

    name: str
    weights: str
    accuracy: float
    parameters: int
    costs: CostValues

    def __post_init__(self) -> None:
        """Convert the costs to `CostValues`."""
        object.__setattr__(self, "costs", CostValues(self.costs))

    @property
    def macs(self) -> float:
        """The MACs, the reference for the shares of other networks."""
        return self.costs[MACS]

    def share(self, name: str, value: float | None) -> float | None:
        """Return a cost as a share of the backbone's; None if either is unknown or the backbone's is 0."""
        whole = self.costs.get(name)
        return None if value is None or not whole else value / whole

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON, with costs under keys such as "macs" and "latency_ms"."""
        table: dict[str, Any] = {"name": self.name, "weights": self.weights, "accuracy": self.accuracy}
        return {**table, "parameters": self.parameters, **{key_of(name): each for name, each in self.costs.items()}}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the facts that `to_table` wrote. Raises SpecError for any other table."""
        bounds.check_keys(table, table, file=file, key=key, kind="the facts of a backbone")
        own = {name: table[name] for name in _OWN if name in table}
        costs = costs_of(table, leaving_out=_OWN, file=file, key=key)
        return read_fields(cls, {**own, "costs": costs}, file=file, key=key)


def costs_of(table: Mapping[str, Any], *, leaving_out: Collection[str], file: str = "", key: str = "") -> CostValues:
    """Return the costs by name, MACs first, that a table holds beside the keys `leaving_out`.

    Null stands for a latency that was not measured. Raises SpecError for unknown keys and invalid values.
    """
    where = bounds.located(file, key) or "a table of costs"
    costs = {}
    for name, each in table.items():
        if name in leaving_out or each is None:
            continue
        if not isinstance(name, str) or name_fault(cost_of(name)) is not None:
            raise SpecError(f"{where}: unknown key {shortened(name)}; leave it out")
        if isinstance(each, bool) or not isinstance(each, int | float) or not math.isfinite(each):
            raise SpecError(f"{where}: {name} must be a finite number, got {shortened(each)}")
        costs[cost_of(name)] = each
    if MACS not in costs:
        raise SpecError(f"{where}: the key {MACS!r} is missing; add it")
    return CostValues(sorted(costs.items(), key=lambda pair: pair[0] != MACS))
