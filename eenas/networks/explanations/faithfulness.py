"""Faithfulness of maps: the class's probability as the most relevant places are deleted or inserted."""

from dataclasses import dataclass

import torch
from torch import Tensor

from eenas.networks.network import EarlyExitNetwork

STEPS = 10
"""The number of equal parts in which the places are deleted and inserted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Faithfulness:
    """Areas under the curves of n samples at K exits, `[n, K]` float32 in [0, 1] (Petsiuk et al. 2018, section 4.3).

    `deletion` is the mean probability of the class while the most relevant places are deleted first (lower is better),
    `insertion` while they are inserted first (higher is better). `shuffled` is the deletion by the map of another
    sample, for comparison: a random order of places would add edges that harm any answer.
    """

    deletion: Tensor
    insertion: Tensor
    shuffled: Tensor


@torch.no_grad()
def faithfulness(network: EarlyExitNetwork, x: Tensor, maps: Tensor, classes: Tensor) -> Faithfulness:
    """Return the areas for transformed samples `[n, ...]`, their maps `[n, K, *sides]` and `classes` `[n]`.

    A deleted place has the mean value of its sample in each channel. The other sample is the next one, for the last
    sample the first. The network runs 3 K (STEPS + 1) times on the samples, only as far as the exit in question.
    """
    was_training = network.training
    network.eval()
    blank = x.flatten(2).mean(dim=2).reshape(*x.shape[:2], *[1] * (x.dim() - 2)).expand_as(x)
    rows = []
    try:
        for k in range(maps.shape[1]):
            ranks = _ranks(maps[:, k].flatten(1)).reshape(maps[:, k].shape)
            runs = ((ranks, x, blank), (ranks, blank, x), (ranks.roll(-1, dims=0), x, blank))
            rows.append([_area(network, k, classes, *run) for run in runs])
    finally:
        network.train(was_training)
    deletion, insertion, shuffled = (torch.stack([row[each] for row in rows], dim=1) for each in range(3))
    return Faithfulness(deletion=deletion, insertion=insertion, shuffled=shuffled)


def _area(network: EarlyExitNetwork, k: int, classes: Tensor, ranks: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Return the area `[n]` under the probabilities while places change from `before` to `after` by rising rank."""
    values = []
    for step in range(STEPS + 1):
        changed = (ranks < step / STEPS)[:, None].to(before.device)
        (logits,) = network(torch.where(changed, after, before), exits=[k])
        values.append(logits.float().softmax(dim=1).cpu().gather(1, classes.cpu()[:, None])[:, 0])
    return torch.trapezoid(torch.stack(values), dx=1 / STEPS, dim=0)


def _ranks(values: Tensor) -> Tensor:
    """Return the ranks of values `[n, places]` in [0, 1), 0 for the largest; ties in row-major order."""
    order = values.argsort(dim=1, descending=True, stable=True)
    ranks = torch.empty_like(values)
    places = torch.arange(values.shape[1], dtype=values.dtype).expand_as(values)
    return ranks.scatter_(1, order.to(values.device), places) / values.shape[1]
