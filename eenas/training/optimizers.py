"""The optimizer of a training choice, with its parameter groups."""

from typing import Any

import torch
from torch import nn

from eenas.designs.design import TrainingChoice
from eenas.errors import DesignError
from eenas.networks.network import EarlyExitNetwork
from eenas.training.strategies import Phase


def build_optimizer(
    network: EarlyExitNetwork, loss: nn.Module, choice: TrainingChoice, phase: Phase
) -> torch.optim.Optimizer:
    """Return SGD with Nesterov momentum 0.9, or AdamW, for the parameters that have a gradient in a phase.

    The learning rate of the backbone is `backbone_rate` times that of the branches; the phase multiplies both. Weight
    decay applies only to matrices and kernels, not to biases, normalisation or the weights of the loss.

    Raises DesignError for an unknown optimizer.
    """
    groups: list[dict[str, Any]] = []
    of_backbone = choice.backbone_rate * phase.backbone_rate
    for module, rate in ((network.backbone, of_backbone), (network.branches, 1.0), (loss, 1.0)):
        for decayed in (True, False):
            parameters = [
                p for p in module.parameters() if p.requires_grad and (p.ndim > 1 and module is not loss) == decayed
            ]
            if parameters:
                groups.append(
                    {
                        "params": parameters,
                        "lr": choice.learning_rate * phase.rate * rate,
                        "weight_decay": choice.weight_decay if decayed else 0.0,
                    }
                )
    if choice.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=choice.learning_rate, momentum=0.9, nesterov=True)
    if choice.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=choice.learning_rate)
    raise DesignError(f"unknown optimizer {choice.optimizer!r}; known: 'sgd', 'adamw'")
