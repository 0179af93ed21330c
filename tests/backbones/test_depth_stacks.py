"""Stacks over whole series: exits behind each layer, padding that changes nothing, MACs by hand."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import load_backbone
from eenas.branches.conv_fc import ConvFc
from eenas.branches.pool_fc import PoolFc
from eenas.measurement.macs import count
from eenas.tasks.series.series_input import series_input

NAMES = ("series_lstm", "series_gru", "series_transformer")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_a_cut_point(name: str, masked: bool) -> None:
    backbone = load_backbone(name, num_classes=4, inputs=series_input(2 + masked, 32, masked=masked))
    length = 8 if name == "series_transformer" else 32
    layers = 4 if name == "series_transformer" else 3
    shape = FeatureShape((64 + masked, length), is_series=True, carried=int(masked))
    assert [(point.name, point.shape) for point in backbone.cut_points] == [
        (f"layer{number}", shape) for number in range(1, layers + 1)
    ]
    chain = Chain.built_from(backbone.module, backbone.example(), [point.name for point in backbone.cut_points])
    x = backbone.example(5)
    with torch.no_grad():
        torch.testing.assert_close(chain(x), backbone.module.eval()(x))
        features = chain.segments[0](x)
    assert PoolFc().build(shape, 4).eval()(features).shape == (5, 4)
    if not masked:
        assert ConvFc().build(shape, 4).eval()(features).shape == (5, 4)


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing(name: str) -> None:
    backbone = load_backbone(name, num_classes=4, inputs=series_input(2, 32, masked=False))
    masked = load_backbone(name, num_classes=4, inputs=series_input(3, 32, masked=True))
    masked.module.load_state_dict(backbone.module.state_dict())
    x = torch.randn(3, 2, 20)
    padded = torch.cat([x, torch.ones(3, 1, 20)], dim=1)
    padded = torch.cat([padded, torch.zeros(3, 3, 12)], dim=2)
    with torch.no_grad():
        torch.testing.assert_close(masked.module.eval()(padded), backbone.module.eval()(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_macs_of_recurrent_layers_are_those_by_hand(kind: type[nn.RNNBase], gates: int, directions: int) -> None:
    layer = kind(5, 8, num_layers=2, batch_first=True, bidirectional=directions == 2)

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x.transpose(1, 2))[0]

    found = count(Last(), torch.zeros(1, 5, 16))
    products = 16 * directions * gates * 8 * ((5 + 8) + (8 * directions + 8))
    biases = 16 * directions * gates * 8 * 2 * 2
    assert found.uncounted == ()
    assert found.macs == products + biases
    with FlopCounterMode(display=False) as counter:
        Last().to("meta")(torch.zeros(1, 5, 16, device="meta"))
    assert counter.get_total_flops() == 2 * products
