"""Samples that do not see each other: a network gives one the same logits in a batch as alone."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from eenas.backbones.copies import evaluated
from eenas.backbones.outputs import main_output
from eenas.errors import BackboneError

_EXACT, _CLOSE = 1e-4, 0.05
"""What logits may differ by, as a share of the largest one: in float32 on a CPU, and elsewhere."""


@torch.no_grad()
def check_independence(module: nn.Module, example: Tensor, what: str) -> None:
    """Raise BackboneError where a sample of `example` [N, ...] gets other logits in a batch than alone, in evaluation.

    Who leaves at an exit would then change the answers of those who stay, and an answer would depend on its company. So
    would logits that are drawn at random. A module that does not run on one sample is left for others to refuse.
    """
    copied = evaluated(module)  # some modules count, or keep something, whenever they run
    try:
        # a rounding error may turn a sign or an index of one sample, hardly of two
        drawn = []
        for sample, other in ((example[:1], example[-1:]), (example[-1:], example[:1])):
            alone = main_output(copied(sample.clone()))
            # an unlike neighbour: samples of one distribution have nearly the same statistics
            beside = main_output(copied(torch.cat([sample, 3 * other + 1])))[:1]
            if _alike(alone, beside):
                return
            drawn.append(not _alike(alone, main_output(copied(sample.clone()))))
    except Exception:  # whatever a module raises for an input that it cannot take
        return
    if all(drawn):
        raise BackboneError(
            f"{what}: gives the same sample other logits each time in evaluation, so no exit's answers can be relied "
            "on; switch off in evaluation whatever is drawn at random (dropout: F.dropout(x, p, self.training))"
        )
    norm = next((name for name, part in copied.named_modules() if _batch_statistics(part)), None)
    cause = (
        "compute each sample's by itself"
        if norm is None
        else f"{norm!r} normalises by the batch: give it track_running_stats=True"
    )
    raise BackboneError(
        f"{what}: gives a sample other logits in a batch than alone in evaluation, and who leaves at an exit would "
        f"change the answers of the others; {cause}"
    )


def _alike(one: Tensor, other: Tensor) -> bool:
    exact = one.dtype in (torch.float32, torch.float64) and one.device.type == "cpu"
    scale = float(one.double().abs().nan_to_num(0, 0, 0).max())
    allowed = scale * (_EXACT if exact else _CLOSE)
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=allowed, equal_nan=True)


def _batch_statistics(part: nn.Module) -> bool:
    """Whether a module normalises by the statistics of a batch in evaluation, too. Instances have their own."""
    instance = isinstance(part, nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d)
    return isinstance(part, _NormBase) and not instance and part.running_mean is None
