"""Training of a node network: the joint loss over all exits, on the whole graph at once."""

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eenas.errors import DivergedError, TrainingError
from eenas.escaping import shortened
from eenas.networks.nodes.node_network import NodeNetwork, check_fits, tensors_of
from eenas.seeding import derive, seeded
from eenas.tasks.graphs.labelled_nodes import NodeTask
from eenas.tasks.splitting import hold_out
from eenas.training.distillation import distillation_loss
from eenas.training.losses import exit_weights

TUNE_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class NodeTraining:
    """How a node network is trained.

    `loss_weights` is a scheme of `exit_weights`. `distillation` in [0, 1] is the share of the loss of the earlier exits
    that the final exit teaches, on all nodes (inception distillation of Zhang et al. 2023, "NAI"). `frozen_share` in
    [0, 1] is the share of steps in which each node leaves at a random exit and sends its features from then on, which
    prepares the network for the frozen form of `predict_nodes`; nobody is taught in these. `final_only` trains the
    final exit alone, the network without exits. The weights with the lowest loss on a tenth of the train split (`tune`)
    are kept, and training ends after `patience` epochs without a lower one.
    """

    epochs: int = 300
    learning_rate: float = 0.01
    weight_decay: float = 5e-4
    loss_weights: str = "equal"
    distillation: float = 0.0
    temperature: float = 2.0
    frozen_share: float = 0.0
    final_only: bool = False
    patience: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise TrainingError for values out of range."""
        counts, rates = (self.epochs, self.patience), (self.learning_rate, self.weight_decay)
        numbers = all(type(value) is int for value in counts) and all(type(value) in (int, float) for value in rates)
        if not (numbers and min(counts) >= 1 and 0 < rates[0] < math.inf and 0 <= rates[1] < math.inf):
            raise TrainingError(
                "epochs and patience are whole numbers from 1 up, learning_rate is positive and weight_decay not "
                f"negative, got {self.epochs}, {self.patience}, {self.learning_rate} and {self.weight_decay}"
            )
        shares = (self.distillation, self.frozen_share)
        numbers = all(type(value) in (int, float) for value in (*shares, self.temperature))
        if not (numbers and min(shares) >= 0 and max(shares) <= 1 and 0 < self.temperature < math.inf):
            raise TrainingError(
                "distillation and frozen_share lie in [0, 1] and temperature is positive and finite, got "
                f"{self.distillation}, {self.frozen_share} and {self.temperature}"
            )
        if type(self.seed) is not int or self.seed < 0:
            raise TrainingError(f"seed is a whole number from 0 up, got {shortened(self.seed)}")


@dataclass(frozen=True)
class NodeTrainingReport:
    """The number of epochs run, and the lowest mean loss of the trained exits on the nodes of `tune`."""

    epochs: int
    tune_loss: float


def train_nodes(network: NodeNetwork, task: NodeTask, training: NodeTraining | None = None) -> NodeTrainingReport:
    """Train all exits of `network` on the train split of `task`, on the network's device; it ends in eval mode.

    Raises InputError for a network of other features or classes, and DivergedError for a loss that is not finite.
    """
    training = training or NodeTraining()
    check_fits(network, task)
    with seeded(derive(training.seed, "nodes")):
        return _train(network, task, training)


def _train(network: NodeNetwork, task: NodeTask, training: NodeTraining) -> NodeTrainingReport:
    device = network.encoder.weight.device
    x, edges = tensors_of(task.graph, device)
    rows = task.split("train")
    kept, held = hold_out(task.labels[rows], TUNE_SHARE, training.seed)
    train, tune = (torch.from_numpy(rows[each]).to(device) for each in (kept, held))
    labels = torch.from_numpy(np.array(task.labels)).to(device)
    weights = exit_weights(training.loss_weights, network.macs(float(task.graph.edges.shape[1]) / len(x)), 1.0)
    if training.final_only:
        weights[:-1] = 0.0
    optimizer = torch.optim.AdamW(network.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    best, best_state, best_epoch, epoch = float("inf"), copy.deepcopy(network.state_dict()), 0, 0
    for epoch in range(1, training.epochs + 1):
        network.train()
        leaves = None
        if training.frozen_share and float(torch.rand(())) < training.frozen_share:
            leaves = torch.randint(0, network.hops + 1, (len(x),), device=device)
        logits = network(x, edges, leaves)
        loss = torch.zeros((), device=device)
        for k, each in enumerate(logits):
            reached = train if leaves is None else train[leaves[train] >= k]
            if len(reached) and weights[k]:
                teacher = None if leaves is not None or k == network.hops else logits[-1]
                loss = loss + float(weights[k]) * _loss(each, teacher, labels, reached, training)
        if not bool(torch.isfinite(loss)):
            raise DivergedError(
                f"the loss is not finite (learning_rate={training.learning_rate:g}); lower the learning rate"
            )
        if loss.requires_grad:  # with `final_only`, no train node may have reached the final exit in a frozen step
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        value = _tune_loss(network, x, edges, labels, tune, final_only=training.final_only)
        if value < best:
            best, best_state, best_epoch = value, copy.deepcopy(network.state_dict()), epoch
        elif epoch - best_epoch >= training.patience:
            break
    network.load_state_dict(best_state)
    network.eval()
    return NodeTrainingReport(epoch, best)


def _loss(logits: Tensor, teacher: Tensor | None, labels: Tensor, rows: Tensor, training: NodeTraining) -> Tensor:
    """Return the loss of an exit on the nodes `rows`; the logits of a teacher teach it on all nodes."""
    loss = functional.cross_entropy(logits[rows], labels[rows])
    if training.distillation and teacher is not None:
        taught = distillation_loss(logits, teacher, training.temperature)
        loss = (1 - training.distillation) * loss + training.distillation * taught
    return loss


@torch.no_grad()
def _tune_loss(
    network: NodeNetwork, x: Tensor, edges: Tensor, labels: Tensor, tune: Tensor, *, final_only: bool
) -> float:
    network.eval()
    logits = network(x, edges)
    losses = [functional.cross_entropy(each[tune], labels[tune]) for each in (logits[-1:] if final_only else logits)]
    return float(torch.stack(losses).mean())
