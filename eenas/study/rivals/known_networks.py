"""The networks that a study knows: trained by trials, frozen with banked branches, static, and the plain backbone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from eenas.bounds import damage_as
from eenas.designs.design import Design
from eenas.errors import StorageError, StudyError, nearest
from eenas.policies.operating_point import OperatingPoint
from eenas.records.rows import FIX
from eenas.records.studies import StudyRecord
from eenas.records.trials import TrialRecord
from eenas.specs import read_fields

NetworkKind = Literal["trial", "frozen", "static", "published", "plain"]
BACKBONE = "backbone"
"""The name of the plain backbone among a study's networks."""
NETWORKS = "networks"
"""The key of the networks without a trial in the baselines of a study's record."""
FROZEN = "frozen "
"""The prefix of a trial's network on the frozen backbone, in its name and in the splits of its exit tables."""
BY_HAND = "known: uniform"
"""The prefix of the origin of trials with uniform placement by hand."""


@dataclass(frozen=True, kw_only=True)
class KnownNetwork:
    """A network with its operating points on the validation split.

    `name` is "trial 8", "frozen 2", "frozen trial 8" (the branches of trial 8 on the frozen backbone),
    "static layer2.1", "pabee" (or another published network) or "backbone". `right` holds, for each of `points`, the
    packed list (`eenas.policies.right_answers`) of the samples that it classifies correctly; it is empty if not
    recorded. `parameters` is the number of parameters (None if not recorded), and `artifacts` holds the references of
    the exit tables by split. `trial` is the number of the trial that trained the network, and `origin` the source of
    its parameters in the search space.
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
        """The group for comparisons: "search", "uniform by hand", "frozen search", "pabee" and so on."""
        if self.kind == "published":
            return self.name
        if self.origin:
            return "uniform by hand" if self.origin.startswith(BY_HAND) else "search"
        return {"frozen": "frozen search", "static": "static networks", "plain": "plain backbone"}[self.kind]

    def to_table(self) -> dict[str, Any]:
        """Return plain data for the record of a study."""
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
        """Return the network that `to_table` wrote. Raises StorageError for damaged data."""
        with damage_as(StorageError, "a network in the database", FIX):
            made = {
                "design": Design.from_table(table["design"], key=str(table["name"])),
                "points": tuple(OperatingPoint.from_table(point) for point in table["points"]),
            }
            return read_fields(cls, {**table, **made})


def frozen_design(design: Design) -> Design:
    """Return the design with the plain branches of the bank: the network of a trial before its training.

    It keeps the training of the trial for a later full training.
    """
    branches = tuple(placed.uncascaded for placed in design.branches)
    return replace(design, branches=branches, provenance={}).canonical()


def find_network(networks: Sequence[KnownNetwork], name: str, *, study: str) -> KnownNetwork:
    """Return the network with this name. A number means a trial. Raises StudyError with the nearest name."""
    wanted = " ".join(name.split())
    wanted = f"trial {wanted}" if wanted.isdigit() else wanted.removeprefix("plain ")
    for network in networks:
        if network.name == wanted:
            return network
    names = [network.name for network in networks]
    raise StudyError(f"the study {study!r} has no network {wanted!r}; {nearest(wanted, names)}")


def recorded_networks(record: StudyRecord, trials: Sequence[TrialRecord]) -> list[KnownNetwork]:
    """Return all networks with operating points: trained by trials, then baselines, then frozen ones of trials."""
    known = [KnownNetwork.from_table(table) for table in record.baselines.get(NETWORKS, ())]
    made = [network for trial in trials for network in trial_networks(trial)]
    return [*(each for each in made if each.kind == "trial"), *known, *(each for each in made if each.kind != "trial")]


def trial_networks(record: TrialRecord) -> list[KnownNetwork]:
    """Return the network trained by a trial and its frozen version, if they have operating points."""
    design, found = record.design, list[KnownNetwork]()
    if design is None:
        return []
    if record.points:
        found.append(
            KnownNetwork(
                name=f"trial {record.number}",
                kind="trial",
                design=design,
                points=record.points,
                right=record.right,
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
                points=record.frozen_points,
                right=record.frozen_right,
                parameters=record.parameters,
                artifacts={split.removeprefix(FROZEN): name for split, name in tables.items()},
                origin=record.origin,
            )
        )
    return found
