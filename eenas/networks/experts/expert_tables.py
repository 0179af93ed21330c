"""Exit tables of a network with experts, and its costs with those of the classifier."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.networks.exit_costs import ExitCosts
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.policies.costs import LATENCY, MACS, Costs
from eenas.policies.experts.routed_table import RoutedTable
from eenas.tasks.distortions.contexts import CLEAN
from eenas.tasks.inputs import InputSpec
from eenas.tasks.split import Split

Pictures = Iterable[tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]]
"""Batches of images uint8 [n, C, H, W], their labels [n] and the names of their contexts [n]."""


@torch.inference_mode()
def routed_table(
    network: ExpertNetwork, pictures: Pictures, costs: ExitCosts, *, balanced: bool = False, informed: bool = False
) -> RoutedTable:
    """Return the exit table of images, with the logits of the expert that the classifier chooses for each.

    `costs` are those of `costs_with_classifier`. With `informed`, the expert is that of the context instead, such as
    "gaussian_blur" for "gaussian_blur:3", and the first one for any other context: the figures of a classifier without
    mistakes.
    """
    rows, labels, contexts, experts = [], [], [], []
    device = next(network.body.parameters()).device
    for images, own, names in pictures:
        x = network.transform(torch.from_numpy(images).to(device))
        chosen = expert_of_context(network.names, names) if informed else network.choose(x)
        rows.append(torch.stack(network(x, chosen), dim=1).cpu().numpy())
        labels.append(own)
        contexts.append(names)
        experts.append(chosen)
    return RoutedTable(
        logits=np.concatenate(rows),
        labels=np.concatenate(labels),
        exits=network.exits,
        costs=costs.costs,
        balanced=balanced,
        contexts=np.concatenate(contexts),
        chosen=np.concatenate(experts),
        names=network.names,
    )


def split_batches(split: Split, inputs: InputSpec, *, batch_size: int = 256) -> Pictures:
    """Yield the images of a split as they are, with their contexts, as `routed_table` takes them."""
    reader = split.reader(inputs)
    for start in range(0, len(split), batch_size):
        rows = np.arange(start, min(start + batch_size, len(split)))
        contexts = np.full(len(rows), CLEAN) if split.contexts is None else split.contexts[rows]
        yield reader[rows].numpy(), split.labels[rows], contexts


def expert_of_context(names: Iterable[str], contexts: Iterable[str]) -> NDArray[np.int64]:
    """Return the number of the expert for each context [n]: that of its kind, or 0 if no expert has this kind."""
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers.get(str(context).partition(":")[0], 0) for context in contexts], dtype=np.int64)


def costs_with_classifier(costs: ExitCosts, macs: int, latency_ms: float | None = None) -> ExitCosts:
    """Return the costs of a network with those of the classifier, which runs for each sample, added to every exit.

    Without `latency_ms`, the measured milliseconds of the classifier, the latency is left out.
    """
    found: Costs = costs.costs.replacing(MACS, costs.costs[MACS] + macs)
    known = costs.costs.get(LATENCY)
    if known is not None:
        found = found.replacing(LATENCY, None if latency_ms is None else known + latency_ms)
    return ExitCosts(found, costs.parameters)


def confusion(chosen: NDArray[np.int64], contexts: NDArray[np.str_], names: Iterable[str]) -> NDArray[np.int64]:
    """Return how often each expert was chosen, [kinds, experts], from the choices [N] and the contexts [N]."""
    known = tuple(names)
    truth = expert_of_context(known, contexts)
    found = np.zeros((len(known), len(known)), dtype=np.int64)
    np.add.at(found, (truth, chosen), 1)
    return found


def in_batches(
    images: NDArray[np.uint8], labels: NDArray[np.int64], context: str, *, batch_size: int = 256
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]]:
    """Yield images of one context in batches, as `routed_table` takes them."""
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        yield images[part], labels[part], np.full(len(labels[part]), context)
