"""Building the module of a branch and checking its logits, which a user's family may get wrong."""

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.errors import BranchError
from eenas.escaping import shortened
from eenas.plugins import described


def built(branch: Branch, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
    """Return `branch.build(feature_shape, num_classes)`. Raises BranchError unless it is a module."""
    module: object = branch.build(feature_shape, num_classes)
    if not isinstance(module, nn.Module):
        raise BranchError(
            f"{branch.kind}: build must return a torch.nn.Module, got {described(module)}; return the module that maps "
            "features to logits"
        )
    return module


@torch.no_grad()
def check_logits(branch: Branch, module: nn.Module, features: Tensor, num_classes: int) -> None:
    """Raise BranchError unless the branch's module, which takes features alone, maps `features` to finite logits."""
    if (problem := logits_problem(module(features), (len(features), num_classes))) is not None:
        raise BranchError(f"{branch.kind}: {problem}; check forward and the last layer of build")


def logits_problem(logits: object, shape: tuple[int, int], when: str = "of a branch") -> str | None:
    """Return why a result of `forward` is not logits [N, num_classes] of this shape, or None if it is."""
    if not isinstance(logits, Tensor):
        return f"forward must return one tensor, the logits {shape} {when}, got {type(logits).__name__}"
    if tuple(logits.shape) != shape:
        return f"logits {when} must be {shape}, got {tuple(logits.shape)}"
    if not torch.isfinite(logits).all():
        return f"logits {when} must be finite, got {shortened(logits[0].tolist())}"
    return None
