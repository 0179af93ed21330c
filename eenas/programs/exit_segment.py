"""A backbone segment and its exit as one module, and as a program of torch.export."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from eenas.backbones.carried import exact_columns, varying_axes
from eenas.backbones.chain import plain_inference
from eenas.backbones.cut_points import with_batch_size
from eenas.backbones.exported import export_program
from eenas.errors import CutError, ExportError
from eenas.networks.network import EarlyExitNetwork, exit_logits
from eenas.programs.segments import OUTPUTS


class ExitSegment(nn.Module):
    """A segment and its exit. `forward` returns (features, logits); the last segment returns (logits,).

    `x` [N, ...] is the input or the features of the previous segment. `previous` [N, num_classes] holds the logits of
    the previous exit, which the branch reads only if `takes_previous`.
    """

    def __init__(
        self, segment: nn.Module, branch: nn.Module | None, *, last: bool, takes_previous: bool, boosted: bool
    ) -> None:
        super().__init__()
        self.segment, self.branch, self.last = segment, branch, last
        self.takes_previous, self.boosted = takes_previous, boosted

    @property
    def varying(self) -> tuple[int, ...]:
        """The axes of `x` beside the batch that may have any length."""
        return varying_axes(self.segment)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return OUTPUTS[1:] if self.last else OUTPUTS

    def forward(self, x: Tensor, previous: Tensor | None = None) -> tuple[Tensor, ...]:
        """Run the segment and its exit."""
        features = self.segment(x)
        logits = exit_logits(self.branch, features, previous, boosted=self.boosted).float()
        return (logits,) if self.last else (features, logits)


@dataclass(frozen=True, eq=False)
class SegmentProgram:
    """The program of one exit, exported from `module` for any batch size on the `examples` [2, ...].

    `exit` is the cut point where it ends (empty at the end), `before` the one where it starts (empty at the input).
    """

    program: ExportedProgram
    module: ExitSegment
    examples: tuple[Tensor, ...]
    exit: str
    before: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample of the input, with 0 for axes of any length."""
        return stated_shape(self.examples[0], self.module.varying)

    @property
    def carried(self) -> int:
        """The number of columns of the input that stay exact on their way from a split; 0 for samples."""
        return exact_columns(self.module.segment, self.examples[0]) if self.before else 0

    @property
    def where(self) -> str:
        """The location in the network, for messages."""
        start = f"from cut point {self.before!r}" if self.before else "from the input"
        return f"the segment {start} to " + ("the end" if self.exit == "" else f"cut point {self.exit!r}")


def stated_shape(example: Tensor, varying: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of one sample of `example` [N, ...], with 0 for the axes that may have any length."""
    return tuple(0 if axis in varying else size for axis, size in enumerate(example.shape) if axis)


def segment_programs(network: EarlyExitNetwork) -> tuple[SegmentProgram, ...]:
    """Return the programs of all segments and exits of a network on the CPU in eval mode. Weights are not copied.

    Raises ExportError if the backbone cannot be cut or torch.export cannot trace a segment or branch.
    """
    x = network.transform.example(2)
    programs: list[SegmentProgram] = []
    previous, before = x, ""
    with plain_inference(network), torch.no_grad():
        try:
            chain = network.chain(x)
            for name, segment in zip(network.exits, chain.segments, strict=False):  # a static network ends early
                module = ExitSegment(
                    segment,
                    None if name == network.final else network.branches.at(name),
                    last=name == network.exits[-1],
                    takes_previous=network.reads_previous(name),
                    boosted=network.is_boosted,
                ).eval()
                taken = (x, previous) if module.takes_previous else (x,)
                examples = tuple(with_batch_size(example, 2) for example in taken)
                program = export_program(module, examples, f"the segment at exit {name!r}", (module.varying,))
                for node in program.graph.nodes:
                    node.meta.pop("stack_trace", None)  # it contains paths of this machine
                end = "" if name == network.final else name
                programs.append(SegmentProgram(program, module, examples, end, before))
                found: tuple[Tensor, ...] = module(*examples)
                x, previous, before = found[0], found[-1], name
        except CutError as error:
            raise ExportError(str(error)) from error
    return tuple(programs)
