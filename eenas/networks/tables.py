"""Run a network over one split: the logits of all exits with labels and costs."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.backbones.memory_format import laid
from eenas.measurement.pauses import pause_point
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.exit_table import ExitTable
from eenas.tasks.distortions.distorted_splits import PREFIX
from eenas.tasks.split import Split
from eenas.tasks.task import Task

SCORED = ("calibration", "validation")
"""The splits that scores of a search come from."""


def with_distorted(task: Task, splits: Iterable[str] = SCORED) -> tuple[str, ...]:
    """Return the names of splits, followed by those of their distorted counterparts if the task has any."""
    names = tuple(splits)
    others = (other for name in names if (other := PREFIX + name) in task.distorted_splits)
    return tuple(dict.fromkeys((*names, *others)))


@torch.inference_mode()
def exit_table(network: EarlyExitNetwork, split: Split, costs: ExitCosts, *, batch_size: int = 256) -> ExitTable:
    """Return the exit table of `network` on `split`: float32 logits `[N, K, C]` in the split's order, in eval mode."""
    was_training = network.training
    network.eval()
    parameter = next(network.parameters())
    try:
        rows = [
            torch.stack([logits.float() for logits in network(batch)], dim=1).cpu()
            for batch in batches(network, split, batch_size, parameter.device)
        ]
    finally:
        network.train(was_training)
    return ExitTable(
        logits=torch.cat(rows).numpy(),
        labels=split.labels,
        exits=network.exits,
        costs=costs.costs,
        balanced=split.balanced,
        contexts=split.contexts,
    )


def exit_tables(
    network: EarlyExitNetwork, task: Task, costs: ExitCosts, splits: Iterable[str] = SCORED
) -> dict[str, ExitTable]:
    """Return the exit tables of `network` by split and distorted counterpart; see `exit_table`."""
    return {name: exit_table(network, task.split(name), costs) for name in with_distorted(task, splits)}


def batches(network: EarlyExitNetwork, split: Split, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """The transformed samples `[n, *shape]` of a split in order, in the memory format that the network has.

    They are made ready as the network's transform says, which a device does too, whatever the task's own preference.
    """
    transform = network.transform
    source = split.reader(transform.inputs)
    for start in range(0, len(split), batch_size):
        pause_point()
        indices = np.arange(start, min(start + batch_size, len(split)))
        yield laid(transform(source[indices].to(device)), network.memory_format)


@torch.inference_mode()
def logits_of(network: EarlyExitNetwork, samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return the logits [n, K, C] of all exits for samples [n, ...] as a task gives them, in the network's mode."""
    device = next(network.parameters()).device
    x = laid(network.transform(torch.from_numpy(samples).to(device)), network.memory_format)
    return np.asarray(torch.stack([each.float() for each in network(x)], dim=1).cpu().numpy())
