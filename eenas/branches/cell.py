"""The cell of a learned branch: its operations, and the head with two of them in sequence."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import MapAdapter

OPERATIONS = ("skip", "avg_pool3", "max_pool3", "conv1x1", "sep_conv3", "sep_conv5", "dil_conv3")
"""The candidate operations of an edge."""

EDGES = 2
"""The number of edges of a cell; their operations run in sequence."""

_LARGE = 8
"""The largest side of a map that the first edge does not halve."""


def edge_strides(height: int, width: int) -> tuple[int, ...]:
    """Return the stride of each edge for a map of this size: the first edge halves a map with a side above 8."""
    return (2 if max(height, width) > _LARGE else 1, *(1 for _ in range(EDGES - 1)))


def edge_shape(height: int, width: int, channels: int, edge: int) -> FeatureShape:
    """Return the input shape of edge `edge` (from 0) in a cell of `channels` channels, for a map of this size."""
    for stride in edge_strides(height, width)[:edge]:
        height, width = -(-height // stride), -(-width // stride)
    return FeatureShape((channels, height, width))


def operation(name: str, channels: int, stride: int, *, affine: bool = True) -> nn.Module:
    """Return the operation `name` on [N, channels, H, W]; a side H becomes ceil(H / stride), with stride 1 or 2.

    The operations of DARTS (Liu, Simonyan and Yang 2019, section 3.1.1) in the order ReLU, convolution, batch
    normalisation. Separable convolutions are applied twice, dilated ones (dilation 2) once. Poolings are followed by
    batch normalisation. A skip with stride 2 is a factorised reduction. `affine=False` removes scale and shift from
    batch normalisation, so that the weights of a mixture are comparable during a search.
    """
    if name == "skip":
        return nn.Identity() if stride == 1 else FactorizedReduction(channels, affine)
    if name in ("avg_pool3", "max_pool3"):
        pool: nn.Module = nn.MaxPool2d(3, stride, 1)
        if name == "avg_pool3":
            pool = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
        return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=affine))
    if name == "conv1x1":
        convolution = nn.Conv2d(channels, channels, 1, stride, bias=False)
        return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(channels, affine=affine))
    if name == "dil_conv3":
        return nn.Sequential(*_separable(channels, 3, stride, 2, affine))
    size = {"sep_conv3": 3, "sep_conv5": 5}[name]
    return nn.Sequential(*_separable(channels, size, stride, 1, affine), *_separable(channels, size, 1, 1, affine))


class FactorizedReduction(nn.Module):
    """Halves a map by two 1x1 convolutions of stride 2, the second shifted by one pixel, with outputs concatenated.

    The skip connection of DARTS' reduction cells (Liu, Simonyan and Yang 2019).
    """

    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__()
        second = channels // 2
        self.relu = nn.ReLU()
        self.first = nn.Conv2d(channels, channels - second, 1, 2, bias=False)
        self.second = nn.Conv2d(channels, second, 1, 2, bias=False) if second else None
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to [N, C, ceil(H / 2), ceil(W / 2)]."""
        x = self.relu(x)
        parts = [self.first(x)]
        if self.second is not None:
            parts.append(self.second(nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]))
        reduced: Tensor = self.norm(torch.cat(parts, dim=1))
        return reduced


def _separable(channels: int, size: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    """Return ReLU, a depthwise convolution, a pointwise convolution and batch normalisation."""
    padding = dilation * (size - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, size, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


class CellHead(nn.Module):
    """A 1x1 convolution to `width` channels with batch normalisation, the edges, ReLU, global average, linear layer.

    DARTS has no ReLU before the average. Without it, the layers after the last operation's ReLU would merge with the
    classifier into one linear map, and a cell of two skips would be a linear classifier.
    """

    def __init__(
        self,
        feature_shape: FeatureShape,
        num_classes: int,
        width: int,
        edges: Sequence[nn.Module],
        *,
        label: str,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.front = MapAdapter(feature_shape, label)
        self.pre = nn.Sequential(
            nn.Conv2d(self.front.channels, width, 1, bias=False), nn.BatchNorm2d(width, affine=affine)
        )
        self.edges = nn.Sequential(*edges)
        self.relu = nn.ReLU()
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Map features that `MapAdapter` accepts to logits [N, num_classes]."""
        logits: Tensor = self.classifier(self.relu(self.edges(self.pre(self.front(features)))).mean(dim=(2, 3)))
        return logits
