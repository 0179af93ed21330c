"""The optimiser of a training choice, with its groups of parameters."""

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
    """SGD with Nesterov momentum 0.9, or AdamW, for what has a gradient in a phase.

    The backbone learns at `backbone_rate` times the rate of the branches; the phase multiplies both rates. Weight decay
    is for matrices and kernels only, not for biases, normalisation or the weights of the loss.
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
