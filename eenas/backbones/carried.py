"""Carried columns: parts of the input that later layers need and that travel beside the features."""

import copy
from typing import Any, Self

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.backbones.graphs.packed_module import first_packed
from eenas.backbones.models.series.packing import PackingStep
from eenas.errors import BackboneError, CutError


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


class Packer:
    """Packs the features of forward passes of `module`; those of a backbone that carries nothing stay as they are.

    A context manager: inside the block, a hook records the carried columns of each pass.
    """

    def __init__(self, module: nn.Module) -> None:
        self._carrier = carrier_of(module)
        self._carried: Tensor | None = None
        self._hook: torch.utils.hooks.RemovableHandle | None = None

    def __enter__(self) -> Self:
        if self._carrier is not None:
            self._hook = self._carrier.carry.register_forward_hook(self._record)
        return self

    def __exit__(self, *rest: object) -> None:
        if self._hook is not None:
            self._hook.remove()
        self._carried = None

    def __call__(self, features: Tensor) -> Tensor:
        """Return the tensor [N, ...] that travels from a cut point with these features."""
        if self._carrier is None or not self._carrier.packs(features):
            return features
        if self._carried is None:
            raise CutError(f"{type(self._carrier).__name__} must call its `carry` in forward, before other layers")
        return self._carrier.pack(features, self._carried)

    def features(self, travelled: Tensor, like: Tensor) -> Tensor:
        """Return the features of a tensor that travelled from a cut point with features `like`."""
        if self._carrier is None or not self._carrier.packs(like):
            return travelled
        return self._carrier.unpack(travelled)[0]

    def _record(self, part: nn.Module, inputs: Any, output: Tensor) -> None:
        self._carried = output.detach()


class CarryingSegment(nn.Module):
    """A segment of a backbone with carried columns: it unpacks its input, and packs its output.

    `inner` maps the input to (features, carried) if it is the first, else features and carried columns to features.
    `varying` are the axes of its input whose length differs between batches.
    """

    varying: tuple[int, ...] = ()

    def __init__(self, inner: nn.Module, carrier: CarryingModule, *, first: bool, unpacks: bool, packs: bool) -> None:
        super().__init__()
        self.inner, self.packing = inner, _without_weights(carrier)
        self.first, self.unpacks, self.packs = first, unpacks, packs

    def forward(self, x: Tensor) -> Tensor:
        """Map the tensor at one cut point to that at the next."""
        features: Tensor
        if self.first and self.packs:
            features, carried = self.inner(x)
            return self.packing.pack(features, carried)
        if not self.unpacks:
            features = self.inner(x)
            return features
        before, carried = self.packing.unpack(x)
        features = self.inner(before, carried)
        return self.packing.pack(features, carried) if self.packs else features


def varying_axes(segment: nn.Module) -> tuple[int, ...]:
    """Return the axes of a segment's input, beside the batch, whose length differs between batches."""
    if isinstance(segment, CarryingSegment):
        return segment.varying
    return () if first_packed(segment) is None else (1,)  # the nodes of graphs


def exact_columns(segment: nn.Module, x: Tensor) -> int:
    """Return how many columns of a segment's input [N, ...] are carried and stay exact on a link; 0 for vectors.

    The segment is behind a cut point, as in `FeatureShape.exact_columns` of its shape.
    """
    if x.ndim != 3:
        return 0
    if isinstance(segment, CarryingSegment):
        return segment.packing.carried_columns if segment.unpacks else 0
    if (packed := first_packed(segment)) is not None:
        return x.shape[2] - packed.inputs
    step = next((part for part in segment.modules() if isinstance(part, PackingStep)), None)
    return 0 if step is None else step.carried


def _without_weights(carrier: CarryingModule) -> CarryingModule:
    """Return a shallow copy without parameters, buffers, submodules and hooks."""
    bare = copy.copy(carrier)
    bare.__dict__ |= vars(nn.Module())
    return bare
