"""Detection of untrained weights, and the identity of a module without its weights."""

import re

import numpy as np
import torch
from torch import Tensor, nn

from eenas import specs
from eenas.backbones.load import Backbone

MIN_VALUES = 30
"""The smallest size of a tensor whose distribution is tested."""
MAX_VALUES = 20_000
"""The number of values of a tensor that are tested."""
SIGNIFICANCE = 1e-6
"""The significance level below which a tensor was not drawn at random."""

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_FIRST = {"running_mean": 0.0, "running_var": 1.0, "num_batches_tracked": 0.0}


def is_fresh(module: nn.Module) -> bool:
    """Whether the weights look like a new initialisation.

    The statistics of normalisation layers are those of a module that has processed no batch, and every parameter is
    constant or drawn from a uniform or (truncated) normal distribution, as usual initialisations give. Training changes
    both: uniform values lose their edges, normal values gain tails, and scales and shifts differ. In doubt, weights are
    not fresh.
    """
    for part in module.modules():
        for name in _STATISTICS:
            buffer = getattr(part, name, None)
            if isinstance(buffer, Tensor) and not bool((buffer == _FIRST[name]).all()):
                return False
    return all(_is_drawn(parameter.detach()) for parameter in module.parameters())


def structure_digest(backbone: Backbone) -> str:
    """Return 16 hexadecimal digits over name, transform, classes, the module's text and its tensors, without values."""
    tensors = {
        name: [str(value.dtype), list(value.shape)]
        for name, value in sorted(backbone.module.state_dict().items())
        if isinstance(value, Tensor)
    }
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(backbone.module))
    return specs.digest([backbone.name, backbone.transform, backbone.num_classes, text, tensors])[:16]


def _is_drawn(values: Tensor) -> bool:
    """Whether values are constant, or may be drawn from one uniform or (truncated) normal distribution."""
    from scipy import stats

    flat = values.float().cpu().reshape(-1)
    if len(flat) < MIN_VALUES or bool((flat == flat[0]).all()):
        return bool(torch.isfinite(flat).all())
    if len(flat) > MAX_VALUES:
        flat = flat[:: len(flat) // MAX_VALUES]
    found = flat.double().numpy()
    low, high = found.min(), found.max()
    core = np.sort(found)[len(found) // 2000 : len(found) - len(found) // 2000]  # a draw in float32 may have outliers
    usual = (
        stats.uniform(low, high - low),
        stats.norm(core.mean(), core.std()),
        stats.truncnorm(-2, 2, scale=max(-low, high) / 2),  # truncated at two standard deviations
    )
    return any(stats.kstest(found, each.cdf).pvalue > SIGNIFICANCE for each in usual)
