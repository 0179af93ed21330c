"""The two folders of a split model: the programs of each half, and manifests that belong together."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eenas.errors import ExportError, nearest
from eenas.files import write_text
from eenas.programs.manifest import Manifest, ProgramFile, checksum, read_table
from eenas.programs.model_folder import new_model_folder, write_manifest
from eenas.programs.programs import RUNTIME
from eenas.programs.remote.earlier_logits import remembers
from eenas.programs.remote.split_facts import CLOUD, EDGE, SplitFacts, programs_digest
from eenas.programs.runtime_source import runtime_source
from eenas.specs import to_table
from eenas.tier_names import EDGE_ONLY


@dataclass(frozen=True, kw_only=True)
class CutPrograms:
    """The programs of the segment that contains a split between two exits, in files that exist.

    `tail` leads from the last exit of the edge to the split, without an exit. `rest` leads from the split to the exit;
    the last `carried` columns of its input stay exact.
    """

    tail: Path
    tail_shape: tuple[int, ...]
    rest: Path
    rest_shape: tuple[int, ...]
    carried: int = 0


def check_split(manifest: Manifest, at: str) -> None:
    """Raise ExportError unless a whole model can be split at the cut point `at`, if it exists."""
    place = manifest.folder
    if manifest.split is not None:
        raise ExportError(f"{place}: is {manifest.split.text} already; split the whole model")
    if manifest.experts is not None:
        raise ExportError(f"{place}: has experts, and a model with experts cannot be split; export with --no-experts")
    if at == "":
        raise ExportError("a split at '' sends the input itself and leaves nothing on the edge; serve the whole model")
    if at in (EDGE_ONLY, manifest.exits[-1]):
        raise ExportError(
            f"a split at {at!r} leaves nothing for the cloud, because the model ends there; run the whole model on the "
            f"edge, or split it at {_known(manifest)}"
        )


def _known(manifest: Manifest) -> str:
    names = manifest.exits[:-1]
    return " or ".join(map(repr, names[:5])) if names else "another cut point of the backbone"


def unknown_cut(manifest: Manifest, at: str, cut_points: Sequence[str]) -> ExportError:
    """Return the error for a name that is no cut point of the model."""
    return ExportError(
        f"{manifest.folder}: {at!r:.60} is not a cut point of this model; "
        f"{nearest(at, [*manifest.exits[:-1], *cut_points])}"
    )


def write_halves(manifest: Manifest, at: str, folders: tuple[Path, Path], cut: CutPrograms | None = None) -> None:
    """Write the edge half and the cloud half of a whole model to two `folders`; both appear only if both are complete.

    Without `cut`, the split is the cut point of an exit and the programs are copied. Raises ExportError if a folder
    contains other files or a program was changed, StorageError if a folder cannot be written.
    """
    table = read_table(manifest.folder)
    segments = list(manifest.segments)
    local = manifest.exits.index(at) + 1 if cut is None else manifest.exits.index(_exit_behind(manifest, cut))
    sources = [manifest.path(segment) for segment in segments]
    tail: ProgramFile | None = None
    if cut is not None:
        old = segments[local]
        tail = ProgramFile(file=cut.tail.name, sha256=checksum(cut.tail), shape=cut.tail_shape, carried=old.carried)
        segments[local] = replace(old, sha256=checksum(cut.rest), shape=cut.rest_shape, carried=cut.carried)
        sources[local] = cut.rest
    edge = [*segments[:local], *([] if tail is None else [tail])]
    cloud = segments[local:]
    digests = {EDGE: programs_digest([each.sha256 for each in edge])}
    digests[CLOUD] = programs_digest([each.sha256 for each in cloud])
    facts = {
        half: SplitFacts(
            at=at,
            half=half,
            model=manifest.identity,
            partner=digests[CLOUD if half == EDGE else EDGE],
            exits=local,
            shape=tuple(cloud[0].shape),
            carried=cloud[0].carried,
            sends_logits=local > 0 and (cloud[0].takes_previous or remembers(manifest.policy)),
        )
        for half in (EDGE, CLOUD)
    }
    with new_model_folder(folders[0]) as one, new_model_folder(folders[1]) as other:
        for segment, source in zip(segments[:local], sources[:local], strict=True):
            shutil.copyfile(source, one / segment.file)
        if cut is not None:
            shutil.copyfile(cut.tail, one / cut.tail.name)
        for segment, source in zip(segments[local:], sources[local:], strict=True):
            shutil.copyfile(source, other / segment.file)
        write_text(one / RUNTIME, runtime_source())
        write_manifest(_half_table(table, facts[EDGE], segments[:local], tail), one)
        write_manifest(_half_table(table, facts[CLOUD], cloud, None), other)


def _exit_behind(manifest: Manifest, cut: CutPrograms) -> str:
    """Return the name of the exit of the segment that contains the split."""
    return manifest.exits[[segment.file for segment in manifest.segments].index(cut.rest.name)]


def _half_table(
    table: Mapping[str, Any], facts: SplitFacts, segments: Sequence[ProgramFile], tail: ProgramFile | None
) -> dict[str, Any]:
    """Return the manifest of a half: that of the whole model with other programs, and without the network's files."""
    program = {name: table["program"][name] for name in ("kind", "versions") if name in table["program"]}
    program["segments"] = [to_table(segment) for segment in segments]
    if tail is not None:
        program["tail"] = to_table(tail)
    kept = {name: value for name, value in table.items() if name not in ("program", "files")}
    return {**kept, "program": program, "split": facts.to_table()}


def check_half_folders(manifest: Manifest, edge: Path, cloud: Path) -> None:
    """Raise ExportError unless the model, the edge half and the cloud half are three folders, none in another."""
    places = {"the model": manifest.folder.resolve(), "EDGE": edge.resolve(), "CLOUD": cloud.resolve()}
    for one, first in places.items():
        for other, second in places.items():
            if one != other and (first == second or second in first.parents):
                raise ExportError(f"{one} and {other} must be separate folders, got {first} and {second}")
