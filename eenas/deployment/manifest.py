"""The manifest of a model folder: what lies in it, read and checked before anything of it is run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eenas.deployment.preprocessing import Preprocessing
from eenas.errors import EenasError, ExportError
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.policy import Policy
from eenas.policies.registry import policy_from_table

FORMAT = 1
MANIFEST = "eenas.json"
PROGRAM_KINDS = ("onnx", "pt2")
"""The kinds of programs."""


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

    `segments` (K of them) belong to the `exits` in depth order; `single_file` is all of them in one, or None. `policy`
    is None where no thresholds were fitted. `temperatures` (K) divide logits for a confidence. `points` are the
    operating points by rising MACs; `backbone_macs` is what the plain backbone costs, None where it is not known.
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

    def path(self, program: ProgramFile) -> Path:
        """The path of a program. Raises ExportError when it is missing or is not the one exported."""
        path = self.folder / program.file
        if not path.is_file():
            raise ExportError(f"{path}: is missing; copy the whole folder, or export again")
        if (found := checksum(path)) != program.sha256:
            raise ExportError(
                f"{path}: has the checksum {found[:12]}, the manifest {program.sha256[:12]}; copy it, or export again"
            )
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


def read_table(folder: Path) -> dict[str, Any]:
    """The manifest as it stands in the file.

    Raises ExportError when there is none, when it is not one of eenas, and when another version wrote it.
    """
    file = folder / MANIFEST
    if not file.is_file():
        raise ExportError(f"{folder}: has no {MANIFEST}; give a folder that `eenas export` wrote")
    try:
        table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        found = table["format"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ExportError(f"{file}: is not a manifest of eenas; export the network again") from None
    if found != FORMAT:
        raise ExportError(f"{file}: format {found}, this eenas reads format {FORMAT}; use the eenas that wrote it")
    return table


def read_manifest(folder: str | Path) -> Manifest:
    """The manifest of a folder with programs. Raises ExportError that names the folder and what is wrong with it."""
    path = Path(folder)
    table = read_table(path)
    if table.get("program") is None:
        raise ExportError(f"{path}: holds no program, only the network; export with --format onnx, or use eenas.load")
    try:
        return _manifest(path, table)
    except EenasError as error:
        raise ExportError(f"{path / MANIFEST}: {error}; export the network again") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ExportError(f"{path / MANIFEST}: is not whole ({error!r}); export the network again") from None


def _manifest(folder: Path, table: Mapping[str, Any]) -> Manifest:
    program, measured = table["program"], table["measured"]
    kind, segments = program["kind"], tuple(ProgramFile(**segment) for segment in program["segments"])
    single = ProgramFile(**program["single_file"]) if "single_file" in program else None
    exits, policy = tuple(table["exits"]), table["policy"]
    if kind not in PROGRAM_KINDS:
        raise ExportError(f"unknown kind of program {kind!r}; this eenas runs {' and '.join(PROGRAM_KINDS)}")
    if any(Path(file.file).name != file.file for file in (*segments, *([single] if single else []))):
        raise ExportError(f"a program lies in the folder of the manifest, got {[file.file for file in segments]}")
    fitted = None if policy is None else policy_from_table(policy)
    if len(segments) != len(exits) or (fitted is not None and fitted.num_exits != len(exits)):
        counts = f"{len(segments)} programs and a policy for {fitted.num_exits if fitted else 'no'} exits"
        raise ExportError(f"{len(exits)} exits need a program each and a policy for them, got {counts}")
    temperatures = tuple(float(exit_["temperature"]) for exit_ in measured.get("exits", ()))
    points = tuple(OperatingPoint.from_table(point) for point in measured.get("points", ()))
    return Manifest(
        folder=folder,
        kind=kind,
        segments=segments,
        single_file=single,
        classes=tuple(str(name) for name in table["classes"]),
        exits=exits,
        preprocessing=Preprocessing(**table["transform"]),
        policy=fitted,
        temperatures=temperatures or (1.0,) * len(exits),
        points=tuple(sorted(points, key=lambda point: point.expected_macs)),
        backbone_macs=float(measured["backbone"]["macs"]) if "backbone" in measured else None,
    )
