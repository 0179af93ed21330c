"""The logits of a frozen backbone's classifier, and the features that it reads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from eenas.backbones.classifier import evaluating, find_classifier
from eenas.backbones.outputs import main_output
from eenas.backbones.transforms.transform import Transform
from eenas.frozen.linear_probe import LinearProbe
from eenas.tasks.split import Split

BATCH = 128


@dataclass(frozen=True, eq=False)
class FrozenHead:
    """The classifier's `logits` [N, C] on a split of N samples, and the `features` [N, D] that it reads.

    float32 on the CPU, in eval mode. `features` is None if the logits are not the output of a single Linear layer.
    """

    logits: Tensor
    features: Tensor | None

    def correct(self, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each sample [N] is classified correctly."""
        return np.asarray(self.logits.argmax(dim=1).numpy() == labels)


def read_head(module: nn.Module, transform: Transform, split: Split) -> FrozenHead:
    """Run `module` over `split` in eval mode and float32, on the module's device."""
    place = next(module.parameters())
    name = linear_head(module, transform.example(2).to(place.device))
    source = split.reader(transform.inputs)
    logits, features, read = [], [], list[Tensor]()
    handle = None if name is None else module.get_submodule(name).register_forward_pre_hook(_record_inputs(read))
    try:
        with evaluating(module):
            for start in range(0, len(split), BATCH):
                read.clear()
                rows = np.arange(start, min(start + BATCH, len(split)))
                logits.append(main_output(module(transform(source[rows].to(place.device)))).float().cpu())
                features += [value.float().cpu() for value in read]
    finally:
        if handle is not None:
            handle.remove()
    return FrozenHead(torch.cat(logits), torch.cat(features) if name is not None else None)


def linear_head(module: nn.Module, example: Tensor) -> str | None:
    """Return the name of the Linear layer (with a bias) that outputs the logits of `example`, or None."""
    found = find_classifier(module, example)
    layer = module.get_submodule(found[0]) if len(found) == 1 else None
    if not isinstance(layer, nn.Linear) or layer.bias is None:
        return None
    read: list[Tensor] = []
    handle = layer.register_forward_pre_hook(_record_inputs(read))
    try:
        with evaluating(module):
            logits = main_output(module(example))
            alike = (
                len(read) == 1
                and read[0].ndim == 2
                and torch.allclose(functional.linear(read[0], layer.weight, layer.bias), logits, atol=1e-5)
            )
    finally:
        handle.remove()
    return found[0] if alike else None


def put_head(module: nn.Module, name: str, probe: LinearProbe) -> None:
    """Copy the probe's weights into the Linear layer `name` of `module` (see `linear_head`)."""
    layer = module.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.copy_(probe.weight)
        layer.bias.copy_(probe.bias)


def _record_inputs(read: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """Return a hook that appends a layer's input to `read`."""

    def record(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        read.append(inputs[0].detach())

    return record
