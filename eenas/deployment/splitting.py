"""The split of an exported model at a cut point: one folder for the edge, and one for the cloud."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from eenas.deployment.fitting import backbone_of
from eenas.deployment.network_segments import inputs_of
from eenas.errors import ExportError
from eenas.measurement.stopwatch import restored_threads
from eenas.networks.network import EarlyExitNetwork
from eenas.programs.manifest import Manifest, read_manifest, read_table
from eenas.programs.model_folder import DESIGN, WEIGHTS, load
from eenas.programs.parity import SAMPLES, Parity, compare, validation_samples
from eenas.programs.remote.codec_report import CodecEffect, codec_effects
from eenas.programs.remote.cut_programs import write_cut_programs
from eenas.programs.remote.edge_segments import join_halves, open_tail
from eenas.programs.remote.half_folders import check_half_folders, check_split, unknown_cut, write_halves
from eenas.programs.remote.split_facts import EDGE, programs_digest
from eenas.programs.runtime import ExportedModel
from eenas.programs.segments import open_segments
from eenas.tasks.load import given_task
from eenas.tasks.task import Task


@restored_threads()
def split_model(
    folder: str | Path,
    edge: str | Path,
    cloud: str | Path,
    *,
    at: str,
    data: str | Task | None = None,
    trust_code: bool = False,
    backbone: nn.Module | None = None,
) -> Parity | None:
    """Write the halves of an exported model to the folders `edge` and `cloud`.

    The edge runs the model up to and including the cut point `at`, with the exits there and before it; the cloud runs
    the rest. At the cut point of an exit, the programs are copied as they are. At any other one, the segment that
    contains it is exported anew as two programs from the network in the folder, and both halves joined are compared
    with the network on samples of `data` (a task or its spec; default: those of the export). The result of that
    comparison is returned, else None.

    Raises ExportError for a split that makes no sense, a model with experts, a folder without the programs or weights
    that it needs, and a folder in use; ParityError if the halves differ from the network.
    """
    manifest = read_manifest(folder, trust_code=trust_code)
    check_split(manifest, at)
    edge, cloud = Path(edge), Path(cloud)
    check_half_folders(manifest, edge, cloud)
    if at in manifest.exits:
        write_halves(manifest, at, (edge, cloud))
        return None
    network = _network(manifest, at, trust_code, backbone)
    names = tuple(point.name for point in backbone_of(network).all_cut_points)
    if at not in names:
        raise unknown_cut(manifest, at, names)
    last = names.index(manifest.exits[-1]) if manifest.exits[-1] in names else len(names)
    if names.index(at) > last:  # a static network ends before the backbone does
        raise ExportError(f"{folder}: ends at {manifest.exits[-1]!r}, before {at!r}; split it at an earlier cut point")
    given = data if data is not None else Parity.of(Path(folder)).data
    if not given:
        raise ExportError(
            f"{folder}: does not name the samples of its comparison; the new programs are compared on real samples, so "
            "give some as --data (data=...), or split at an exit"
        )
    task = given_task(given, network.transform.inputs, trust_code=trust_code)
    samples = validation_samples(network, task, data=given if isinstance(given, str) else "")
    cuts = tuple(name for name in names if name == at or name in network.branches.names)
    with tempfile.TemporaryDirectory() as work:
        parts = Path(work, "edge"), Path(work, "cloud")
        cut = write_cut_programs(network, cuts, at, Path(work))
        write_halves(manifest, at, parts, cut)
        found = compare(network, _joined(manifest, parts), samples)
        write_halves(manifest, at, (edge, cloud), cut)
    return found


def report_codecs(
    folder: str | Path,
    edge: str | Path,
    cloud: str | Path,
    *,
    data: str | Task | None = None,
    trust_code: bool = False,
) -> tuple[CodecEffect, ...]:
    """Return the bytes and the accuracy of each codec at the split of a model, on validation samples of `data`.

    `edge` and `cloud` are the halves of the model in `folder`; `data` is that of `split_model`. Raises ExportError
    if the folders do not belong together.
    """
    whole, one, other = (read_manifest(each, trust_code=trust_code) for each in (folder, edge, cloud))
    digest = programs_digest([each.sha256 for each in other.segments])
    same = whole.identity == one.identity == other.identity
    if one.split is None or one.split.half != EDGE or one.split.partner != digest or not same:
        raise ExportError(f"{edge} and {cloud} are not the halves of {folder}; split it again")
    known = read_table(folder)["measured"].get("data")
    given = data if data is not None else known or Parity.of(Path(folder)).data
    if not given:
        raise ExportError(f"{folder}: does not name the samples of its comparison; give some as --data (data=...)")
    open_ = partial(open_segments, threads=1, trust_code=trust_code)
    model = ExportedModel(whole, (*open_(one), *open_(other)))
    spec = inputs_of(model)
    split = given_task(given, spec, trust_code=trust_code).validation
    inputs = whole.preprocessing(split.reader(spec)[np.arange(min(len(split), SAMPLES))].numpy())
    labels = np.asarray(split.labels)[: len(inputs)]
    tail = open_tail(one, threads=1)
    return codec_effects(model, one.split.exits, inputs, labels=labels, tail=tail, carried=one.split.carried)


def _network(manifest: Manifest, at: str, trust_code: bool, backbone: nn.Module | None) -> EarlyExitNetwork:
    """Return the network in a folder. Raises ExportError if it is not there or the programs are not ONNX files."""
    why = f"{at!r:.60} is not the cut point of an exit, so the segment around it is exported anew"
    known = ", ".join(map(repr, manifest.exits[:-1])) or "none"
    if manifest.kind != "onnx":
        raise ExportError(f"{why}, which needs --format onnx, got {manifest.kind}; split at an exit: {known}")
    for name in (DESIGN, WEIGHTS):
        if not (manifest.folder / name).is_file():
            raise ExportError(f"{manifest.folder}: has no {name}; {why} from it; copy it, or split at an exit: {known}")
    return load(manifest.folder, trust_code=trust_code, backbone=backbone)


def _joined(manifest: Manifest, folders: tuple[Path, Path]) -> ExportedModel:
    """Return the whole model that the halves in two folders make."""
    edge, cloud = (read_manifest(folder) for folder in folders)
    segments = join_halves(open_segments(edge, threads=1), open_tail(edge, threads=1), open_segments(cloud, threads=1))
    return ExportedModel(replace(manifest, single_file=None), segments)
