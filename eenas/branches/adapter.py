"""The first layers of every branch: adapters from features of any layout to a map, series, vector or pooled tokens."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.masked import masked_mean, refuse_carried, split_carried
from eenas.errors import BranchError


def map_size(shape: FeatureShape, label: str) -> tuple[int, int, int]:
    """Return channels, height and width of the map that `MapAdapter` gives for features of this shape.

    `label` names the branch in messages. Raises BranchError for a vector, and for tokens without a known grid.
    """
    if shape.kind == "map":
        return shape.channels, shape.height, shape.width
    refuse_carried(shape, label)
    if shape.kind == "vector":
        raise BranchError(f"{label}: needs a map, got a vector of {shape.channels}; use fc or mlp there")
    if shape.kind == "series":
        fix = "use fc, mlp, pool_fc, conv_fc, conv_stack or conv_pool_fc there"
        raise BranchError(f"{label}: needs a map, got a series of {shape.channels} channels; {fix}")
    patches = shape.patches
    if patches is None:
        count = shape.dims[0] - shape.prefix_tokens
        rule = "tokens with a known order in the image" if shape.is_set else "a square number of patch tokens"
        raise BranchError(f"{label}: needs {rule}, got {count}; use fc, mlp or pool_fc there")
    return shape.channels, *patches


def places_of(shape: FeatureShape, label: str) -> tuple[int, tuple[int, ...]]:
    """Return the channels of the features and their sides: (H, W) of a map, (L,) of a series.

    Raises BranchError as `map_size` does.
    """
    if shape.kind == "series":
        refuse_carried(shape, label)
        return shape.channels, shape.places
    channels, height, width = map_size(shape, label)
    return channels, (height, width)


class MapAdapter(nn.Module):
    """Converts features to a map [N, C, H, W].

    A map [N, C, H, W] is unchanged. Tokens are normalised (LayerNorm), prefix tokens are dropped, and the patches are
    arranged in their rows and columns. A map with channels last, as in transformers like Swin, is normalised, and its
    channels become the first dimension.
    """

    def __init__(self, shape: FeatureShape, label: str) -> None:
        super().__init__()
        self.channels, self.height, self.width = map_size(shape, label)
        self.places = (self.height, self.width)
        self.is_tokens = shape.kind == "tokens"
        self.prefix_tokens = shape.prefix_tokens
        self.norm = _norm(shape)

    def forward(self, features: Tensor) -> Tensor:
        """Map [N, C, H, W], [N, H, W, C] or [N, L, D] to [N, C, H, W]."""
        if self.norm is None:
            return features
        features = self.norm(features)
        if self.is_tokens:
            features = features[:, self.prefix_tokens :].reshape(-1, self.height, self.width, self.channels)
        return features.permute(0, 3, 1, 2)


class SeriesAdapter(nn.Module):
    """Passes features of series [N, C, L] unchanged."""

    def __init__(self, shape: FeatureShape) -> None:
        super().__init__()
        self.channels, self.places = shape.channels, shape.places

    def forward(self, features: Tensor) -> Tensor:
        """Return the features [N, C, L]."""
        return features


def adapter_of(shape: FeatureShape, label: str) -> MapAdapter | SeriesAdapter:
    """Return the adapter for a family whose layers exist in one and two axes. Raises BranchError as `map_size` does."""
    if shape.kind == "series":
        refuse_carried(shape, label)
        return SeriesAdapter(shape)
    return MapAdapter(shape, label)


class VectorAdapter(nn.Module):
    """Converts features to a vector [N, D]: the mean of a map or series over its places, or the class token of tokens.

    Tokens and maps with channels last are normalised first (LayerNorm) if `normalised`. Without a class token the mean
    of the patches is taken. A vector is unchanged. Carried columns are left out, and the mean leaves out the padding.
    """

    def __init__(self, shape: FeatureShape, *, normalised: bool = True) -> None:
        super().__init__()
        self.shape = shape
        self.channels = shape.channels
        self.has_class_token = shape.prefix_tokens > 0 and shape.class_token
        self.prefix_tokens = shape.prefix_tokens
        places = {"map": (2, 3), "series": (2,)}.get(shape.kind, (1,))
        self.places = (1, 2) if shape.channels_last else places
        self.is_vector = shape.kind == "vector"
        self.norm = _norm(shape) if normalised else None

    def forward(self, features: Tensor) -> Tensor:
        """Map features of any kind to [N, D]."""
        if self.is_vector:
            return features[:, : self.channels] if self.shape.carried else features
        features, mask = split_carried(features, self.shape)
        if self.norm is not None:
            features = self.norm(features)
        if self.has_class_token:
            return features[:, 0]
        if mask is not None:
            tokens = features.transpose(1, 2) if self.shape.is_series else features
            return masked_mean(tokens[:, self.prefix_tokens :], mask[:, self.prefix_tokens :])
        patches = features[:, self.prefix_tokens :] if self.prefix_tokens else features
        return patches.mean(dim=self.places)


class Pooling(nn.Module):
    """Pools a map or series to at most `size` places along each axis by average, maximum, or a mixture of both.

    All windows have one size and cover the features; they overlap only if a side is not a multiple of `size`. A side
    of at most `size` is unchanged. For multiples, "mixed" is the feature reduction of Kaya et al. 2019 ("Shallow-Deep
    Networks", section 4.1) with weights in (0, 1): `sigmoid(alpha) * max + (1 - sigmoid(alpha)) * avg`. alpha is
    learned and starts at 0.
    """

    def __init__(self, pool: str, places: Sequence[int], size: int) -> None:
        """`places` are (H, W) of a map, (L,) of a series."""
        super().__init__()
        windows = [_window(side, size) for side in places]
        self.kernel = tuple(kernel for kernel, _ in windows)
        self.stride = tuple(stride for _, stride in windows)
        self.count = math.prod(min(side, size) for side in places)
        self.pool = pool
        self.alpha = nn.Parameter(torch.zeros(())) if pool == "mixed" else None

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to [N, C, min(H, size), min(W, size)], [N, C, L] to [N, C, min(L, size)]."""
        if self.alpha is None:
            return self._average(x) if self.pool == "avg" else self._maximum(x)
        share = torch.sigmoid(self.alpha)
        return share * self._maximum(x) + (1 - share) * self._average(x)

    def _average(self, x: Tensor) -> Tensor:
        if len(self.kernel) == 1:
            return nn.functional.avg_pool1d(x, self.kernel, self.stride)
        return nn.functional.avg_pool2d(x, self.kernel, self.stride)

    def _maximum(self, x: Tensor) -> Tensor:
        if len(self.kernel) == 1:
            return nn.functional.max_pool1d(x, self.kernel, self.stride)
        return nn.functional.max_pool2d(x, self.kernel, self.stride)


class PooledTokens(nn.Module):
    """Converts tokens to a map of one row [N, D, 1, patches]: normalised (LayerNorm), without prefix tokens.

    Carried columns are left out, and the padding is 0.
    """

    def __init__(self, shape: FeatureShape) -> None:
        super().__init__()
        self.shape = shape
        self.prefix_tokens = shape.prefix_tokens
        self.norm = nn.LayerNorm(shape.channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map [N, L, D] to [N, D, 1, L - prefix tokens]."""
        features, mask = split_carried(features, self.shape)
        kept: Tensor = self.norm(features)
        if mask is not None:
            kept = torch.where(mask.unsqueeze(2), kept, 0.0)
        kept = kept[:, self.prefix_tokens :]
        return kept.transpose(1, 2).unsqueeze(2)


def conv_block(inputs: int, outputs: int, stride: int, axes: int = 2) -> nn.Sequential:
    """Return a convolution of 3 along each axis (padding 1, no bias), batch normalisation and ReLU.

    A side H becomes ceil(H / stride).
    """
    conv = convolution(axes)(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, normalisation(axes)(outputs), nn.ReLU())


def convolution(axes: int) -> type[nn.Conv1d] | type[nn.Conv2d]:
    """Return the convolution over one or two axes."""
    return nn.Conv1d if axes == 1 else nn.Conv2d


def normalisation(axes: int) -> type[nn.BatchNorm1d] | type[nn.BatchNorm2d]:
    """Return the batch normalisation of features with one or two axes."""
    return nn.BatchNorm1d if axes == 1 else nn.BatchNorm2d


def _norm(shape: FeatureShape) -> nn.LayerNorm | None:
    return nn.LayerNorm(shape.channels) if shape.kind == "tokens" or shape.channels_last else None


def _window(side: int, size: int) -> tuple[int, int]:
    """Return kernel and stride of windows that cover `side` and give min(side, size) outputs."""
    places = min(side, size)
    stride = side // places
    return side - (places - 1) * stride, stride
