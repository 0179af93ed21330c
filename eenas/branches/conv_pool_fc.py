"""The conv_pool_fc branch: convolutions that halve the map, pooling, one linear layer; BranchyNet's forms of it too."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import MapAdapter, Pooling, map_size
from eenas.branches.branch import Branch, Pool, check_classes, check_pool, check_positive
from eenas.errors import BranchError
from eenas.escaping import shortened

Begin = Literal["conv", "relu", "max2", "max3"]
Norm = Literal["batch", "response", "none"]


@dataclass(frozen=True, kw_only=True)
class ConvPoolFc(Branch):
    """`layers` times Conv 3x3 (to width, stride 2), batch normalisation, ReLU; pool to at most `size` x `size`; Linear.

    The classifier of MSDNet (Huang et al. 2018, section 4) with 2 layers of 128 channels; each convolution halves the
    map, so that more layers cost little more than one. Patch tokens are laid out as their square map first. A `width`
    of 0 is half the channels of the features. `begin` gives the order of published branches:

    - "conv": as above.
    - "relu": a ReLU before each convolution, none behind, and no padding (Zero Time Waste, Wolczyk et al. 2021).
    - "max2", "max3": ReLU and a max pooling over 2x2 or 3x3 in steps of 2, whose last window may hang over the edge;
      convolutions of stride 1, each with its ReLU; the same pooling again in place of pooling to `size` (BranchyNet,
      Teerapittayanon et al. 2016: LeNet and AlexNet). `pool` has to be "max" and `size` 2 then.

    `norm` "none" leaves normalisation out and gives the convolutions a bias; "response" does too and normalises over
    three neighbouring channels behind the first max pooling, as B-AlexNet does.
    """

    kind: ClassVar[str] = "conv_pool_fc"
    sizes: ClassVar[tuple[str, ...]] = ("width", "layers", "pool")
    needs_map: ClassVar[bool] = True
    width: int = 32
    layers: int = 2
    pool: Pool = "avg"
    size: int = 2
    begin: Begin = "conv"
    norm: Norm = "batch"

    def __post_init__(self) -> None:
        """Refuse sizes that no layer has, and orders that contradict the pooling or the normalisation."""
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
            raise BranchError(f"{self.kind}: norm = 'response' stands behind a max pooling; set begin to max2 or max3")

    @property
    def _window(self) -> int:
        """The side of the windows of BranchyNet's poolings, 0 where the convolutions halve the map."""
        return {"max2": 2, "max3": 3}.get(self.begin, 0)

    def check(self, feature_shape: FeatureShape) -> None:
        """Raise BranchError for features without a plane, and for a map of which nothing would be left."""
        _, height, width = map_size(feature_shape, self.label())
        if min(self._places(side) for side in (height, width)) < 1:
            raise BranchError(
                f"{self.label()}: nothing is left of a map of {height} x {width}; use conv_pool_fc with begin = 'conv'"
            )

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        self.check(feature_shape)
        front = MapAdapter(feature_shape, self.label())
        width = self.width or max(front.channels // 2, 1)
        body = [layer for i in range(self.layers) for layer in self._conv(width if i else front.channels, width)]
        height_left, width_left = self._places(front.height), self._places(front.width)
        if self._window:
            body = [nn.ReLU(), self._maximum(), *self._response(), *body, self._maximum()]
        else:
            pooling = Pooling(self.pool, height_left, width_left, self.size)
            height_left, width_left = pooling.height, pooling.width
            body.append(pooling)
        return nn.Sequential(front, *body, nn.Flatten(), nn.Linear(width * height_left * width_left, num_classes))

    def _conv(self, inputs: int, outputs: int) -> list[nn.Module]:
        stride, padding = 1 if self._window else 2, 0 if self.begin == "relu" else 1
        conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=padding, bias=self.norm != "batch")
        layers = [conv, nn.BatchNorm2d(outputs)] if self.norm == "batch" else [conv]
        return [nn.ReLU(), *layers] if self.begin == "relu" else [*layers, nn.ReLU()]

    def _maximum(self) -> nn.Module:
        return nn.MaxPool2d(self._window, 2, ceil_mode=True)

    def _response(self) -> list[nn.Module]:
        """Chainer's `x / (2 + 5e-5 * sum of squares) ** 0.75` over three neighbours; torch divides alpha by them."""
        return [nn.LocalResponseNorm(3, alpha=3 * 5e-5, beta=0.75, k=2.0)] if self.norm == "response" else []

    def _places(self, side: int) -> int:
        """What is left of a side before the last pooling, or behind it where it is BranchyNet's."""
        for _ in range(2 if self._window else self.layers):
            if self._window:
                side = -(-(side - self._window) // 2) + 1
            else:
                side = (side - 3) // 2 + 1 if self.begin == "relu" else -(-side // 2)
        return side

    def label(self) -> str:
        """Short text such as "conv_pool_fc 2x32 avg" or "conv_pool_fc relu 1xC/2 mixed"."""
        order = () if self.begin == "conv" else (self.begin,)
        return " ".join((self.kind, *order, f"{self.layers}x{self.width or 'C/2'}", self.pool))
