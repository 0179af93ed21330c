"""The CIFAR ResNets: published sizes, state-dict names and the parameter-free shortcut."""

import pytest
import torch

from eenas.backbones.models.cifar_resnet import BasicBlock, CifarResNet
from eenas.errors import BackboneError


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)  # He et al. 2015, table 6
def test_parameters_of_the_paper(depth: int, millions: float) -> None:
    model = CifarResNet(depth)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05 * millions)
    layers = [name for name, p in model.named_parameters() if p.ndim > 1]
    assert len(layers) == depth


def test_names_of_public_weights() -> None:
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"conv1.weight", "linear.weight", "linear.bias", *(f"bn1.{key}" for key in norm)}
    for stage in (1, 2, 3):
        for block in (0, 1, 2):
            for index in (1, 2):
                place = f"layer{stage}.{block}"
                expected |= {f"{place}.conv{index}.weight", *(f"{place}.bn{index}.{key}" for key in norm)}
    assert set(CifarResNet(20).state_dict()) == expected


def test_shortcut_skips_pixels_and_pads_channels() -> None:
    block = BasicBlock(4, 8, stride=2).eval()
    torch.nn.init.zeros_(block.bn2.weight)  # the residual is then zero, and the block its shortcut
    x = torch.rand(2, 4, 6, 6)
    out = block(x)
    expected = torch.zeros(2, 8, 3, 3)
    for channel in range(4):
        for row in range(3):
            for column in range(3):
                expected[:, channel + 2, row, column] = x[:, channel, 2 * row, 2 * column]
    assert torch.equal(out, expected)


def test_stages_halve_the_map() -> None:
    model = CifarResNet(20, num_classes=7)
    x = torch.relu(model.bn1(model.conv1(torch.randn(2, 3, 32, 32))))
    shapes = []
    for stage in (model.layer1, model.layer2, model.layer3):
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("depth", [2, 18, 21])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(BackboneError, match=rf"6 n \+ 2.*got {depth}"):
        CifarResNet(depth)
