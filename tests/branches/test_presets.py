"""The published branches: parameters and MACs against hand counts of the originals, and what they compute."""

import pytest
import torch
from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.backbones.models.branchynet_models import branchynet_alexnet, branchynet_lenet
from eenas.branches import presets
from eenas.branches.adapter import Pooling
from eenas.branches.presets import PRESETS
from eenas.measurement.macs import count_parameters
from eenas.testing.branch_contract import check_branch

TEXT = FeatureShape((12, 33), carried=1, prefix_tokens=1, is_set=True)
PUBLISHED = {
    # name: (features, classes, parameters, MACs: kernels, then the biases that are counted as one each)
    "sdn": (FeatureShape((16, 32, 32)), 10, 1 + 256 * 10 + 10, 256 * 10 + 10),
    "eenet": (FeatureShape((64, 8, 8)), 10, 64 * 10 + 10, 64 * 10 + 10),
    "msdnet": (
        FeatureShape((64, 8, 8)),
        10,
        64 * 128 * 9 + 2 * 128 + 128 * 128 * 9 + 2 * 128 + 128 * 10 + 10,
        64 * 128 * 9 * 4**2 + 128 * 128 * 9 * 2**2 + 128 * 10 + 10,
    ),
    "branchynet_lenet": (
        FeatureShape((5, 30, 30)),
        10,
        5 * 10 * 9 + 10 + 640 * 10 + 10,
        (5 * 10 * 9 + 10) * 15**2 + 640 * 10 + 10,
    ),
    "branchynet_alexnet_1": (
        FeatureShape((64, 16, 16)),
        10,
        64 * 32 * 9 + 32 + 32 * 32 * 9 + 32 + 512 * 10 + 10,
        (64 * 32 * 9 + 32 + 32 * 32 * 9 + 32) * 8**2 + 512 * 10 + 10,
    ),
    "branchynet_alexnet_2": (
        FeatureShape((96, 8, 8)),
        10,
        96 * 32 * 9 + 32 + 128 * 10 + 10,
        (96 * 32 * 9 + 32) * 4**2 + 128 * 10 + 10,
    ),
    "ztw_conv": (
        FeatureShape((32, 16, 16)),
        100,
        32 * 16 * 9 + 16 + 1 + 256 * 100 + 100,
        (32 * 16 * 9 + 16) * 7**2 + 256 * 100 + 100,
    ),
    "deebert": (TEXT, 6, 32 * 32 + 32 + 32 * 6 + 6, 32 * 32 + 32 + 32 * 6 + 6),  # only the first token is read
    "pabee": (TEXT, 6, 32 * 32 + 32 + 32 * 6 + 6, 32 * 32 + 32 + 32 * 6 + 6),
    "ztw_vit": (
        FeatureShape((5, 768), prefix_tokens=1),  # of ViT-B's tokens only the first is read
        1000,
        768 * 1024 + 1024 + 1024 * 1000 + 1000,
        768 * 1024 + 1024 + 1024 * 1000 + 1000,
    ),
}


def test_every_preset_has_a_hand_count() -> None:
    assert PUBLISHED.keys() == PRESETS.keys()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_cost_what_the_published_branch_costs(name: str) -> None:
    shape, classes, parameters, macs = PUBLISHED[name]
    branch = PRESETS[name]()
    assert count_parameters(branch.build(shape, classes)) == parameters
    check_branch(branch, shape, classes, macs=macs)


def test_branchynet_branches_fit_where_they_stood() -> None:
    lenet = branchynet_lenet()
    x = lenet.conv1(torch.zeros(1, 1, 28, 28))
    assert tuple(x.shape[1:]) == PUBLISHED["branchynet_lenet"][0].dims
    alexnet = branchynet_alexnet()
    x = torch.zeros(1, 3, 32, 32)
    for name, layer in alexnet.named_children():
        x = layer(x)
        if name in ("conv2", "conv3"):
            assert tuple(x.shape[1:]) == PUBLISHED[f"branchynet_alexnet_{1 if name == 'conv2' else 2}"][0].dims


def test_b_alexnet_is_relu_maximum_response_convolutions_maximum() -> None:
    shape = FeatureShape((6, 9, 9))
    module = presets.branchynet_alexnet_1().build(shape, 3).eval()
    convs = [layer for layer in module if isinstance(layer, nn.Conv2d)]
    x = shape.example(2)
    y = nn.functional.max_pool2d(nn.functional.pad(x.relu(), (0, 1, 0, 1), value=-1.0), 3, 2)
    y = y / (2 + 5e-5 * _three_neighbours(y.square())) ** 0.75
    for conv in convs:
        y = conv(y).relu()
    y = nn.functional.max_pool2d(nn.functional.pad(y, (0, 1, 0, 1), value=-1.0)[..., :5, :5], 3, 2)
    torch.testing.assert_close(module(x), module[-1](y.flatten(1)))


def _three_neighbours(x: torch.Tensor) -> torch.Tensor:
    padded = nn.functional.pad(x, (0, 0, 0, 0, 1, 1))
    return padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]


def test_ztw_conv_is_relu_unpadded_convolution_mixed_pooling() -> None:
    shape = FeatureShape((7, 13, 13))
    module = presets.ztw_conv().build(shape, 3).eval()
    conv, pooling = module[2], module[3]
    assert isinstance(pooling, Pooling)
    x = shape.example(2)
    y = nn.functional.conv2d(x.relu(), conv.weight, conv.bias, stride=2)
    assert tuple(y.shape) == (2, 3, 6, 6)
    torch.testing.assert_close(module(x), module[-1](pooling(y).flatten(1)))


def test_ztw_vit_reads_the_class_token_as_it_is() -> None:
    shape = FeatureShape((5, 6), prefix_tokens=1)
    module = presets.ztw_vit().build(shape, 3).eval()
    x = shape.example(2)
    slow = module[-1](nn.functional.gelu(module[1](x[:, 0])))
    torch.testing.assert_close(module(x), slow)


def test_sdn_mixes_maxima_and_averages_of_sixteen_places() -> None:
    module = presets.sdn().build(FeatureShape((16, 32, 32)), 10)
    assert isinstance(module[1], Pooling)
    assert module[1].alpha is not None
    assert module[-1].in_features == 16 * 16
    assert list(presets.SDN_SHARES) == sorted(presets.SDN_SHARES)


def test_pabee_is_deebert_with_a_shared_pooler() -> None:
    one, other = presets.deebert().build(TEXT, 3).eval(), presets.pabee().build(TEXT, 3).eval()
    other.load_state_dict(one.state_dict())
    x = TEXT.example(4)
    torch.testing.assert_close(one(x), other(x))
    assert presets.pabee().label() == "pooler_fc D shared"
