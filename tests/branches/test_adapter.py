"""The pooling windows against adaptive pooling and the published feature reduction."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import Pooling, map_size
from eenas.errors import BranchError


@given(height=st.integers(1, 40), width=st.integers(1, 40), size=st.integers(1, 6))
def test_windows_give_the_size_and_leave_no_place_out(height: int, width: int, size: int) -> None:
    pooling = Pooling("max", (height, width), size)
    for row, column in ((0, 0), (height - 1, width - 1), (height // 2, width // 3)):
        x = torch.zeros(1, 1, height, width)
        x[0, 0, row, column] = 1
        pooled = pooling(x)
        assert pooled.shape[2:] == (min(height, size), min(width, size))
        assert pooled.shape[2:].numel() == pooling.count
        assert pooled.max() == 1


@pytest.mark.parametrize("side", [4, 8, 16, 28, 32, 56])
def test_multiples_agree_with_adaptive_pooling_and_shallow_deep_networks(side: int) -> None:
    x = torch.randn(2, 3, side, side)
    kernel = side // 4
    for pool, adaptive, fixed in (
        ("avg", nn.functional.adaptive_avg_pool2d, nn.functional.avg_pool2d),
        ("max", nn.functional.adaptive_max_pool2d, nn.functional.max_pool2d),
    ):
        pooled = Pooling(pool, (side, side), 4)(x)
        torch.testing.assert_close(pooled, adaptive(x, 4))
        torch.testing.assert_close(pooled, fixed(x, kernel))


def test_mixed_starts_half_and_half_and_stays_a_mixture() -> None:
    pooling = Pooling("mixed", (8, 8), 4)
    x = torch.randn(2, 3, 8, 8)
    low, high = Pooling("avg", (8, 8), 4)(x), Pooling("max", (8, 8), 4)(x)
    torch.testing.assert_close(pooling(x), (low + high) / 2)
    assert pooling.alpha is not None
    for value in (-50.0, 50.0):
        pooling.alpha.data.fill_(value)
        mixed = pooling(x)
        assert ((low <= mixed + 1e-6) & (mixed <= high + 1e-6)).all()


def test_map_size_says_what_to_use_instead() -> None:
    assert map_size(FeatureShape((50, 12), prefix_tokens=1), "conv_fc 8") == (12, 7, 7)
    assert map_size(FeatureShape((7, 9, 8), channels_last=True), "conv_fc 8") == (8, 7, 9)
    with pytest.raises(BranchError, match=r"conv_fc 8: needs a square number of patch tokens, got 12; use fc"):
        map_size(FeatureShape((12, 5)), "conv_fc 8")
    with pytest.raises(BranchError, match="got a vector of 12; use fc or mlp"):
        map_size(FeatureShape((12,)), "conv_fc 8")
