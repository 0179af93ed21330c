"""The facts of one exit in the report of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from eenas.measurement.latency import Latency
from eenas.networks.backbone_facts import costs_of
from eenas.policies.costs import CostValues, key_of
from eenas.specs import read_fields, to_table


@dataclass(frozen=True, kw_only=True)
class ExitFacts:
    """One exit on the test split: the costs of leaving there, its accuracy on all samples, and the share that leaves.

    `costs` by name are composed from measurements of the search; `macs_share` is relative to the plain backbone.
    `end_to_end` is the latency of the trained network for a batch that leaves there (None: not recorded).
    """

    name: str
    structure: str
    costs: CostValues
    macs_share: float
    accuracy: float
    temperature: float
    share: float
    end_to_end: Latency | None = None

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON, with costs under keys such as "macs" and "latency_ms"."""
        costs = {key_of(name): each for name, each in self.costs.items()}
        table = {field.name: to_table(getattr(self, field.name)) for field in fields(self) if field.name != "costs"}
        return {name: each for name, each in {**table, **costs}.items() if each is not None}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the facts in the data of `to_table`.

        Raises SpecError.
        """
        names = [field.name for field in fields(cls) if field.name != "costs"]
        others = {name: each for name, each in table.items() if name in names}
        costs = cls.costs_in(table, file=file, key=key)
        return read_fields(cls, {**others, "costs": costs}, file=file, key=key)

    @classmethod
    def costs_in(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> CostValues:
        """Return the costs in the data of `to_table`.

        Raises SpecError.
        """
        return costs_of(table, leaving_out=[field.name for field in fields(cls)], file=file, key=key)
