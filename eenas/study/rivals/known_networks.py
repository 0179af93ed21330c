"""The networks that a study knows: trained by trials, frozen with banked branches, static, and the plain backbone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from eenas.bounds import damage_as
from eenas.branches.cascade import Cascade
from eenas.designs.design import Design
from eenas.errors import StorageError, StudyError, nearest
from eenas.policies.operating_point import OperatingPoint
from eenas.records.rows import FIX
from eenas.records.studies import StudyRecord
from eenas.records.trials import TrialRecord
from eenas.specs import read_fields

NetworkKind = Literal["trial", "frozen", "static", "plain"]
BACKBONE = "backbone"
"""The name of the plain backbone among a study's networks."""
NETWORKS = "networks"
"""The key of a study's baselines under which the networks that no trial trains stand in its record."""
FROZEN = "frozen "
"""What the name of a trial's network on the frozen backbone begins with, and the splits of its exit tables."""
BY_HAND = "known: uniform"
"""What the origin of trials begins with whose branches were placed uniformly by hand."""


@dataclass(frozen=True, kw_only=True)
class KnownNetwork:
    """A network with its operating points on the validation split.

    `name` is "trial 8", "frozen 2", "frozen trial 8" (what the branches of trial 8 do on the frozen backbone),
    "static layer2.1" or "backbone". `right` says for each of `points`, packed (`eenas.policies.right_answers`), which
    samples it answers rightly; it is empty where that was not kept.
    `parameters` are the network's (None: not recorded), `artifacts` the references of its exit tables by split. `trial`
    is the number of a trial's trained network, and `origin` where the parameters of a trial come from.
    """

    name: str
    kind: NetworkKind
    design: Design
    points: tuple[OperatingPoint, ...]
    right: tuple[str, ...] = ()
    parameters: int | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    trial: int | None = None
    origin: str = ""

    @property
    def family(self) -> str:
        """The group in which it is compared: "search", "uniform by hand", "frozen search", "static networks", ..."""
        if self.origin:
            return "uniform by hand" if self.origin.startswith(BY_HAND) else "search"
        return {"frozen": "frozen search", "static": "static networks", "plain": "plain backbone"}[self.kind]

    def to_table(self) -> dict[str, Any]:
        """Plain data for a study's record."""
        return {
            "name": self.name,
            "kind": self.kind,
            "design": self.design.to_table(),
            "points": [point.to_table() for point in self.points],
            "right": list(self.right),
            "parameters": self.parameters,
            "artifacts": dict(self.artifacts),
        }

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> "KnownNetwork":
        """Read what `to_table` wrote."""
        with damage_as(StorageError, "a network in the database", FIX):
            made = {
                "design": Design.from_table(table["design"], key=str(table["name"])),
                "points": tuple(OperatingPoint.from_table(point) for point in table["points"]),
            }
            return read_fields(cls, {**table, **made})


def frozen_design(design: Design) -> Design:
    """The design with plain branches, as they are in the bank: what a trial's network is before its training.

    It keeps the trial's training, which is that of a full training of it.
    """
    branches = tuple(
        replace(placed, branch=placed.branch.branch) if isinstance(placed.branch, Cascade) else placed
        for placed in design.branches
    )
    return replace(design, branches=branches, provenance={}).canonical()


def find_network(networks: Sequence[KnownNetwork], name: str, *, study: str) -> KnownNetwork:
    """The network of this name; a bare number is a trial's. Raises StudyError with the nearest name."""
    wanted = " ".join(name.split())
    wanted = f"trial {wanted}" if wanted.isdigit() else wanted.removeprefix("plain ")
    for network in networks:
        if network.name == wanted:
            return network
    names = [network.name for network in networks]
    raise StudyError(f"the study {study!r} has no network {wanted!r}; {nearest(wanted, names)}")


def recorded_networks(record: StudyRecord, trials: Sequence[TrialRecord]) -> list[KnownNetwork]:
    """Every network that has operating points: those of the trials, then what was measured beside them."""
    known = [KnownNetwork.from_table(table) for table in record.baselines.get(NETWORKS, ())]
    made = [network for trial in trials for network in trial_networks(trial)]
    return [*(each for each in made if each.kind == "trial"), *known, *(each for each in made if each.kind != "trial")]


def trial_networks(record: TrialRecord) -> list[KnownNetwork]:
    """The network that a trial trained, and the same on the frozen backbone, as far as they have operating points."""
    if not record.design:
        return []
    design, found = Design.from_table(record.design, key=f"trial {record.number}"), []
    if record.points:
        found.append(
            KnownNetwork(
                name=f"trial {record.number}",
                kind="trial",
                design=design,
                points=read_points(record.points),
                right=tuple(record.right),
                parameters=record.parameters,
                artifacts=record.artifacts,
                trial=record.number,
                origin=record.origin,
            )
        )
    if record.frozen_points:
        tables = {split: name for split, name in record.artifacts.items() if split.startswith(FROZEN)}
        found.append(
            KnownNetwork(
                name=f"{FROZEN}trial {record.number}",
                kind="frozen",
                design=frozen_design(design),
                points=read_points(record.frozen_points),
                right=tuple(record.frozen_right),
                parameters=record.parameters,
                artifacts={split.removeprefix(FROZEN): name for split, name in tables.items()},
                origin=record.origin,
            )
        )
    return found


def read_points(tables: Sequence[Mapping[str, Any]]) -> tuple[OperatingPoint, ...]:
    """Operating points of the tables that a record holds."""
    return tuple(OperatingPoint.from_table(table) for table in tables)
