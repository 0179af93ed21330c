"""The manifest of a model folder: what lies in it, read and checked before anything of it is run."""

import hashlib
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
from eenas.programs.external_data import check_no_external_data
from eenas.programs.json_files import need, shown
from eenas.programs.manifest_checks import check_network, check_programs
from eenas.programs.preprocessing.kinds import preprocessing_from
from eenas.programs.preprocessing.preprocessing import Preprocessing

FORMAT = 1
MANIFEST = "eenas.json"


@dataclass(frozen=True, kw_only=True)
class ProgramFile:
    """A program, of one segment with its exit or of all of them: a file of the folder, and its SHA-256 in hexadecimal.

    It takes `x` float32 [batch, *shape], and where `takes_previous` says so `previous` float32 [batch, classes], the
    logits of the exit before.
    """

    file: str
    sha256: str
    shape: Sequence[int]
    takes_previous: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Manifest:
    """What the runtime needs to know of a model folder.

    `segments` (K of them; none of the kind "torch") belong to the `exits` in depth order; `single_file` is all of them
    in one, or None. `policy` is None where no thresholds were fitted. `temperatures` (K) divide logits for a
    confidence. `points` are the operating points by rising MACs; `backbone_macs` is what the plain backbone costs, None
    where it is not known. `costs` say what each cost of the points is.
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

    def path(self, program: ProgramFile) -> Path:
        """The path of a program. Raises ExportError when it is missing or is not the one exported."""
        path = self.folder / program.file
        if not path.is_file():
            raise ExportError(f"{path}: is missing; copy the whole folder, or export again")
        if (found := checksum(path)) != program.sha256:
            raise ExportError(
                f"{path}: has the checksum {found[:12]}, the manifest {program.sha256[:12]}; copy it, or export again"
            )
        if self.kind == "onnx":
            check_no_external_data(path)
        return path


def checksum(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits. Raises ExportError when it cannot be read."""
    state = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                state.update(block)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read ({error.strerror}); copy the file again") from None
    return state.hexdigest()


def read_table(folder: str | Path) -> dict[str, Any]:
    """The manifest as it stands in the file.

    Raises ExportError when there is none, when it is not one of eenas, and when another version wrote it.
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
        raise ExportError(f"{file}: is not a manifest of eenas ({reason}); export the network again") from None
    if not isinstance(table, dict) or "format" not in table:
        raise ExportError(f"{file}: is not a manifest of eenas; export the network again")
    if table["format"] != FORMAT or isinstance(table["format"], bool):
        found = shown(table["format"])
        raise ExportError(f"{file}: format {found}, this eenas reads format {FORMAT}; use the eenas that wrote it")
    return table


def read_manifest(folder: str | Path, *, programs: bool = True, trust_code: bool = False) -> Manifest:
    """The manifest of a folder with programs, or with `programs` false of any folder, whose segments are not read then.

    Raises ExportError that names the folder and what is wrong with it, and PluginError for a policy of the user's own
    code without `trust_code`.
    """
    table = read_table(folder)
    path = Path(folder)
    load_policies(table, trust_code=trust_code, relative_to=path)
    if not programs:
        table = {**table, "program": None}
    elif table.get("program") is None:
        raise ExportError(f"{path}: holds no program, only the network; export with --format onnx, or use eenas.load")
    with one_error(path / MANIFEST):
        return _manifest(path, table)


@contextmanager
def one_error(file: Path, *, advice: str = "; export the network again") -> Iterator[None]:
    """Whatever is wrong with what a file of a model folder holds, said as an ExportError that names it, in one line.

    Without `advice` errors say themselves what to do, and the folder is named.
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
        raise ExportError(f"{file}: is not whole (a value is missing or has another kind); export again") from error


def _manifest(folder: Path, table: Mapping[str, Any]) -> Manifest:
    policy = check_network(table)
    preprocessing = preprocessing_from(table["transform"])
    program, measured, exits = table["program"], table["measured"], tuple(table["exits"])
    if program is None:
        program = {"kind": "torch", "segments": []}
    else:
        check_programs(program, exits, preprocessing.shape)
    need(len(table["classes"]) >= 2, "classes", "at least 2 names", table["classes"])
    points = tuple(OperatingPoint.from_table(point) for point in measured.get("points", ()))
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
    )
