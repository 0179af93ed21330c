"""The conv_pool_fc branch: strided convolutions, pooling, one linear layer; also the variants of BranchyNet."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import Pooling, adapter_of, convolution, normalisation, places_of
from eenas.branches.branch import Branch, Pool, check_classes, check_pool, check_positive
from eenas.errors import BranchError
from eenas.escaping import shortened

Begin = Literal["conv", "relu", "max2", "max3"]
Norm = Literal["batch", "response", "none"]


@dataclass(frozen=True, kw_only=True)
class ConvPoolFc(Branch):
    """`layers` times Conv 3x3 (to width, stride 2), batch normalisation, ReLU; pool to at most `size` x `size`; Linear.

    With 2 layers of 128 channels this is the classifier of MSDNet (Huang et al. 2018, section 4). Each convolution
    halves the map, so more layers cost little more than one. Patch tokens are first arranged as a map. Along a
    series windows have one axis. `width` 0 stands for half the channels of the features. `begin` gives the order of
    published branches:

    - "conv": as above.
    - "relu": a ReLU before each convolution instead of after it, and no padding (Zero Time Waste, Wolczyk et al. 2021).
    - "max2", "max3": ReLU and max pooling (2x2 or 3x3, stride 2, `ceil_mode`); convolutions of stride 1, each with a
      ReLU; the same pooling again instead of pooling to `size` (BranchyNet, Teerapittayanon et al. 2016: LeNet and
      AlexNet). This needs `pool` "max" and `size` 2.

    `norm` "none" gives the convolutions a bias instead of batch normalisation. "response" does the same and adds local
    response normalisation over three channels after the first max pooling, as in B-AlexNet.
    """

    kind: ClassVar[str] = "conv_pool_fc"
    sizes: ClassVar[tuple[str, ...]] = ("width", "layers", "pool")
    needs_places: ClassVar[bool] = True
    width: int = 32
    layers: int = 2
    pool: Pool = "avg"
    size: int = 2
    begin: Begin = "conv"
    norm: Norm = "batch"

    def __post_init__(self) -> None:
        """Check the sizes, and that `begin` fits the pooling and the normalisation."""
        half = type(self.width) is int and self.width == 0
        check_positive(self, *(() if half else ("width",)), "layers", "size")
        check_pool(self, self.pool)
        for name, known in (("begin", get_args(Begin)), ("norm", get_args(Norm))):
            if (value := getattr(self, name)) not in known:
                raise BranchError(f"{self.kind}: {name} must be one of {', '.join(known)}, got {shortened(value)}")
        if self._window and (self.pool, self.size) != ("max", 2):
            got = f"pool = {shortened(self.pool)} and size = {self.size}"
            raise BranchError(
                f"{self.kind}: begin = {shortened(self.begin)} needs pool = 'max' and size = 2, got {got}"
            )
        if self.norm == "response" and not self._window:
            raise BranchError(
                f"{self.kind}: norm = 'response' needs begin = 'max2' or 'max3', got {shortened(self.begin)}"
            )

    @property
    def _window(self) -> int:
        """The window of BranchyNet's max pooling; 0 if the convolutions halve the map instead."""
        return {"max2": 2, "max3": 3}.get(self.begin, 0)

    def check(self, feature_shape: FeatureShape) -> None:
        """Raise BranchError for features that are no map or series, and for those that are too small."""
        _, places = places_of(feature_shape, self.label())
        if min(map(self._places, places)) < 1:
            size = " x ".join(map(str, places))
            raise BranchError(
                f"{self.label()}: a map of {size} is too small for it; use conv_pool_fc with begin = 'conv'"
            )

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        self.check(feature_shape)
        front = adapter_of(feature_shape, self.label())
        axes, width = len(front.places), self.width or max(front.channels // 2, 1)
        body = [layer for i in range(self.layers) for layer in self._conv(width if i else front.channels, width, axes)]
        left = [self._places(side) for side in front.places]
        count = math.prod(left)
        if self._window:
            body = [nn.ReLU(), self._maximum(axes), *self._response(), *body, self._maximum(axes)]
        else:
            pooling = Pooling(self.pool, left, self.size)
            count = pooling.count
            body.append(pooling)
        return nn.Sequential(front, *body, nn.Flatten(), nn.Linear(width * count, num_classes))

    def _conv(self, inputs: int, outputs: int, axes: int) -> list[nn.Module]:
        stride, padding = 1 if self._window else 2, 0 if self.begin == "relu" else 1
        conv = convolution(axes)(inputs, outputs, 3, stride=stride, padding=padding, bias=self.norm != "batch")
        layers: list[nn.Module] = [conv, normalisation(axes)(outputs)] if self.norm == "batch" else [conv]
        return [nn.ReLU(), *layers] if self.begin == "relu" else [*layers, nn.ReLU()]

    def _maximum(self, axes: int) -> nn.Module:
        return (nn.MaxPool1d if axes == 1 else nn.MaxPool2d)(self._window, 2, ceil_mode=True)

    def _response(self) -> list[nn.Module]:
        """`x / (2 + 5e-5 * sum of squares) ** 0.75` over three channels as in Chainer; torch divides alpha by three."""
        return [nn.LocalResponseNorm(3, alpha=3 * 5e-5, beta=0.75, k=2.0)] if self.norm == "response" else []

    def _places(self, side: int) -> int:
        """Return the side of the map before pooling to `size`, or after BranchyNet's last pooling."""
        for _ in range(2 if self._window else self.layers):
            if self._window:
                side = -(-(side - self._window) // 2) + 1
            else:
                side = (side - 3) // 2 + 1 if self.begin == "relu" else -(-side // 2)
        return side

    def label(self) -> str:
        """Return a short text such as "conv_pool_fc 2x32 avg" or "conv_pool_fc relu 1xC/2 mixed"."""
        order = () if self.begin == "conv" else (self.begin,)
        return " ".join((self.kind, *order, f"{self.layers}x{self.width or 'C/2'}", self.pool))
