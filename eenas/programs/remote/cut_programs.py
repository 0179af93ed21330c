"""A segment cut at a place between two exits, exported anew as two ONNX programs."""

from pathlib import Path

import torch
from torch import Tensor

from eenas.backbones.carried import exact_columns
from eenas.backbones.chain import Chain, plain_inference
from eenas.backbones.cut_points import with_batch_size
from eenas.backbones.exported import export_program
from eenas.errors import CutError, ExportError
from eenas.networks.network import EarlyExitNetwork
from eenas.programs.exit_segment import ExitSegment, SegmentProgram, stated_shape
from eenas.programs.experts.expert_programs import BackbonePart
from eenas.programs.onnx_program import onnx_model
from eenas.programs.programs import need_onnx, write_onnx
from eenas.programs.remote.half_folders import CutPrograms
from eenas.programs.remote.split_facts import TAIL


def write_cut_programs(network: EarlyExitNetwork, names: tuple[str, ...], at: str, folder: Path) -> CutPrograms:
    """Write the two programs of the segment that contains the cut point `at` to a folder.

    `network` is on the CPU in eval mode; `names` are its cut points with exits and `at`, in depth order. Raises
    ExportError if the backbone cannot be cut there or a part cannot be exported.
    """
    need_onnx()
    x = network.transform.example(2)
    number = names.index(at)
    exit_ = network.exits[number]
    with plain_inference(network), torch.no_grad():
        try:
            chain = Chain.built_from(network.backbone, x, names)
        except CutError as error:
            raise ExportError(str(error)) from error
        features = [x]
        for segment in list(chain.segments)[: number + 1]:
            features.append(segment(features[-1]))
        before = names[number - 1] if number else ""
        tail = BackbonePart(chain.segments[number]).eval()
        _write(tail, (features[number],), folder / TAIL, before, at)
        rest = ExitSegment(
            chain.segments[number + 1],
            None if exit_ == network.final else network.branches.at(exit_),
            last=exit_ == network.exits[-1],
            takes_previous=network.reads_previous(exit_),
            boosted=network.is_boosted,
        ).eval()
        given = (features[-1], torch.zeros(2, network.design.num_classes)) if rest.takes_previous else (features[-1],)
        file = folder / f"segment_{number}.onnx"
        _write(rest, given, file, at, "" if exit_ == network.final else exit_)
    return CutPrograms(
        tail=folder / TAIL,
        tail_shape=stated_shape(features[number], tail.varying),
        rest=file,
        rest_shape=stated_shape(features[-1], rest.varying),
        carried=exact_columns(rest.segment, features[-1]),
    )


def _write(module: ExitSegment, given: tuple[Tensor, ...], file: Path, before: str, end: str) -> None:
    examples = tuple(with_batch_size(example, 2) for example in given)
    program = export_program(module, examples, f"the part of the backbone up to {end!r}", (module.varying,))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it contains paths of this machine
    write_onnx(onnx_model(SegmentProgram(program, module, examples, end, before)), file)
