"""Early-exit inference with experts: one backbone for the whole batch, and at each exit one group for each expert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.errors import PolicyError, plural
from eenas.networks.prediction import NetworkPrediction, answered, check_answers, check_finite, in_eval
from eenas.policies.experts.expert_policy import ExpertPolicy

if TYPE_CHECKING:
    from eenas.networks.experts.expert_network import ExpertNetwork


@dataclass(frozen=True, eq=False)
class ExpertPrediction(NetworkPrediction):
    """The answers for a batch of N samples, with the expert [N] int64 that answered each, a number of `expert_names`.

    Without a kind of distortion that the classifier knows, this is the expert for clean images, number 0.
    """

    experts: Tensor
    expert_names: tuple[str, ...]


def predict_with_experts(
    network: ExpertNetwork, x: Tensor, policy: ExpertPolicy | None = None, chosen: NDArray[np.int64] | None = None
) -> ExpertPrediction:
    """Run `network` on `[N, ...]` segment by segment; samples that leave are removed from the batch.

    `policy` defaults to that of the network, `chosen` [N] to the classifier's choice. Raw samples (uint8) are
    transformed first. Raises PolicyError without a policy or for one of other experts, and InputError for a batch that
    is not finite or overflows in the network.
    """
    policy = network.policy if policy is None else policy
    if policy is None:
        raise PolicyError("this network has no policy; fit one on distorted calibration images, or pass one")
    if tuple(policy.names) != network.names or policy.num_exits != len(network.exits):
        raise PolicyError(
            f"the policy must be for the experts {', '.join(network.names)} and "
            f"{plural(len(network.exits), 'exit')}, got "
            f"{', '.join(policy.names)} and {policy.num_exits}; fit it again"
        )
    if network.transform.is_raw(x):
        x = network.transform(x)
    check_finite(x)
    if len(x) == 0:  # not every operator takes a batch of none
        nothing = torch.zeros(0, dtype=torch.int64, device=x.device)
        logits = torch.zeros(0, network.design.num_classes, device=x.device)
        return ExpertPrediction(nothing, nothing, logits, network.exits, nothing, network.names)
    experts = network.choose(x) if chosen is None else chosen
    for number in set(experts.tolist()):
        network.segments(x, number)  # outside inference mode
    with torch.inference_mode(), in_eval(tuple(network.experts.modules())):
        found = _predict(network, x, policy, experts)
    check_answers(found)
    return found


def _predict(network: ExpertNetwork, x: Tensor, policy: ExpertPolicy, experts: NDArray[np.int64]) -> ExpertPrediction:
    total, device = len(x), x.device
    classes, exits = (torch.zeros(total, dtype=torch.int64, device=device) for _ in range(2))
    logits = torch.zeros(total, network.design.num_classes, device=device)
    order = np.argsort(experts, kind="stable")  # so that the samples of an expert are neighbours
    active, features = torch.from_numpy(order).to(device), x
    if total > 1:
        features = x[active]
    state, previous = policy.begin(experts[order]), None
    for k in range(len(network.exits)):
        features = _features(network, k, features, state.chosen)
        found = _logits(network, k, features, previous, state.chosen)
        decided, state = policy.decide(k, found.cpu().numpy(), state)
        leave = torch.from_numpy(decided).to(device)
        leaving = active[leave]
        classes[leaving] = answered(policy.answer(state[decided]), device)
        exits[leaving], logits[leaving] = k, found[leave]
        if decided.all():
            break
        stay = ~leave
        active, features, previous, state = active[stay], features[stay], found[stay], state[~decided]
    return ExpertPrediction(
        classes, exits, logits, network.exits, torch.from_numpy(experts.astype(np.int64)).to(device), network.names
    )


def _features(network: ExpertNetwork, k: int, features: Tensor, chosen: NDArray[np.int64]) -> Tensor:
    """Return the features at exit k of samples that are sorted by their experts `chosen`, from those before it."""
    if not network.own_norms:
        return _run(network, k, features, 0)
    parts = [_run(network, k, features[start:end], number) for number, start, end in _groups(chosen)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _run(network: ExpertNetwork, k: int, features: Tensor, number: int) -> Tensor:
    found: Tensor = network.segments(features, number)[k](features)
    return found


def _groups(chosen: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return the number of each expert in sorted experts `chosen`, with the start and end of its samples."""
    numbers, starts = np.unique(chosen, return_index=True)
    ends = [*starts[1:].tolist(), len(chosen)]
    return list(zip(numbers.tolist(), starts.tolist(), ends, strict=True))


def _logits(
    network: ExpertNetwork, k: int, features: Tensor, previous: Tensor | None, chosen: NDArray[np.int64]
) -> Tensor:
    """Return the float32 logits of exit k of samples that are sorted by their experts `chosen`."""
    parts = [
        network.exit_logits(number, k, features[start:end], None if previous is None else previous[start:end]).float()
        for number, start, end in _groups(chosen)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
