"""The check that a network gives a sample the same logits in a batch as alone."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from eenas.backbones.carried import carrier_of
from eenas.backbones.copies import evaluated
from eenas.backbones.graphs.packed_module import first_packed
from eenas.backbones.outputs import main_output
from eenas.errors import BackboneError
from eenas.faults import raise_shortage

_COPIES = 8
"""The number of copies of each sample in the check for random logits. Dropout may not change some of them."""

_EXACT, _CLOSE = 1e-4, 0.05
"""Tolerances as a share of the largest logit: for float32 and float64 on a CPU, and otherwise."""


@torch.no_grad()
def check_independence(module: nn.Module, example: Tensor, label: str) -> None:
    """Raise BackboneError if a sample of `example` [N, ...] gets other logits in a batch than alone, in eval mode.

    Otherwise the samples that leave at an exit would change the answers of those that stay. Random logits are refused,
    too. A module that does not run on one sample passes; other checks report it.
    """
    copied = evaluated(module)  # some modules change state whenever they run
    try:
        marked = carrier_of(copied) is not None or first_packed(copied) is not None
        fixed = not example.is_floating_point() or marked  # ids, or marks of padding
        stranger = _same if fixed else _other_distribution
        copies = torch.cat([example] * _COPIES)
        drawn = not _alike(main_output(copied(copies.clone())), main_output(copied(copies.clone())))
        # rounding may flip a sign or an index for one sample, hardly for two
        for sample, other in () if drawn else ((example[:1], example[-1:]), (example[-1:], example[:1])):
            alone = main_output(copied(sample.clone()))
            beside = main_output(copied(torch.cat([sample, stranger(other)])))[:1]
            if _alike(alone, beside):
                return
    except Exception as error:  # a user's module may raise anything
        raise_shortage(error)
        return
    if drawn:
        raise BackboneError(
            f"{label}: must give a sample the same logits each time in eval mode, but they are random; "
            "switch off random operations in eval mode (dropout: F.dropout(x, p, self.training))"
        )
    norm = next((name for name, part in copied.named_modules() if _batch_statistics(part)), None)
    cause = (
        "compute each sample's logits independently of the batch"
        if norm is None
        else f"{norm!r} normalises by batch statistics: give it track_running_stats=True"
    )
    raise BackboneError(
        f"{label}: gives a sample other logits in a batch than alone in eval mode, so samples that leave at an exit "
        f"would change the answers of the others; {cause}"
    )


def _other_distribution(other: Tensor) -> Tensor:
    """Return a neighbour of another distribution: similar samples have nearly the same batch statistics."""
    return 3 * other + 1


def _same(other: Tensor) -> Tensor:
    return other


def _alike(one: Tensor, other: Tensor) -> bool:
    exact = one.dtype in (torch.float32, torch.float64) and one.device.type == "cpu"
    scale = float(one.double().abs().nan_to_num(0, 0, 0).max())
    allowed = scale * (_EXACT if exact else _CLOSE)
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=allowed, equal_nan=True)


def _batch_statistics(part: nn.Module) -> bool:
    """Whether a module normalises by batch statistics in eval mode, too. Instance norms use each sample's own."""
    instance = isinstance(part, nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d)
    return isinstance(part, _NormBase) and not instance and part.running_mean is None
