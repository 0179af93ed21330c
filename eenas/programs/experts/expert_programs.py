"""The programs of a network with experts as ONNX files: the backbone in segments, and the exits of each expert."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.chain import plain_inference
from eenas.backbones.cut_points import with_batch_size
from eenas.backbones.exported import export_program
from eenas.backbones.memory_format import PLAIN, lay_out
from eenas.branches.abilities import takes_previous
from eenas.errors import CutError, ExportError
from eenas.files import write_text
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.networks.network import exit_logits
from eenas.programs.exit_segment import ExitSegment, SegmentProgram
from eenas.programs.manifest import ProgramFile, checksum
from eenas.programs.onnx_program import onnx_model
from eenas.programs.programs import RUNTIME, need_onnx, program_versions, write_onnx
from eenas.programs.runtime_source import runtime_source
from eenas.programs.segments import OUTPUTS
from eenas.specs import to_table


class BackbonePart(ExitSegment):
    """A segment of the backbone without an exit; `forward` returns (features,)."""

    def __init__(self, segment: nn.Module) -> None:
        super().__init__(segment, None, last=False, takes_previous=False, boosted=False)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The name of the output."""
        return OUTPUTS[:1]

    def forward(self, x: Tensor, previous: Tensor | None = None) -> tuple[Tensor, ...]:
        """Run the segment."""
        return (self.segment(x),)


def write_expert_programs(network: ExpertNetwork, folder: Path) -> dict[str, Any]:
    """Write the programs of `network` (on the CPU) and the runtime. Returns the "program" table of the manifest.

    A backbone segment is one file for all experts; each expert has a file for each exit. With their own batch
    normalisation, each expert has a file for each segment with its exit instead. Raises ExportError if torch.export or
    ONNX does not support a part.
    """
    need_onnx()
    lay_out(network, PLAIN)
    rows = _own_programs(network, folder) if network.own_norms else _shared_programs(network, folder)
    write_text(folder / RUNTIME, runtime_source())
    return {"kind": "onnx", **rows, "versions": program_versions("onnx")}


def _shared_programs(network: ExpertNetwork, folder: Path) -> dict[str, Any]:
    """Write the segments of the backbone, and the exits of each expert; return their tables."""
    x = network.transform.example(2)
    previous: list[Tensor | None] = [None for _ in network.names]
    bodies: list[dict[str, Any]] = []
    heads: list[list[dict[str, Any]]] = [[] for _ in network.names]
    before = ""
    with plain_inference(network), torch.no_grad():
        try:
            for k, (name, segment) in enumerate(zip(network.exits, network.segments(x), strict=True)):
                part = BackbonePart(segment).eval()
                bodies.append(_write(part, (x,), folder / f"segment_{k}.onnx", before, name))
                x = part(x)[0]
                for number in range(len(network.names)):
                    head = _head(network, number, k)
                    before_it = previous[number]
                    taken = (x, before_it) if head.takes_previous and before_it is not None else (x,)
                    file = folder / f"expert_{number}_exit_{k}.onnx"
                    heads[number].append(_write(head, taken, file, name, name))
                    previous[number] = exit_logits(
                        network.branch(number, k), x, before_it, boosted=network.is_boosted
                    ).float()
                before = name
        except CutError as error:
            raise ExportError(str(error)) from error
    return {"segments": bodies, "experts": heads}


def _own_programs(network: ExpertNetwork, folder: Path) -> dict[str, Any]:
    """Write the segments with their exits of each expert, the first as "segments"; return their tables."""
    rows: list[list[dict[str, Any]]] = []
    for number in range(len(network.names)):
        x = network.transform.example(2)
        row: list[dict[str, Any]] = []
        previous, before = x, ""
        with plain_inference(network), torch.no_grad():
            try:
                for k, (name, segment) in enumerate(zip(network.exits, network.segments(x, number), strict=True)):
                    head = _head(network, number, k)
                    last = k == len(network.exits) - 1
                    part = ExitSegment(
                        segment, head.branch, last=last, takes_previous=head.takes_previous, boosted=network.is_boosted
                    ).eval()
                    file = f"segment_{k}.onnx" if number == 0 else f"expert_{number}_segment_{k}.onnx"
                    taken = (x, previous) if part.takes_previous else (x,)
                    row.append(_write(part, taken, folder / file, before, name))
                    found = part(*taken)
                    x, previous, before = found[0], found[-1], name
            except CutError as error:
                raise ExportError(str(error)) from error
        rows.append(row)
    return {"segments": rows[0], "experts": rows[1:]}


def _head(network: ExpertNetwork, number: int, k: int) -> ExitSegment:
    """Return the exit of one expert as a last segment, which returns its logits alone."""
    branch = network.branch(number, k)
    reads = k > 0 and (network.is_boosted or takes_previous(branch))
    return ExitSegment(nn.Identity(), branch, last=True, takes_previous=reads, boosted=network.is_boosted).eval()


def _write(module: ExitSegment, given: tuple[Tensor, ...], file: Path, before: str, end: str) -> dict[str, Any]:
    """Write the program of a module on examples, and return its table."""
    examples = tuple(with_batch_size(example, 2) for example in given)
    program = export_program(module, examples, f"{file.stem} at exit {end!r}")
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it contains paths of this machine
    segment = SegmentProgram(program, module, examples, end, before)
    write_onnx(onnx_model(segment), file)
    shape = tuple(examples[0].shape[1:])
    written = ProgramFile(file=file.name, sha256=checksum(file), shape=shape, takes_previous=module.takes_previous)
    found: dict[str, Any] = to_table(written)
    return found
