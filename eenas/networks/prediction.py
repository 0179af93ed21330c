"""Inference that really stops: samples that leave are taken out of the batch."""

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


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What `predict` runs, exit by exit: looked up once, so that a call costs segments, branches and decisions only.

    `segments` lead from cut point to cut point, the last one to the logits; `branches` are the network's own modules,
    None for the final exit; `exits` their names. With `boosted` every exit but the first adds to the logits before it.
    """

    segments: tuple[Callable[[Tensor], Tensor], ...]
    branches: tuple[Callable[..., Tensor] | None, ...]
    exits: tuple[str, ...]
    boosted: bool = False
    reading: tuple[bool, ...] = field(init=False)
    modules: tuple[nn.Module, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Look up which branches read the logits before them, and which modules have to be in eval mode."""
        modules = [each for each in self.branches if isinstance(each, nn.Module)]
        reading = tuple(isinstance(each, nn.Module) and takes_previous(each) for each in self.branches)
        object.__setattr__(self, "reading", reading)
        object.__setattr__(self, "modules", tuple(inner for module in modules for inner in module.modules()))

    def run(self, x: Tensor, policy: Policy) -> Prediction:
        """The answers for `x` `[N, C, H, W]`; branches that somebody set to training mode run in eval mode."""
        answer = _one if len(x) == 1 else _many
        with torch.inference_mode():
            if any(module.training for module in self.modules):
                with _in_eval(self.modules):
                    found = answer(self, x, policy)
            else:
                found = answer(self, x, policy)
            _check_answers(found)
            return found

    def logits(self, k: int, features: Tensor, previous: Tensor | None) -> Tensor:
        """The logits of exit k, float32, given its features (the logits themselves at the final exit)."""
        branch, reads = self.branches[k], self.reading[k]
        own = features if branch is None else branch(features, previous) if reads else branch(features)
        return (previous + own if self.boosted and previous is not None else own).float()


def predict(network: EarlyExitNetwork, x: Tensor, policy: Policy | None) -> Prediction:
    """Run `network` segment by segment on `[N, C, H, W]`, removing whoever leaves; on the network's device.

    Images as they are, uint8, are transformed first, as the runtime of an exported model does. Raises InputError for a
    batch that is not finite, or whose numbers overflow in the network, as that does.
    """
    if policy is None:
        raise PolicyError("this network has no policy; fit one: eenas.fit_thresholds(network, data), or pass one")
    if x.dtype == torch.uint8:
        x = network.transform(x)
    if len(x) == 0:  # not every operator takes a batch of none
        nothing = torch.zeros(0, dtype=torch.int64, device=x.device)
        logits = torch.zeros(0, network.design.num_classes, device=x.device)
        return Prediction(classes=nothing, exits=nothing, logits=logits, exit_names=network.exits)
    steps = network.steps(x)
    if policy.num_exits != len(steps.exits):
        raise PolicyError(f"the policy is for {policy.num_exits} exits, the network has {len(steps.exits)}")
    _check_finite(x)
    return steps.run(x, policy)


def _check_finite(x: Tensor) -> None:
    """Raise InputError naming the first sample of `[N, ...]` that holds NaN or infinity."""
    # The sum of finite numbers is finite but for an overflow, and a few times faster than a look at each.
    if not math.isfinite(x.sum(dtype=torch.promote_types(x.dtype, torch.float32))) and not x.isfinite().all():
        bad = int((~x.isfinite().flatten(1).all(dim=1)).nonzero()[0])
        raise InputError(f"a batch is finite numbers, got NaN or infinity in sample {bad} of {len(x)}")


def _check_answers(found: Prediction) -> None:
    """Raise InputError where the logits that samples leave with are not finite: they are no answer."""
    finite = np.isfinite(found.logits.cpu().numpy())
    if not finite.all():
        bad = int(np.flatnonzero(~finite.all(axis=1))[0])
        raise InputError(
            f"the numbers of sample {bad} of {len(finite)} overflow in the network: the logits of exit "
            f"{found.exit_names[int(found.exits[bad])]!r} are not finite; scale the batch as the images of training are"
        )


def _one(steps: Steps, x: Tensor, policy: Policy) -> Prediction:
    """The answer of a batch of one, which leaves or stays as a whole."""
    features, previous, last = x, None, len(steps.segments) - 1
    state = policy.start(1)
    for k, segment in enumerate(steps.segments):
        features = segment(features)
        previous = steps.logits(k, features, previous)
        leave, state = policy.decide(k, previous.cpu().numpy(), state)
        if leave[0] or k == last:
            break
    assert previous is not None
    classes = _classes(policy.answer(state), x.device)
    return Prediction(classes, torch.tensor([k], device=x.device), previous, steps.exits)


def _many(steps: Steps, x: Tensor, policy: Policy) -> Prediction:
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
            classes[active], exits[active], logits[active] = _classes(policy.answer(state), device), k, found
            break
        leave = torch.from_numpy(decided).to(device)
        leaving = active[leave]
        classes[leaving] = _classes(policy.answer(state[decided]), device)
        exits[leaving] = k
        logits[leaving] = found[leave]
        stay = ~leave
        active, features, previous = active[stay], features[stay], found[stay]
        state = state[~decided]
    assert logits is not None
    return Prediction(classes=classes, exits=exits, logits=logits, exit_names=steps.exits)


def _classes(answers: NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.asarray(answers, dtype=np.int64)).to(device)


@contextmanager
def _in_eval(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Eval mode inside the block, and each module's own mode again afterwards."""
    before = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, before, strict=True):
            module.training = mode
