"""Backbones that end in a softmax: the logarithm of their probabilities is used as logits."""

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


def with_logits(module: nn.Module, example: Tensor, label: str, notify: Listener) -> nn.Module:
    """Return `module` if it gives logits on `example` [N, ...], else a shallow copy that gives log probabilities.

    The softmax of a softmax has almost no gradient and hides the confidence. A log-softmax already counts as logits.
    The copy shares submodules and parameters. `label` names the module in messages. A module that does not run is
    returned unchanged; other checks report it.
    """
    try:
        with evaluating(module):
            given = main_output(module(example))
    except Exception:  # a user's module may raise anything
        return module
    if given.ndim != 2 or given.shape[1] < 2 or not _are_probabilities(given.float()):
        return module
    notify(Notice(f"{label}: gives probabilities; their logarithm is used as its logits"))
    hooked = copy.copy(module)  # shares submodules and parameters; only its hooks differ
    hooked._forward_hooks = OrderedDict(module._forward_hooks)
    hooked.register_forward_hook(_logarithm)
    return hooked


def _are_probabilities(given: Tensor) -> bool:
    """Whether all rows are distributions, and not all one-hot: one-hot logits may come from a classifier's bias."""
    between = bool(((given > 0) & (given < 1)).any())
    return between and float(given.min()) >= 0 and float((given.sum(dim=-1) - 1).abs().max()) <= _CLOSE


def _logarithm(module: nn.Module, inputs: Any, output: Any) -> Tensor:
    """The hook. Auxiliary outputs in training are dropped, since nothing reads them."""
    return torch.log(main_output(output).clamp(min=_LEAST))
