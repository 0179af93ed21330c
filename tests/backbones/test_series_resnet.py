"""The ResNet for series: shapes, cut points, a chain that agrees, lengths."""

import pytest
import torch

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import load_backbone
from eenas.backbones.models.series_resnet import SeriesResNet
from eenas.errors import BackboneError
from eenas.measurement.macs import count_macs
from eenas.tasks.series.series_input import series_input


def test_every_block_is_a_cut_point_of_series() -> None:
    backbone = load_backbone("series_resnet", num_classes=5, inputs=series_input(3, 50))
    sizes = [(32, 25), (32, 25), (64, 13), (64, 13), (128, 7), (128, 7)]
    assert [point.name for point in backbone.cut_points] == [f"blocks.{index}" for index in range(6)]
    assert [point.shape for point in backbone.cut_points] == [FeatureShape(size, is_series=True) for size in sizes]


def test_chain_and_module_agree() -> None:
    backbone = load_backbone("series_resnet_small", num_classes=5, inputs=series_input(3, 50))
    names = [point.name for point in backbone.cut_points]
    chain = Chain.built_from(backbone.module.eval(), backbone.example(), names)
    x = torch.randn(4, 3, 50)
    with torch.no_grad():
        torch.testing.assert_close(chain(x), backbone.module(x), atol=1e-5, rtol=1e-5)


def test_macs_are_those_of_its_convolutions() -> None:
    first = SeriesResNet(2, 4, width=8).blocks[0]
    by_hand = 32 * 8 * (2 * 7 + 8 * 5 + 8 * 3 + 2)
    assert abs(count_macs(first.eval(), torch.zeros(1, 2, 64)) - by_hand) < 0.05 * by_hand


@pytest.mark.parametrize("length", [1, 8, 33])
def test_lengths(length: int) -> None:
    assert SeriesResNet(2, 4, width=8).eval()(torch.zeros(3, 2, length)).shape == (3, 4)


def test_sizes_that_no_network_has_are_refused() -> None:
    with pytest.raises(BackboneError, match="positive channels and width, got 0 and 32"):
        SeriesResNet(0, 4)
    with pytest.raises(BackboneError, match=r"takes series, whose size is their length, got \(8, 9\)"):
        load_backbone("series_resnet", num_classes=4, input_size=(8, 9))
    assert load_backbone("series_resnet_small", num_classes=4, input_size=40).transform.shape == (2, 40)
