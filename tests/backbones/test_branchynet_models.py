"""BranchyNet's LeNet and AlexNet: the feature counts of the original, and other image sizes."""

import pytest
import torch
from torch import nn

from eenas.backbones.models.branchynet_models import branchynet_alexnet, branchynet_lenet
from eenas.errors import BackboneError


def test_layers_have_the_sizes_of_the_original() -> None:
    lenet, alexnet = branchynet_lenet(), branchynet_alexnet()
    assert [(m.in_features, m.out_features) for m in lenet if isinstance(m, nn.Linear)] == [(720, 84), (84, 10)]
    linear = [(m.in_features, m.out_features) for m in alexnet if isinstance(m, nn.Linear)]
    assert linear == [(1024, 256), (256, 128), (128, 10)]
    assert [m.out_channels for m in alexnet if isinstance(m, nn.Conv2d)] == [32, 64, 96, 96, 64]


@pytest.mark.parametrize("size", [8, 9, 15, 28, 31, 32, 40])
def test_any_image_size(size: int) -> None:
    assert branchynet_lenet(3, size)(torch.randn(2, 1, size, size)).shape == (2, 3)
    assert branchynet_alexnet(3, size)(torch.randn(2, 3, size, size)).shape == (2, 3)


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BackboneError, match="at least 8 px, got 7"):
        branchynet_alexnet(10, 7)


def test_local_response_norm_against_its_formula() -> None:
    norm = next(m for m in branchynet_alexnet() if isinstance(m, nn.LocalResponseNorm))
    x = 50 * torch.randn(1, 5, 2, 2)
    expected = torch.empty_like(x)
    for channel in range(5):
        squares = sum(x[:, other] ** 2 for other in range(max(channel - 1, 0), min(channel + 2, 5)))
        expected[:, channel] = x[:, channel] / (2 + 5e-5 * squares) ** 0.75
    assert torch.allclose(norm(x), expected, rtol=1e-5)
