"""Backbones that end in a softmax: their logarithm is taken, so that what goes on is logits."""

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.classifier import evaluating
from eenas.backbones.outputs import main_output
from eenas.progress import Listener, Notice

_LEAST = 1e-12
_CLOSE = 1e-4


def with_logits(module: nn.Module, example: Tensor, what: str, notify: Listener) -> nn.Module:
    """`module` where it gives logits on `example` [N, ...]; else one with its very parts that gives log probabilities.

    A softmax of a softmax has next to no gradient, and hides how sure a network is. A log-softmax is logits already. A
    module that does not run is left for others to refuse.
    """
    try:
        with evaluating(module):
            given = main_output(module(example))
    except Exception:  # whatever a module raises for an input that it cannot take
        return module
    sums = given.float().sum(dim=-1)
    if given.ndim != 2 or given.shape[1] < 2 or float(given.min()) < 0 or float((sums - 1).abs().max()) > _CLOSE:
        return module
    notify(Notice(f"{what}: gives probabilities; their logarithm is taken as its logits"))
    shown = copy.copy(module)  # the same parts and parameters; only the hooks are its own
    shown._forward_hooks = OrderedDict(module._forward_hooks)
    shown.register_forward_hook(_logarithm)
    return shown


def _logarithm(module: nn.Module, inputs: Any, output: Any) -> Tensor:
    """The hook. What else a network returns in training (auxiliary outputs) is left out: nothing reads it."""
    return torch.log(main_output(output).clamp(min=_LEAST))
