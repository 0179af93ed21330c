"""The cell of a learned branch: its operations, and the head that two of them in sequence make."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import MapAdapter

OPERATIONS = ("skip", "avg_pool3", "max_pool3", "conv1x1", "sep_conv3", "sep_conv5", "dil_conv3")
"""What an edge of a cell may be."""

EDGES = 2
"""How many operations a cell runs, one after another."""

_LARGE = 8
"""The side in places above which the first edge halves the map."""


def edge_strides(height: int, width: int) -> tuple[int, ...]:
    """The stride of each edge of a cell at a map of this size: the first halves a map with a side larger than 8."""
    return (2 if max(height, width) > _LARGE else 1, *(1 for _ in range(EDGES - 1)))


def edge_shape(height: int, width: int, channels: int, edge: int) -> FeatureShape:
    """The shape of what enters edge `edge` (from 0) of a cell of `channels` channels at a map of this size."""
    for stride in edge_strides(height, width)[:edge]:
        height, width = -(-height // stride), -(-width // stride)
    return FeatureShape((channels, height, width))


def operation(name: str, channels: int, stride: int, *, affine: bool = True) -> nn.Module:
    """One operation on `[N, channels, H, W]`; a side of H becomes ceil(H / stride), stride 1 or 2.

    Those of DARTS (Liu, Simonyan and Yang 2019, section 3.1.1), in the order ReLU, convolution, batch normalisation: a
    separable convolution is applied twice, a dilated one (by 2) once, a pooling is normalised, and what skips a stride
    is its factorised reduction. `affine` False takes scale and shift from the normalisation, so that the weights of a
    mixture mean something while a structure is searched.
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
    """A map at half its side: two 1x1 convolutions of stride 2, the second one place further, side by side.

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
        """`[N, C, H, W]` to `[N, C, ceil(H / 2), ceil(W / 2)]`."""
        x = self.relu(x)
        parts = [self.first(x)]
        if self.second is not None:
            parts.append(self.second(nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]))
        reduced: Tensor = self.norm(torch.cat(parts, dim=1))
        return reduced


def _separable(channels: int, size: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    """ReLU, a convolution of each channel by itself, one across channels, batch normalisation."""
    padding = dilation * (size - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, size, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


class CellHead(nn.Module):
    """A 1x1 convolution to `width` channels with normalisation, the edges, ReLU, a global average, a linear layer.

    The ReLU in front of the average is what DARTS does not have: without it whatever stands behind the last ReLU of
    the last operation would be one linear map with the classifier, and two skips a linear classifier.
    """

    def __init__(
        self,
        feature_shape: FeatureShape,
        num_classes: int,
        width: int,
        edges: Sequence[nn.Module],
        *,
        what: str,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.front = MapAdapter(feature_shape, what)
        self.pre = nn.Sequential(
            nn.Conv2d(self.front.channels, width, 1, bias=False), nn.BatchNorm2d(width, affine=affine)
        )
        self.edges = nn.Sequential(*edges)
        self.relu = nn.ReLU()
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Features of any layout that has a plane to logits `[N, num_classes]`."""
        logits: Tensor = self.classifier(self.relu(self.edges(self.pre(self.front(features)))).mean(dim=(2, 3)))
        return logits
