"""The memory format of inference: the same for every network, so that each is timed as it will run."""

import torch
from torch import nn

INFERENCE = torch.channels_last
"""How feature maps and the weights of convolutions lie: what convolutions on CPUs want, and on GPUs with few bits."""


@torch.no_grad()
def lay_out(module: nn.Module, memory_format: torch.memory_format = INFERENCE) -> None:
    """Put the weights of convolutions into `memory_format`, in place: the parameters stay the objects that they are.

    Values and keys do not change. What has not four dimensions is left alone.
    """
    with torch.inference_mode(False):
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.dim() == 4 and not tensor.is_contiguous(memory_format=memory_format):
                tensor.data = tensor.data.contiguous(memory_format=memory_format)
