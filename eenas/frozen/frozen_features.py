"""The features of a frozen backbone at some cut points: of one batch, and of all batches of a training."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count, islice

import torch
from torch import Tensor, nn

from eenas.backbones.carried import Packer
from eenas.backbones.outputs import main_output
from eenas.frozen.feature_cache import FeatureStream
from eenas.training.batches import Batches
from eenas.training.execution import Execution

Features = dict[str, Tensor]
"""The features `[N, ...]` of a batch by cut point, float32."""


@torch.no_grad()
def read_features(module: nn.Module, names: Sequence[str], x: Tensor) -> tuple[Features, Tensor]:
    """Run `module` on inputs `[N, ...]`; return the features at the cut points `names`, and its logits in float32."""
    with _recorded(module, names) as found:
        logits = main_output(module(x))
    return {name: value.float() for name, value in found.items()}, logits.float()


@torch.no_grad()
def read_prefix(module: nn.Module, names: Sequence[str], x: Tensor) -> Features:
    """Return the features of inputs `[N, ...]` at the cut points `names`; `module` runs up to the deepest of them."""
    with _recorded(module, names, stop=True) as found:
        module(x)
    return {name: value.float() for name, value in found.items()}


def feature_batches(
    module: nn.Module,
    names: Sequence[str],
    batches: Batches,
    execution: Execution,
    *,
    first: int = 0,
    stream: FeatureStream | None = None,
) -> Generator[tuple[Features, Tensor]]:
    """Yield features at `names` and labels `[N]`, epoch after epoch without end, from the batch of number `first` on.

    The backbone `module` runs as `execution` says. Features that `stream` holds are read from it, and others are
    written to it.
    """
    device = next(module.parameters()).device
    epoch, skip = divmod(first, batches.steps())
    for number in count(epoch):
        if stream is not None and stream.holds(names):
            for labels in islice(batches.labels(number), skip, None):
                yield stream.read(names, len(labels), device), labels
        else:
            for inputs, labels in batches.epoch(number, skip):
                with execution.precision(device):
                    features = read_prefix(module, names, execution.place(inputs))
                yield features if stream is None else stream.write(features), labels
        skip = 0


@contextmanager
def _recorded(module: nn.Module, names: Sequence[str], *, stop: bool = False) -> Iterator[Features]:
    """Record what travels from the modules `names` inside the block; with `stop` the last one ends a forward pass."""
    found: Features = {}
    packer = Packer(module)

    def record(name: str, part: nn.Module, inputs: object, output: Tensor) -> None:
        found[name] = packer(output)
        if stop and len(found) == len(names):
            raise _DeepestReached

    modules = dict(module.named_modules())
    handles = [modules[name].register_forward_hook(partial(record, name)) for name in names]
    try:
        with packer:
            yield found
    except _DeepestReached:
        pass
    finally:
        for handle in handles:
            handle.remove()


class _DeepestReached(Exception):
    """Raised to end the forward pass at the deepest cut point."""
