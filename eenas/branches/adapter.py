"""The first layers of every branch: adapters from features of any layout to a map, a vector or pooled tokens."""

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.errors import BranchError


def map_size(shape: FeatureShape, label: str) -> tuple[int, int, int]:
    """Return channels, height and width of the map that `MapAdapter` gives for features of this shape.

    `label` names the branch in messages. Raises BranchError for a vector, and for tokens without a known grid.
    """
    if shape.kind == "map":
        return shape.channels, shape.height, shape.width
    if shape.kind == "vector":
        raise BranchError(f"{label}: needs a map, got a vector of {shape.channels}; use fc or mlp there")
    patches = shape.patches
    if patches is None:
        count = shape.dims[0] - shape.prefix_tokens
        rule = "tokens with a known order in the image" if shape.is_set else "a square number of patch tokens"
        raise BranchError(f"{label}: needs {rule}, got {count}; use fc, mlp or pool_fc there")
    return shape.channels, *patches


class MapAdapter(nn.Module):
    """Converts features to a map [N, C, H, W].

    A map [N, C, H, W] is unchanged. Tokens are normalised (LayerNorm), prefix tokens are dropped, and the patches are
    arranged in their rows and columns. A map with channels last, as in transformers like Swin, is normalised, and its
    channels become the first dimension.
    """

    def __init__(self, shape: FeatureShape, label: str) -> None:
        super().__init__()
        self.channels, self.height, self.width = map_size(shape, label)
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


class VectorAdapter(nn.Module):
    """Converts features to a vector [N, D]: the spatial mean of a map, or the class token of tokens.

    Tokens and maps with channels last are normalised first (LayerNorm) if `normalised`. Without a class token the mean
    of the patches is taken. A vector is unchanged.
    """

    def __init__(self, shape: FeatureShape, *, normalised: bool = True) -> None:
        super().__init__()
        self.channels = shape.channels
        self.has_class_token = shape.prefix_tokens > 0 and shape.class_token
        self.prefix_tokens = shape.prefix_tokens
        self.places = (1, 2) if shape.channels_last else (2, 3) if shape.kind == "map" else (1,)
        self.is_vector = shape.kind == "vector"
        self.norm = _norm(shape) if normalised else None

    def forward(self, features: Tensor) -> Tensor:
        """Map features of any kind to [N, D]."""
        if self.is_vector:
            return features
        if self.norm is not None:
            features = self.norm(features)
        if self.has_class_token:
            return features[:, 0]
        patches = features[:, self.prefix_tokens :] if self.prefix_tokens else features
        return patches.mean(dim=self.places)


class Pooling(nn.Module):
    """Pools a map to at most `size` x `size` by average, maximum, or the mixture of both in Shallow-Deep Networks.

    All windows have one size and cover the map; they overlap only if a side is not a multiple of `size`. A side of at
    most `size` is unchanged. For multiples, "mixed" is the feature reduction of Kaya et al. 2019 ("Shallow-Deep
    Networks", section 4.1) with weights in (0, 1): `sigmoid(alpha) * max + (1 - sigmoid(alpha)) * avg`. alpha is
    learned and starts at 0.
    """

    def __init__(self, pool: str, height: int, width: int, size: int) -> None:
        super().__init__()
        windows = [_window(side, size) for side in (height, width)]
        self.kernel = (windows[0][0], windows[1][0])
        self.stride = (windows[0][1], windows[1][1])
        self.height, self.width = min(height, size), min(width, size)
        self.pool = pool
        self.alpha = nn.Parameter(torch.zeros(())) if pool == "mixed" else None

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to [N, C, min(H, size), min(W, size)]."""
        if self.alpha is None:
            return self._average(x) if self.pool == "avg" else self._maximum(x)
        share = torch.sigmoid(self.alpha)
        return share * self._maximum(x) + (1 - share) * self._average(x)

    def _average(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, self.kernel, self.stride)

    def _maximum(self, x: Tensor) -> Tensor:
        return nn.functional.max_pool2d(x, self.kernel, self.stride)


class PooledTokens(nn.Module):
    """Converts tokens to a map of one row [N, D, 1, patches]: normalised (LayerNorm), without prefix tokens."""

    def __init__(self, shape: FeatureShape) -> None:
        super().__init__()
        self.prefix_tokens = shape.prefix_tokens
        self.norm = nn.LayerNorm(shape.channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map [N, L, D] to [N, D, 1, L - prefix tokens]."""
        kept: Tensor = self.norm(features)[:, self.prefix_tokens :]
        return kept.transpose(1, 2).unsqueeze(2)


def conv_block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Return Conv 3x3 (padding 1, no bias), batch normalisation and ReLU; a side H becomes ceil(H / stride)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _norm(shape: FeatureShape) -> nn.LayerNorm | None:
    return nn.LayerNorm(shape.channels) if shape.kind == "tokens" or shape.channels_last else None


def _window(side: int, size: int) -> tuple[int, int]:
    """Return kernel and stride of windows that cover `side` and give min(side, size) outputs."""
    places = min(side, size)
    stride = side // places
    return side - (places - 1) * stride, stride
