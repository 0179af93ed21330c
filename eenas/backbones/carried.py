"""Carried columns: parts of the input that later layers need and that travel beside the features."""

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.errors import BackboneError


class CarryingModule(nn.Module):
    """A backbone whose later layers need more of the input than the features: a mask, or a table of neighbours.

    Its submodule `carry` maps the input [N, ...] to the carried columns, float32 [N, L, c], the mask first. `forward`
    calls it once, before any layer uses its output, and reads nothing else of the input later. Between two segments,
    and into branches, one tensor travels: `pack(features, carried)`. `pack` and `unpack` may read plain attributes, but
    no parameter, buffer or submodule.

    By default features [N, L, D] and carried columns are joined along the last axis to [N, L, D + c]. With `axis` 1
    features [N, D, L] and carried channels [N, c, L] are joined to [N, D + c, L]. Features with other dimensions, such
    as pooled vectors, travel alone, and no later layer may read the carried columns.

    `carried_columns` is c. `varying` lists the axes of the input (0 is the batch) whose length differs between batches.
    """

    carried_columns: int = 1
    axis: int = -1
    varying: tuple[int, ...] = (1,)
    carry: nn.Module

    def packs(self, features: Tensor) -> bool:
        """Whether the columns travel with these features. By default they do with features of three dimensions."""
        return features.ndim == 3

    def pack(self, features: Tensor, carried: Tensor) -> Tensor:
        """Join features and carried columns to the tensor that travels, [N, L, D + c]."""
        return torch.cat([features, carried.to(features.dtype)], dim=self.axis)

    def unpack(self, packed: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features and the carried columns of a tensor from `pack`."""
        size = packed.shape[self.axis] - self.carried_columns
        return packed.narrow(self.axis, 0, size), packed.narrow(self.axis, size, self.carried_columns)

    def feature_shape(self, dims: tuple[int, ...], *, class_token: bool) -> FeatureShape:
        """Return the shape of packed features [N, *dims]. `class_token`: whether the first token is one."""
        series = self.axis == 1
        prefix = int(class_token and not series and dims[0] > 1)
        return FeatureShape(
            dims, carried=self.carried_columns, prefix_tokens=prefix, is_set=not series, is_series=series
        )

    def shorter(self, example: Tensor) -> Tensor:
        """Return a valid batch of about half the length, on which the segments are compared with the network.

        By default the varying axes are cut. Override it if that breaks the input.
        """
        for axis in self.varying:
            example = example.narrow(axis, 0, max(1, example.shape[axis] // 2))
        return example


def carrier_of(module: nn.Module) -> CarryingModule | None:
    """Return the `CarryingModule` that a backbone is or contains, or None. Raises BackboneError for several."""
    found = [part for part in module.modules() if isinstance(part, CarryingModule)]
    if len(found) > 1:
        raise BackboneError(f"a backbone has at most one CarryingModule, got {len(found)}; carry all columns in one")
    return found[0] if found else None
