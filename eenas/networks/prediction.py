"""Inference that really stops: samples that leave are taken out of the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eenas.errors import InputError, PolicyError
from eenas.policies.policy import Policy

if TYPE_CHECKING:
    from eenas.networks.network import EarlyExitNetwork


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a batch of N answered, in the order of the input.

    `classes` `[N]` int64 class indices, as the policy answers; `exits` `[N]` int64 the exit (0 is the first) where the
    sample left; `logits` `[N, num_classes]` float32 of that exit, before its temperature; `exit_names` the exits in
    depth order.
    """

    classes: Tensor
    exits: Tensor
    logits: Tensor
    exit_names: tuple[str, ...]


@torch.inference_mode()
def predict(network: EarlyExitNetwork, x: Tensor, policy: Policy | None) -> Prediction:
    """Run `network` segment by segment on `[N, C, S, S]`, removing whoever leaves; on the network's device.

    Raises InputError for a batch that is not finite, as the runtime of an exported model does.
    """
    if policy is None:
        raise PolicyError("this network has no policy; pass one, or load a network that eenas exported from a study")
    if policy.num_exits != len(network.exits):
        raise PolicyError(f"the policy is for {policy.num_exits} exits, the network has {len(network.exits)}")
    _check_finite(x)
    was_training = network.training
    network.eval()
    try:
        return _run(network, x, policy)
    finally:
        if was_training:
            network.train()


def _check_finite(x: Tensor) -> None:
    """Raise InputError naming the first sample of `[N, ...]` that holds NaN or infinity."""
    # The sum of finite numbers is finite but for an overflow, and a few times faster than a look at each.
    if not math.isfinite(x.sum(dtype=torch.promote_types(x.dtype, torch.float32))) and not x.isfinite().all():
        bad = int((~x.isfinite().flatten(1).all(dim=1)).nonzero()[0])
        raise InputError(f"a batch is finite numbers, got NaN or infinity in sample {bad} of {len(x)}")


def _run(network: EarlyExitNetwork, x: Tensor, policy: Policy) -> Prediction:
    total, device = len(x), x.device
    chain = network.chain(x[:1])
    classes = torch.zeros(total, dtype=torch.int64, device=device)
    exits = torch.zeros(total, dtype=torch.int64, device=device)
    logits = torch.zeros(total, network.design.num_classes, dtype=torch.float32, device=device)
    active, features = torch.arange(total, device=device), x
    previous: Tensor | None = None
    state = policy.start(total)
    for k, name in enumerate(network.exits):
        if len(active) == 0:
            break
        features = chain.segments[k](features)
        previous = found = network.exit_logits(name, features, previous).float()
        decided, state = policy.decide(k, found.cpu().numpy(), state)
        if not decided.any():
            continue
        leave = torch.from_numpy(decided).to(device)
        leaving = active[leave]
        classes[leaving] = torch.from_numpy(policy.answer(state[decided])).to(device)
        exits[leaving] = k
        logits[leaving] = found[leave]
        active, features, previous = active[~leave], features[~leave], found[~leave]
        state = state[~decided]
    return Prediction(classes=classes, exits=exits, logits=logits, exit_names=network.exits)
