"""The memory format of inference: channels last, where a module runs so and gives the same."""

import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of
from eenas.backbones.outputs import main_output
from eenas.seeding import seeded

INFERENCE = torch.channels_last
"""How feature maps and the weights of convolutions lie: what convolutions on CPUs want, and on GPUs with few bits."""

PLAIN = torch.contiguous_format
"""The format of what does not run in that of inference: a `view` of a map is enough for that."""


@torch.no_grad()
def lay_out(module: nn.Module, memory_format: torch.memory_format = INFERENCE) -> None:
    """Put the weights of convolutions into `memory_format`, in place: the parameters stay the objects that they are.

    Values and keys do not change. What has not four dimensions is left alone.
    """
    with torch.inference_mode(False):
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.dim() == 4 and not tensor.is_contiguous(memory_format=memory_format):
                tensor.data = tensor.data.contiguous(memory_format=memory_format)


def laid(x: Tensor, memory_format: torch.memory_format) -> Tensor:
    """A batch `[N, C, H, W]` in a memory format; what has not four dimensions is left alone."""
    return x.contiguous(memory_format=memory_format) if x.dim() == 4 else x


def format_of(module: nn.Module, example: Tensor) -> torch.memory_format:
    """INFERENCE where `module` runs in it on inputs like `example` [N, ...] and gives the same, else PLAIN.

    Tried on a copy, in evaluation and in a training step. A module that does not run at all is for others to refuse.
    """
    if not any(tensor.dim() == 4 for tensor in (example, *module.parameters())):
        return INFERENCE  # there is nothing to lay out
    try:
        with seeded(0), torch.inference_mode(False):
            copied = copy_of(module)
            copied.eval()
            with torch.no_grad():
                expected = main_output(copied(laid(example, PLAIN).clone()))
                lay_out(copied)
                got = main_output(copied(laid(example, INFERENCE).clone()))
            scale = float(expected.abs().nan_to_num(0, 0, 0).max())
            if not torch.allclose(got, expected, rtol=0, atol=1e-3 * max(scale, 1e-6), equal_nan=True):
                return PLAIN
            copied.train()
            with torch.enable_grad():
                output = main_output(copied(laid(example, INFERENCE).clone()))
                if output.requires_grad:
                    output.float().square().mean().backward()  # type: ignore[no-untyped-call]
    except Exception:  # whatever a module raises for a layout that it was not written for
        return PLAIN
    return INFERENCE
