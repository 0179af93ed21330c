"""MACs by ptflops against torch's own counter and against hand-made formulas."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from eenas.backbones.features import FeatureShape
from eenas.errors import MeasurementError
from eenas.measurement.macs import count_macs, count_parameters


def reference(module: nn.Module, sample: Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        copy.deepcopy(module).to("meta").eval()(sample.to("meta"))
    return counter.get_total_flops() // 2


class Attention(nn.Module):
    """One block of a transformer encoder, whose attention has a fused path."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x)
        return result


class Constant(nn.Module):
    """A module with a tensor that is no buffer, so that it does not run without storage."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 5)
        self.offset = torch.ones(6)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x + self.offset)
        attended = nn.functional.scaled_dot_product_attention(*(logits.unsqueeze(1) for _ in range(3)))
        return torch.baddbmm(attended, attended.transpose(1, 2), attended)


class Recurrent(Constant):
    """A recurrent layer where only fused kernels run, if they are not taken apart."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(6, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.recurrent((x + self.offset).unsqueeze(1))[0]
        return result


def test_convolution_and_linear_by_formula() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(128, 7))
    macs = 3 * 8 * 9 * 16 + 8 * 16 + 128 * 7 + 7
    assert count_macs(module, FeatureShape((3, 8, 8))) == macs
    assert count_macs(module, torch.randn(5, 3, 8, 8)) == macs, "of one sample, whatever the batch"


def test_grouped_convolution() -> None:
    module = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
    assert count_macs(module, FeatureShape((8, 5, 5))) == 8 * 9 * 25


@pytest.mark.parametrize("training", [True, False])
def test_attention_counts_fused_products_and_puts_the_fast_path_back(training: bool) -> None:
    module = Attention().train(training)
    before = torch.backends.mha.get_fastpath_enabled()
    sample = torch.randn(1, 9, 16)
    macs = count_macs(module, sample)
    assert torch.backends.mha.get_fastpath_enabled() == before
    assert module.training == training
    products = 9 * 16 * 48 + 2 * 9 * 9 * 16 + 9 * 16 * 16 + 2 * 9 * 16 * 32
    assert products <= macs <= 1.1 * products
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        assert abs(macs - reference(module, sample)) <= 9 * (48 + 16 + 32 + 16)
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def test_a_recurrent_layer_is_counted() -> None:
    module = nn.Sequential(nn.LSTM(6, 4, batch_first=True))
    assert count_macs(module, FeatureShape((5, 6))) == pytest.approx(5 * 16 * (6 + 4), rel=0.25)


def test_a_module_that_needs_storage_is_counted_where_it_is() -> None:
    attention = 2 * 5
    assert count_macs(Constant(), FeatureShape((6,))) == 6 * 5 + 5 + attention + 5 * 5
    assert count_macs(Recurrent(), FeatureShape((6,))) == count_macs(
        nn.LSTM(6, 4, batch_first=True), FeatureShape((1, 6))
    )


def test_nothing_of_the_module_or_the_random_state_changes() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    before = torch.get_rng_state()
    count_macs(module, FeatureShape((3, 6, 6)))
    assert module.training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, kept[name]) for name, value in module.state_dict().items())
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in module.modules())
    assert next(module.parameters()).device.type == "cpu"


def test_failure_is_one_clear_error_and_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        MeasurementError, match=r"MACs of Linear could not be counted on an input of \[1, 4\].*shape"
    ) as e:
        count_macs(nn.Linear(3, 2), FeatureShape((4,)))
    assert "\n" not in str(e.value)
    assert capsys.readouterr() == ("", "")


def test_parameters_count_once() -> None:
    shared = nn.Linear(3, 3)
    assert count_parameters(nn.Sequential(shared, nn.BatchNorm1d(3), shared)) == 12 + 6


@pytest.mark.parametrize("name", ["mobilenetv2_100", "vit_tiny_patch16_224", "convnext_atto"])
def test_whole_networks_agree_with_torch(name: str) -> None:
    timm = pytest.importorskip("timm")
    module = timm.create_model(name)
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        expected = reference(module, torch.zeros(1, 3, 224, 224))
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    assert count_macs(module, FeatureShape((3, 224, 224))) == pytest.approx(expected, rel=0.01)
