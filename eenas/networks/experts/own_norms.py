"""Batch normalisation that an expert has of its own: a backbone that shares everything else with another one."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of
from eenas.errors import DesignError


def norms_of(module: nn.Module) -> dict[str, nn.modules.batchnorm._BatchNorm]:
    """Return the batch normalisations of a module that have running statistics, by name."""
    return {
        name: each
        for name, each in module.named_modules()
        if isinstance(each, nn.modules.batchnorm._BatchNorm) and each.running_mean is not None
    }


def need_norms(backbone: nn.Module) -> None:
    """Raise DesignError unless the backbone has batch normalisation with running statistics."""
    if not norms_of(backbone):
        raise DesignError(
            "batch normalisation per kind needs a backbone with running statistics of batch normalisation, and this "
            'one has none; set batch_norm to "shared"'
        )


def with_own_norms(backbone: nn.Module) -> nn.Module:
    """Return a copy of a backbone that shares all tensors with it but those of its batch normalisations."""
    norms = norms_of(backbone).values()
    own = {id(tensor) for norm in norms for tensor in (*norm.parameters(), *norm.buffers())}
    tensors = (*backbone.parameters(), *backbone.buffers())
    return copy_of(backbone, sharing={id(tensor): tensor for tensor in tensors if id(tensor) not in own})


def norm_state(backbone: nn.Module) -> dict[str, Tensor]:
    """Return the state of the batch normalisations of a backbone, with the keys of its state dict."""
    norms = norms_of(backbone).items()
    return {f"{name}.{key}": value for name, norm in norms for key, value in norm.state_dict().items()}


@torch.no_grad()
def estimate_norms(backbone: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of batch normalisation by the means over `batches`, each [n, ...] with n >= 2.

    Each layer reads what the layers before it give with the statistics of the batch (Li et al. 2017, "Revisiting Batch
    Normalization for Practical Domain Adaptation"). Other modules stay in eval mode. Nothing else changes.
    """
    norms = tuple(norms_of(backbone).values())
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch then takes the mean over all batches
        norm.training = True
    try:
        for batch in batches:
            backbone(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum, norm.training = momentum, False
