"""The memory format of inference: channels last, if the module runs in it and gives the same logits."""

import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of
from eenas.backbones.outputs import main_output
from eenas.faults import raise_shortage
from eenas.seeding import seeded

INFERENCE = torch.channels_last
"""The format of feature maps and convolution weights: fastest on CPUs, and on GPUs in half precision."""

PLAIN = torch.contiguous_format
"""The format of modules that do not run in the inference format, for example because they call `view` on a map."""


@torch.no_grad()
def lay_out(module: nn.Module, memory_format: torch.memory_format = INFERENCE) -> None:
    """Convert the weights of convolutions to `memory_format`, in place: parameters stay the same objects.

    Values and keys do not change, nor do tensors without four dimensions.
    """
    with torch.inference_mode(False):
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.dim() == 4 and not tensor.is_contiguous(memory_format=memory_format):
                tensor.data = tensor.data.contiguous(memory_format=memory_format)


def laid(x: Tensor, memory_format: torch.memory_format) -> Tensor:
    """Return a batch [N, C, H, W] in `memory_format`; a tensor without four dimensions is returned unchanged."""
    return x.contiguous(memory_format=memory_format) if x.dim() == 4 else x


def format_of(module: nn.Module, example: Tensor) -> torch.memory_format:
    """Return INFERENCE if `module` runs in it on inputs like `example` [N, ...] and gives the same logits, else PLAIN.

    A copy is tried in eval mode and in a training step. A module that does not run at all gets PLAIN; other checks
    report it.
    """
    if not any(tensor.dim() == 4 for tensor in (example, *module.parameters())):
        return INFERENCE  # nothing to convert
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
    except Exception as error:  # a user's module may raise anything
        raise_shortage(error)
        return PLAIN
    return INFERENCE
