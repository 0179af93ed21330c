"""The shape of features: how dimensions are read, and which are refused."""

import pytest
import torch

from eenas import specs
from eenas.backbones.features import FeatureShape
from eenas.errors import CutError


@pytest.mark.parametrize(
    ("shape", "kind", "channels", "tokens"),
    [
        (FeatureShape((8, 5, 6)), "map", 8, 30),
        (FeatureShape((5, 6, 8), channels_last=True), "map", 8, 30),
        (FeatureShape((17, 8), prefix_tokens=1), "tokens", 8, 17),
        (FeatureShape((8,)), "vector", 8, 1),
    ],
)
def test_reading(shape: FeatureShape, kind: str, channels: int, tokens: int) -> None:
    assert (shape.kind, shape.channels, shape.tokens) == (kind, channels, tokens)
    assert shape.elements == channels * tokens == shape.example(1).numel()
    assert shape.example(3).shape == (3, *shape.dims)
    assert shape.example().dtype == torch.float32
    if kind == "map":
        assert (shape.height, shape.width) == (5, 6)
    else:
        with pytest.raises(CutError, match="only a map"):
            _ = shape.height
    assert specs.from_table(FeatureShape, specs.to_table(shape)) == shape


def test_sizes_become_plain_integers() -> None:
    shape = FeatureShape(torch.Size([4, 2]))
    assert shape == FeatureShape((4, 2))
    assert hash(shape) == hash(FeatureShape((4, 2)))
    assert str(shape) == "4 x 2"


@pytest.mark.parametrize(
    ("dims", "channels_last", "prefix", "message"),
    [
        ((), False, 0, "one to three"),
        ((1, 2, 3, 4), False, 0, "one to three"),
        ((3, 0), False, 0, "positive"),
        ((3, 4), True, 0, "channels_last is for maps"),
        ((3, 4), False, 3, "3 of"),
        ((3, 4, 4), False, 1, "prefix tokens"),
    ],
)
def test_refused(dims: tuple[int, ...], channels_last: bool, prefix: int, message: str) -> None:
    with pytest.raises(CutError, match=message):
        FeatureShape(dims, channels_last=channels_last, prefix_tokens=prefix)
