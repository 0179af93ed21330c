"""Building the module of a branch, which a user's family may get wrong."""

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.errors import BranchError
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
