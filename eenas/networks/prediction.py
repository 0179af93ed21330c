"""Early-exit inference: samples that leave are removed from the batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eenas.branches.abilities import takes_previous
from eenas.errors import InputError, PolicyError, plural
from eenas.policies.policy import Policy

if TYPE_CHECKING:
    from eenas.networks.network import EarlyExitNetwork


@dataclass(frozen=True, eq=False)
class NetworkPrediction:
    """The answers for a batch of N samples, in input order.

    `classes` `[N]` int64: the class indices that the policy answers. `exits` `[N]` int64: the exit at which each sample
    left, 0 the first. `logits` `[N, num_classes]` float32: the logits of that exit, before its temperature.
    `exit_names`: the exits in depth order.
    """

    classes: Tensor
    exits: Tensor
    logits: Tensor
    exit_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PredictionSteps:
    """The segments and branches that `predict` runs, collected once so that a call costs nothing beside them.

    `segments` lead from cut point to cut point, the last one to the logits. `branches` are the network's own modules,
    None for the final exit. `exits` are the names. With `boosted`, every exit but the first adds to the previous
    logits. `reading` tells which branches take the previous logits; `modules` are the branches' modules, which must run
    in eval mode.
    """

    segments: tuple[Callable[[Tensor], Tensor], ...]
    branches: tuple[Callable[..., Tensor] | None, ...]
    exits: tuple[str, ...]
    boosted: bool = False
    reading: tuple[bool, ...] = field(init=False)
    modules: tuple[nn.Module, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Collect `reading` and `modules`."""
        modules = [each for each in self.branches if isinstance(each, nn.Module)]
        reading = tuple(isinstance(each, nn.Module) and takes_previous(each) for each in self.branches)
        object.__setattr__(self, "reading", reading)
        object.__setattr__(self, "modules", tuple(inner for module in modules for inner in module.modules()))

    def run(self, x: Tensor, policy: Policy) -> NetworkPrediction:
        """Return the answers for `x` `[N, ...]`; branches in training mode run in eval mode."""
        answer = _predict_one if len(x) == 1 else _predict_many
        with torch.inference_mode():
            if any(module.training for module in self.modules):
                with in_eval(self.modules):
                    found = answer(self, x, policy)
            else:
                found = answer(self, x, policy)
            check_answers(found)
            return found

    def logits(self, k: int, features: Tensor, previous: Tensor | None) -> Tensor:
        """Return the float32 logits of exit k for its features (at the final exit these are the logits)."""
        branch, reads = self.branches[k], self.reading[k]
        own = features if branch is None else branch(features, previous) if reads else branch(features)
        return (previous + own if self.boosted and previous is not None else own).float()


def predict(network: EarlyExitNetwork, x: Tensor, policy: Policy | None) -> NetworkPrediction:
    """Run `network` segment by segment on `[N, ...]`, on its device, and remove the samples that leave.

    Samples that are visibly raw, such as images in uint8, are transformed first, as the runtime of an exported model
    does. Raises InputError for a
    batch that is not finite, or whose numbers overflow in the network, as that does.
    """
    if policy is None:
        raise PolicyError("this network has no policy; fit one: eenas.fit_thresholds(network, data), or pass one")
    if network.transform.is_raw(x):
        x = network.transform(x)
    if len(x) == 0:  # not every operator takes a batch of none
        nothing = torch.zeros(0, dtype=torch.int64, device=x.device)
        logits = torch.zeros(0, network.design.num_classes, device=x.device)
        return NetworkPrediction(classes=nothing, exits=nothing, logits=logits, exit_names=network.exits)
    steps = network.steps(x)
    if policy.num_exits != len(steps.exits):
        raise PolicyError(
            f"the policy must be for {plural(len(steps.exits), 'exit')} as the network, got {policy.num_exits}; fit "
            "it again"
        )
    check_finite(x)
    return steps.run(x, policy)


def check_finite(x: Tensor) -> None:
    """Raise InputError with the first sample of `[N, ...]` that holds NaN or infinity; whole numbers are finite."""
    if not x.is_floating_point():
        return
    # Finite values have a finite sum unless it overflows, and a sum is several times faster than a test of each value.
    if not math.isfinite(x.sum(dtype=torch.promote_types(x.dtype, torch.float32))) and not x.isfinite().all():
        bad = int((~x.isfinite().flatten(1).all(dim=1)).nonzero()[0])
        raise InputError(f"a batch must be finite, got NaN or infinity in sample {bad} of {len(x)}")


def check_answers(found: NetworkPrediction) -> None:
    """Raise InputError if the logits of a sample's exit are not finite."""
    finite = np.isfinite(found.logits.cpu().numpy())
    if not finite.all():
        bad = int(np.flatnonzero(~finite.all(axis=1))[0])
        raise InputError(
            f"the numbers of sample {bad} of {len(finite)} overflow in the network: the logits of exit "
            f"{found.exit_names[int(found.exits[bad])]!r} are not finite; scale the batch as in training"
        )


def _predict_one(steps: PredictionSteps, x: Tensor, policy: Policy) -> NetworkPrediction:
    """Predict for a batch of one sample, without compacting the batch."""
    features, previous, last = x, None, len(steps.segments) - 1
    state = policy.start(1)
    for k, segment in enumerate(steps.segments):
        features = segment(features)
        previous = steps.logits(k, features, previous)
        leave, state = policy.decide(k, previous.cpu().numpy(), state)
        if leave[0] or k == last:
            break
    assert previous is not None
    classes = answered(policy.answer(state), x.device)
    return NetworkPrediction(classes, torch.tensor([k], device=x.device), previous, steps.exits)


def _predict_many(steps: PredictionSteps, x: Tensor, policy: Policy) -> NetworkPrediction:
    total, device = len(x), x.device
    classes = torch.zeros(total, dtype=torch.int64, device=device)
    exits = torch.zeros(total, dtype=torch.int64, device=device)
    logits: Tensor | None = None
    active, features = torch.arange(total, device=device), x
    previous: Tensor | None = None
    state = policy.start(total)
    for k, segment in enumerate(steps.segments):
        features = segment(features)
        previous = found = steps.logits(k, features, previous)
        if logits is None:
            logits = torch.zeros_like(found)
        decided, state = policy.decide(k, found.cpu().numpy(), state)
        leaving_count = int(np.count_nonzero(decided))
        if leaving_count == 0:
            continue
        if leaving_count == len(decided):
            classes[active], exits[active], logits[active] = answered(policy.answer(state), device), k, found
            break
        leave = torch.from_numpy(decided).to(device)
        leaving = active[leave]
        classes[leaving] = answered(policy.answer(state[decided]), device)
        exits[leaving] = k
        logits[leaving] = found[leave]
        stay = ~leave
        active, features, previous = active[stay], features[stay], found[stay]
        state = state[~decided]
    assert logits is not None
    return NetworkPrediction(classes=classes, exits=exits, logits=logits, exit_names=steps.exits)


def answered(answers: NDArray[Any], device: torch.device) -> Tensor:
    """Return the classes that a policy answers as a tensor int64 on `device`."""
    return torch.from_numpy(np.asarray(answers, dtype=np.int64)).to(device)


@contextmanager
def in_eval(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Context manager for eval mode. Restores each module's own mode on exit."""
    before = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, before, strict=True):
            module.training = mode
