"""What every branch begins with: features of any layout turned into a map, a vector or pooled tokens."""

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.errors import BranchError


def map_size(shape: FeatureShape, what: str) -> tuple[int, int, int]:
    """Channels, height and width of the map that `MapAdapter` makes of features of this shape.

    `what` is the branch's label for the message. Raises BranchError for a vector and for tokens that fill no square.
    """
    if shape.kind == "map":
        return shape.channels, shape.height, shape.width
    if shape.kind == "vector":
        raise BranchError(f"{what}: needs a map, got a vector of {shape.channels}; use fc or mlp there")
    patches = shape.patches
    if patches is None:
        count = shape.dims[0] - shape.prefix_tokens
        rule = "tokens whose order over the image is known" if shape.is_set else "patch tokens that fill a square"
        raise BranchError(f"{what}: needs {rule}, got {count}; use fc, mlp or pool_fc there")
    return shape.channels, *patches


class MapAdapter(nn.Module):
    """Features to a map `[N, C, H, W]`.

    A map passes as it is. Tokens are normalised (LayerNorm), those of the prefix are dropped and the patches are laid
    out as the rows and columns that they come from. A map with channels last comes from a transformer (Swin) too: its
    channels are normalised and moved to the front.
    """

    def __init__(self, shape: FeatureShape, what: str) -> None:
        super().__init__()
        self.channels, self.height, self.width = map_size(shape, what)
        self.is_tokens = shape.kind == "tokens"
        self.prefix_tokens = shape.prefix_tokens
        self.norm = _norm(shape)

    def forward(self, features: Tensor) -> Tensor:
        """`[N, C, H, W]`, `[N, H, W, C]` or `[N, L, D]` to `[N, C, H, W]`."""
        if self.norm is None:
            return features
        features = self.norm(features)
        if self.is_tokens:
            features = features[:, self.prefix_tokens :].reshape(-1, self.height, self.width, self.channels)
        return features.permute(0, 3, 1, 2)


class VectorAdapter(nn.Module):
    """Features to a vector `[N, D]`: a map averaged over its places; of tokens, after a LayerNorm, the class token.

    Patches are averaged where there is no class token. A vector passes as it is. Without `normalised` there is no
    LayerNorm.
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
        """Features of any kind to `[N, D]`."""
        if self.is_vector:
            return features
        if self.norm is not None:
            features = self.norm(features)
        if self.has_class_token:
            return features[:, 0]
        patches = features[:, self.prefix_tokens :] if self.prefix_tokens else features
        return patches.mean(dim=self.places)


class Pooling(nn.Module):
    """A map pooled to at most `size` x `size` by averages, by maxima, or by the mixture of Shallow-Deep Networks.

    The windows are equal, cover every place and overlap only where the side is no multiple of `size`; a side of at
    most `size` is left alone. Where the side is a multiple this is the feature reduction of Kaya et al. 2019
    ("Shallow-Deep Networks", section 4.1), with a mixture of sigmoid(alpha) so that it stays one:
    `sigmoid(alpha) * max + (1 - sigmoid(alpha)) * avg`, alpha learned from 0 (half and half).
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
        """`[N, C, H, W]` to `[N, C, min(H, size), min(W, size)]`."""
        if self.alpha is None:
            return self._average(x) if self.pool == "avg" else self._maximum(x)
        share = torch.sigmoid(self.alpha)
        return share * self._maximum(x) + (1 - share) * self._average(x)

    def _average(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, self.kernel, self.stride)

    def _maximum(self, x: Tensor) -> Tensor:
        return nn.functional.max_pool2d(x, self.kernel, self.stride)


class PooledTokens(nn.Module):
    """Tokens as a map of one row: normalised (LayerNorm), the class token dropped, `[N, D, 1, patches]`."""

    def __init__(self, shape: FeatureShape) -> None:
        super().__init__()
        self.prefix_tokens = shape.prefix_tokens
        self.norm = nn.LayerNorm(shape.channels)

    def forward(self, features: Tensor) -> Tensor:
        """`[N, L, D]` to `[N, D, 1, L - prefix tokens]`."""
        kept: Tensor = self.norm(features)[:, self.prefix_tokens :]
        return kept.transpose(1, 2).unsqueeze(2)


def conv_block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Conv 3x3 (padding 1, no bias), batch normalisation, ReLU: a side of H becomes ceil(H / stride)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _norm(shape: FeatureShape) -> nn.LayerNorm | None:
    return nn.LayerNorm(shape.channels) if shape.kind == "tokens" or shape.channels_last else None


def _window(side: int, size: int) -> tuple[int, int]:
    """Kernel and stride that bring `side` to min(side, size) places and leave none out."""
    places = min(side, size)
    stride = side // places
    return side - (places - 1) * stride, stride
