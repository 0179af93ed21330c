"""Backbones that end in a softmax or a sigmoid: the logarithm of their outputs is used as logits."""

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.classifier import evaluating
from eenas.backbones.outputs import main_output
from eenas.faults import raise_shortage
from eenas.progress import Listener, Notice

_LEAST = 1e-12
_CLOSE = 1e-4


def with_logits(module: nn.Module, example: Tensor, label: str, notify: Listener) -> nn.Module:
    """Return `module` if it gives logits on `example` [N, ...], else a shallow copy that gives log probabilities.

    The softmax of a softmax, or of a sigmoid, has almost no gradient and hides the confidence. A log-softmax already
    counts as logits. The copy shares submodules and parameters. `label` names the module in messages. A module that
    does not run is returned unchanged; other checks report it.
    """
    try:
        with evaluating(module):
            given = main_output(module(example))
            ends = _ends_in_sigmoid(module, example)
    except Exception as error:  # a user's module may raise anything
        raise_shortage(error)
        return module
    if ends:
        notify(Notice(f"{label}: ends in a sigmoid; the logarithm of its outputs is used as its logits"))
    elif given.ndim == 2 and given.shape[1] > 1 and _are_probabilities(given.float()):
        notify(Notice(f"{label}: gives probabilities; their logarithm is used as its logits"))
    else:
        return module
    hooked = copy.copy(module)  # shares submodules and parameters; only its hooks differ
    hooked._forward_hooks = OrderedDict(module._forward_hooks)
    hooked.register_forward_hook(_logarithm)
    return hooked


def _ends_in_sigmoid(module: nn.Module, example: Tensor) -> bool:
    """Whether the last step to the output is a sigmoid, as the graph of a pass with gradients says."""
    with torch.inference_mode(False), torch.enable_grad():
        x = example.clone()
        given = main_output(module(x.requires_grad_() if x.is_floating_point() else x))
    return given.ndim == 2 and type(given.grad_fn).__name__ == "SigmoidBackward0"


def _are_probabilities(given: Tensor) -> bool:
    """Whether all rows are distributions, and not all one-hot: one-hot logits may come from a classifier's bias."""
    between = bool(((given > 0) & (given < 1)).any())
    return between and float(given.min()) >= 0 and float((given.sum(dim=-1) - 1).abs().max()) <= _CLOSE


def _logarithm(module: nn.Module, inputs: Any, output: Any) -> Tensor:
    """The hook. Auxiliary outputs in training are dropped, since nothing reads them."""
    return torch.log(main_output(output).clamp(min=_LEAST))
