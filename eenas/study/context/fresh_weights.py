"""Whether a module's weights are as an initialisation leaves them, and the identity of a module without them."""

import re

import numpy as np
import torch
from torch import Tensor, nn

from eenas import specs
from eenas.backbones.load import Backbone

LEAST = 30
"""Values from which a distribution can be told; smaller tensors say nothing."""
MOST = 20_000
"""Values of a tensor that are looked at."""
UNLIKELY = 1e-6
"""A tensor is not drawn at random where a random one would look so less often than this."""

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_FIRST = {"running_mean": 0.0, "running_var": 1.0, "num_batches_tracked": 0.0}


def is_fresh(module: nn.Module) -> bool:
    """Whether nothing speaks for the weights having been trained.

    Statistics of normalisation are those of a module that has seen no batch, and every parameter is constant or has the
    values of a uniform or (truncated) normal distribution, as all usual initialisations give. Training leaves neither:
    uniform values lose their edges, normal ones grow tails, and scales and shifts differ. In doubt weights are not
    fresh.
    """
    for part in module.modules():
        for name in _STATISTICS:
            buffer = getattr(part, name, None)
            if isinstance(buffer, Tensor) and not bool((buffer == _FIRST[name]).all()):
                return False
    return all(_is_drawn(parameter.detach()) for parameter in module.parameters())


def structure_digest(backbone: Backbone) -> str:
    """16 hexadecimal digits over name, transform, classes, the module's text and its tensors, but for their values."""
    tensors = {
        name: [str(value.dtype), list(value.shape)]
        for name, value in sorted(backbone.module.state_dict().items())
        if isinstance(value, Tensor)
    }
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(backbone.module))
    return specs.digest([backbone.name, backbone.transform, backbone.num_classes, text, tensors])[:16]


def _is_drawn(values: Tensor) -> bool:
    """Whether values are constant, or may be a sample of one uniform or (truncated) normal distribution."""
    from scipy import stats

    flat = values.float().cpu().reshape(-1)
    if len(flat) < LEAST or bool((flat == flat[0]).all()):
        return bool(torch.isfinite(flat).all())
    if len(flat) > MOST:
        flat = flat[:: len(flat) // MOST]
    found = flat.double().numpy()
    low, high = found.min(), found.max()
    core = np.sort(found)[len(found) // 2000 : len(found) - len(found) // 2000]  # a draw in float32 may be far out
    usual = (
        stats.uniform(low, high - low),
        stats.norm(core.mean(), core.std()),
        stats.truncnorm(-2, 2, scale=max(-low, high) / 2),  # cut off at two deviations
    )
    return any(stats.kstest(found, each.cdf).pvalue > UNLIKELY for each in usual)
