"""The manifest of a model folder, which is read and checked before anything in the folder runs."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eenas.bounds import read_json
from eenas.errors import EenasError, ExportError, SpecError
from eenas.policies.costs import KNOWN, MACS, CostFacts
from eenas.policies.kinds.registry import load_policies
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.policy import Policy
from eenas.policies.risk.guarantee import Guarantee
from eenas.policies.split_costs import split_from
from eenas.programs.experts.expert_facts import ExpertFacts, check_policies, expert_facts
from eenas.programs.external_data import check_no_external_data
from eenas.programs.json_files import need, shown
from eenas.programs.manifest_checks import check_network, check_programs
from eenas.programs.preprocessing.kinds import preprocessing_from
from eenas.programs.preprocessing.preprocessing import Preprocessing
from eenas.programs.remote.split_facts import CLOUD, EDGE, SplitFacts, split_facts
from eenas.programs.streams.stream_points import stream_points
from eenas.tasks.kinds import load_kind
from eenas.tier_names import TierSplit

FORMAT = 1
MANIFEST = "eenas.json"


@dataclass(frozen=True, kw_only=True)
class ProgramFile:
    """A program file in the folder, for one segment with its exit or for all of them, and its SHA-256 in hexadecimal.

    Its input is `x` [batch, *shape], where a side of 0 stands for any length: float32, or for the first segment what
    the kind of input states. If `takes_previous`, a second input `previous`, float32 [batch, classes], holds the logits
    of the previous exit. The last `carried` columns (or channels) of `x` must stay exact on their way from a split.
    """

    file: str
    sha256: str
    shape: Sequence[int]
    takes_previous: bool = False
    carried: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Manifest:
    """The manifest data that the runtime needs.

    `segments` [K] belong to the `exits` in depth order; the kind "torch" has none. `single_file` contains all segments,
    or is None. `policy` is None if no thresholds were fitted. Confidences divide the logits by `temperatures` [K].
    `points` are the operating points by increasing MACs. `backbone_macs` are the MACs of the plain backbone, or None if
    unknown. `costs` describe the costs of the points. `guarantee` is that of the policy, or None. `exit_macs` [K] are
    the MACs of leaving at each exit, or empty. With `experts`, the segments have no exits: `branches` [experts][K] are
    those of each expert. With `split`, the folder holds one half of a model: `segments` are those of its exits, and
    `tail` is the program from the last exit of the edge to a split between two exits, without an exit. `best_split` is
    that of the reported operating point between the tiers of its study, or None. `seen_points` [K] are the points of a
    series that each exit waits for, or empty for exits in depth only.
    """

    folder: Path
    kind: str
    segments: tuple[ProgramFile, ...]
    single_file: ProgramFile | None
    classes: tuple[str, ...]
    exits: tuple[str, ...]
    preprocessing: Preprocessing
    policy: Policy | None
    temperatures: tuple[float, ...]
    points: tuple[OperatingPoint, ...]
    backbone_macs: float | None
    costs: tuple[CostFacts, ...] = tuple(KNOWN.values())
    guarantee: Guarantee | None = None
    exit_macs: tuple[float, ...] = ()
    experts: ExpertFacts | None = None
    branches: tuple[tuple[ProgramFile, ...], ...] = ()
    split: SplitFacts | None = None
    tail: ProgramFile | None = None
    best_split: TierSplit | None = None
    seen_points: tuple[int, ...] = ()

    @property
    def first_exit(self) -> int:
        """The index of the exit of the first segment: 0 except in the cloud half of a model."""
        return self.split.exits if self.split is not None and self.split.half == CLOUD else 0

    def following(self, number: int) -> tuple[int, ...] | None:
        """Return the shape of one sample's features behind segment `number`, or None at the end of the model."""
        if number + 1 < len(self.segments):
            return tuple(self.segments[number + 1].shape)
        if self.split is None or self.split.half != EDGE:
            return None
        return self.split.shape if self.tail is None else tuple(self.tail.shape)

    def carried_at(self, split: str) -> int:
        """Return how many columns of the features at a split stay exact; 0 where no features are sent."""
        if self.split is not None:
            return self.split.carried if split == self.split.at else 0
        return self.segments[self.exits.index(split) + 1].carried if split in self.exits[:-1] else 0

    @property
    def identity(self) -> str:
        """A digest of the exits, classes, temperatures and programs: equal for equal answers and confidences.

        Both halves of a model have that of the whole model.
        """
        if self.split is not None:
            return self.split.model
        programs = [each.sha256 for each in (*self.segments, *(branch for row in self.branches for branch in row))]
        facts = [list(self.exits), list(self.classes), list(self.temperatures), programs]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def path(self, program: ProgramFile) -> Path:
        """Return the path of a program. Raises ExportError if the file is missing or was changed after the export."""
        path = self.folder / program.file
        if not path.is_file():
            raise ExportError(f"{path}: is missing; copy the whole folder, or export again")
        if (found := checksum(path)) != program.sha256:
            raise ExportError(
                f"{path}: has the checksum {found[:12]}, the manifest {program.sha256[:12]}; copy it or export again"
            )
        if self.kind == "onnx":
            check_no_external_data(path)
        return path


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits. Raises ExportError if it cannot be read."""
    state = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                state.update(block)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read ({error.strerror}); copy the file again") from None
    return state.hexdigest()


def read_table(folder: str | Path) -> dict[str, Any]:
    """Return the manifest as stored, without checking its values.

    Raises ExportError if the file is missing, is not a manifest of eenas, or has another format.
    """
    if not isinstance(folder, str | os.PathLike):
        raise ExportError(f"a model folder is a path, got {type(folder).__name__}; give the folder of an export")
    file = Path(folder) / MANIFEST
    if not os.path.isfile(file):  # Path.is_file raises for a name that is too long
        raise ExportError(f"{shown(str(folder), 200)}: has no {MANIFEST}; give a folder that `eenas export` wrote")
    try:
        table = read_json(file)
    except SpecError as error:
        reason = str(error).removeprefix(f"{file}: ").partition(";")[0]
        raise ExportError(f"{file}: is not an eenas manifest ({reason}); export the network again") from None
    if not isinstance(table, dict) or "format" not in table:
        raise ExportError(f"{file}: is not an eenas manifest; export the network again")
    if table["format"] != FORMAT or isinstance(table["format"], bool):
        found = shown(table["format"])
        raise ExportError(f"{file}: has format {found}, this eenas reads format {FORMAT}; use the one that wrote it")
    return table


def read_plain_table(folder: str | Path) -> dict[str, Any]:
    """Return the manifest as `read_table` does. Raises ExportError if the model has experts, too."""
    table = read_table(folder)
    if table.get("experts") is not None:
        raise ExportError(f"{folder}: has experts, whose policies `eenas experts` fits; run it again with other data")
    check_not_half(table, folder)
    return table


def check_not_half(table: Mapping[str, Any], folder: str | Path) -> None:
    """Raise ExportError if the manifest in a folder is that of one half of a model, which has no network."""
    if table.get("split") is not None:
        with export_errors(Path(folder) / MANIFEST):
            facts = split_facts(table["split"], tuple(table["exits"]))
        raise ExportError(f"{folder}: is {facts.text} and holds programs only; use the whole model, and split it again")


def check_half(manifest: Manifest, *, has_server: bool) -> None:
    """Raise ExportError unless a model can answer here, with or without a server for its rest."""
    facts, place = manifest.split, manifest.folder
    if facts is not None and facts.half == CLOUD:
        raise ExportError(f"{place}: is {facts.text}; run it with `eenas serve`, and load the edge half")
    if facts is not None and not has_server:
        raise ExportError(
            f"{place}: is {facts.text}; give the server with the cloud half: remote='http://host:8000' (--remote URL)"
        )
    if has_server and manifest.experts is not None:
        raise ExportError(f"{place}: has experts, and a model with experts runs in one place; leave remote out")


def read_manifest(folder: str | Path, *, programs: bool = True, trust_code: bool = False) -> Manifest:
    """Return the checked manifest of a folder. With `programs` false, the folder needs no programs and none are read.

    Raises ExportError that names the folder and the fault, and PluginError for a policy of the user's own code without
    `trust_code`.
    """
    table = read_table(folder)
    path = Path(folder)
    load_policies(table, trust_code=trust_code, relative_to=path)
    load_kind(table.get("transform"), trust_code=trust_code, relative_to=path)
    if programs and table.get("program") is None:
        raise ExportError(f"{path}: contains the network but no programs; export with --format onnx, or use eenas.load")
    with export_errors(path / MANIFEST):
        policy = check_table(table)
        return _manifest(path, table if programs else {**table, "program": None}, policy)


def check_table(table: Mapping[str, Any]) -> Policy | None:
    """Check every part of a manifest, its programs included if it has any; return its policy.

    Raises ExportError or PolicyError with the place.
    """
    policy = check_network(table)
    need(len(table["classes"]) >= 2, "classes", "at least 2 names", table["classes"])
    exits, shape = tuple(table["exits"]), preprocessing_from(table["transform"]).shape
    facts = None if table.get("experts") is None else expert_facts(table["experts"], exits, shape)
    check_policies({"policy": policy, **_points_of(table["measured"])}, facts)
    half = None if table.get("split") is None else split_facts(table["split"], exits)
    stream_points(table, exits, shape)
    if table.get("program") is not None:
        check_programs(table["program"], exits, shape, facts, half)
    return policy


def _points_of(measured: Mapping[str, Any]) -> dict[str, Policy | None]:
    """Return the policies of the operating points by their places."""
    named = {f"measured.points[{number}]": point for number, point in enumerate(measured.get("points", ()))}
    named |= {"measured.reported": measured["reported"]} if "reported" in measured else {}
    return {place: OperatingPoint.from_table(point).policy for place, point in named.items()}


@contextmanager
def export_errors(file: Path, *, advice: str = "; export the network again") -> Iterator[None]:
    """Convert any error about the content of a file in a model folder to an ExportError that names it, on one line.

    With an empty `advice`, the errors bring their own and the message names the folder.
    """
    try:
        yield
    except EenasError as error:
        text = str(error).removesuffix("; add it") if advice else str(error)
        text = shown(text, 600)
        if not text.startswith(str(file.parent)):
            text = f"{file}: {text}{advice}" if advice else f"{file.parent}: {text}"
        raise ExportError(text) from error
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        raise ExportError(f"{file}: is incomplete (a value is missing or has the wrong type); export again") from error


def _manifest(folder: Path, table: Mapping[str, Any], policy: Policy | None) -> Manifest:
    preprocessing = preprocessing_from(table["transform"]).opened_in(folder)
    program, measured, exits = table.get("program"), table["measured"], tuple(table["exits"])
    if program is None:
        program = {"kind": "torch", "segments": []}
    points = tuple(OperatingPoint.from_table(point) for point in measured.get("points", ()))
    experts = None if table.get("experts") is None else expert_facts(table["experts"], exits, preprocessing.shape)
    rows = program.get("experts", ())
    temperatures = tuple(float(exit_["temperature"]) for exit_ in measured.get("exits", ()))
    return Manifest(
        folder=folder,
        kind=program["kind"],
        segments=tuple(ProgramFile(**segment) for segment in program["segments"]),
        single_file=ProgramFile(**program["single_file"]) if "single_file" in program else None,
        classes=tuple(table["classes"]),
        exits=exits,
        preprocessing=preprocessing,
        policy=policy,
        temperatures=temperatures or (1.0,) * len(exits),
        points=tuple(sorted(points, key=lambda point: point.expected[MACS])),
        backbone_macs=float(measured["backbone"]["macs"]) if "backbone" in measured else None,
        costs=tuple(CostFacts(**each) for each in measured.get("costs", ())) or tuple(KNOWN.values()),
        guarantee=certified(table, policy),
        exit_macs=tuple(float(exit_[MACS]) for exit_ in measured.get("exits", ()) if MACS in exit_),
        experts=experts,
        branches=tuple(tuple(ProgramFile(**each) for each in row) for row in rows),
        split=None if table.get("split") is None else split_facts(table["split"], exits),
        tail=ProgramFile(**program["tail"]) if "tail" in program else None,
        best_split=split_from(measured.get("reported", {}).get("split")),
        seen_points=stream_points(table, exits, preprocessing.shape),
    )


def certified(table: Mapping[str, Any], policy: Policy | None) -> Guarantee | None:
    """Return the guarantee of the policy in a checked manifest, or None without one."""
    reported = table["measured"].get("reported")
    if reported is None or "guarantee" not in reported:
        return None
    point = OperatingPoint.from_table(reported)
    return point.guarantee if point.policy == policy else None
