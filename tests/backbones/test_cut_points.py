"""Cut points: which places are found in networks of every kind, how they are named and read."""

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from eenas.backbones.cut_points import CutPoint, find_cut_points
from eenas.backbones.features import FeatureShape
from eenas.backbones.models.branchynet_models import branchynet_lenet
from eenas.backbones.models.cifar_resnet import CifarResNet
from eenas.errors import CutError


def points(module: nn.Module, *dims: int) -> dict[str, CutPoint]:
    return {point.name: point for point in find_cut_points(module, torch.randn(2, *(dims or (3, 32, 32))))}


def ends(found: dict[str, CutPoint]) -> list[str]:
    return [name for name, point in found.items() if point.block_end]


def googlenet() -> nn.Module:
    module: nn.Module = torchvision.models.googlenet(weights=None, init_weights=False, aux_logits=True, num_classes=5)
    return module


def convolution() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())


class Tangled(nn.Module):
    """A side path around two blocks, a block that runs twice, and plain blocks before and behind."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.before, self.inner, self.twice, self.after = (convolution() for _ in range(4))
        self.side = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(self.stem(x))
        x = self.inner(x) + self.side(x)
        x = self.after(self.twice(self.twice(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


RESNET50 = [f"layer{stage}.{block}" for stage, count in enumerate((3, 4, 6, 3), 1) for block in range(count)]
RESNET18 = [f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2)]
MOBILENET = [f"blocks.{stage}.{block}" for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1)) for block in range(count)]
CONVNEXT = ["stem"] + [
    name
    for stage, count in enumerate((3, 3, 9, 3))
    for name in ([f"stages.{stage}.downsample"] if stage else []) + [f"stages.{stage}.blocks.{k}" for k in range(count)]
]
SWIN = ["patch_embed"] + [
    name
    for stage, count in enumerate((2, 2, 6, 2))
    for name in ([f"layers.{stage}.downsample"] if stage else []) + [f"layers.{stage}.blocks.{k}" for k in range(count)]
]
DENSENET = [f"features.{name}{k}" for k in range(1, 5) for name in ("denseblock", "transition")][:-1]
GOOGLENET = ["conv1", "conv2", "conv3"] + [
    f"inception{name}" for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
]


@pytest.mark.parametrize(
    ("build", "size", "blocks", "others"),
    [
        (lambda: timm.create_model("resnet50"), 32, RESNET50, ["conv1", "act1", "maxpool"]),
        (lambda: timm.create_model("mobilenetv2_100"), 32, MOBILENET, ["bn1", "blocks.1.0.conv_dw", "conv_head"]),
        (lambda: timm.create_model("convnext_tiny"), 32, CONVNEXT, ["stem.0"]),
        (
            lambda: timm.create_model("vit_tiny_patch16_224", img_size=32),
            32,
            ["patch_embed", *(f"blocks.{k}" for k in range(12))],
            ["pos_drop", "norm"],
        ),
        (lambda: timm.create_model("swin_tiny_patch4_window7_224", img_size=112), 112, SWIN, ["norm"]),
        (lambda: torchvision.models.resnet18(weights=None), 32, RESNET18, ["conv1", "relu"]),
        (lambda: torchvision.models.densenet121(weights=None), 32, DENSENET, ["features.pool0"]),
        (googlenet, 64, GOOGLENET, ["maxpool1"]),
        (lambda: CifarResNet(20), 32, [f"layer{i}.{k}" for i in (1, 2, 3) for k in range(3)], ["bn1"]),
    ],
)
def test_networks(build: Callable[[], nn.Module], size: int, blocks: list[str], others: list[str]) -> None:
    found = points(build(), 3, size, size)
    assert ends(found) == blocks
    assert set(others) <= set(found)
    assert not {"bn1.act", "fc", "head", "head.fc", "classifier", "linear", "layer4", "aux1"} & set(found)


def test_side_paths_and_repeated_blocks() -> None:
    found = points(Tangled())
    assert list(found) == ["stem", "before.0", "before", "after.0", "after"]
    assert ends(found) == ["before", "after"]


def test_layouts() -> None:
    vit = points(timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2))
    assert vit["patch_embed"].shape == FeatureShape((4, 192))
    assert vit["blocks.0"].shape == FeatureShape((5, 192), prefix_tokens=1)
    swin = points(timm.create_model("swin_tiny_patch4_window7_224", img_size=112, depths=(1, 1)), 3, 112, 112)
    assert swin["patch_embed.proj"].shape == FeatureShape((96, 28, 28))
    assert swin["layers.0.blocks.0"].shape == FeatureShape((28, 28, 96), channels_last=True)
    wide = points(
        nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(96, 2)), 3, 8, 16
    )
    assert wide["1"].shape == FeatureShape((8, 4, 8))


def test_plain_layers_end_before_the_next_weights() -> None:
    lenet = points(branchynet_lenet(), 1, 28, 28)
    assert ends(lenet) == ["relu1", "relu2", "relu3", "fc1"]
    assert "flatten" in lenet
    mlp = points(nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4)), 3, 2, 2)
    assert list(mlp) == ["1", "2"]
    assert ends(mlp) == ["2"]


def test_pooled_vectors_before_the_classifier_are_left_out() -> None:
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    assert list(points(pooled)) == ["0", "1"]


def test_overwritten_outputs_are_left_out() -> None:
    tail = [nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(3136, 2)]
    kept = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), *tail)
    overwritten = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), *tail)
    assert list(points(kept))[:3] == ["0", "1", "2"]
    assert list(points(overwritten))[:2] == ["0", "2"]


def test_integers_start_at_the_embedding() -> None:
    text = nn.Sequential(
        nn.Embedding(9, 8), nn.Linear(8, 6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5), nn.Linear(5, 2)
    )
    found = find_cut_points(text, torch.randint(0, 9, (2, 4)))
    assert [point.name for point in found] == ["1", "2", "3", "4"]


def test_paths_of_one_mode_only_are_no_cut() -> None:
    class Skipping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.a(x)
            y = self.b(x)
            logits: Tensor = self.fc(self.c(y + x if self.training else y))
            return logits

    assert list(points(Skipping(), 4)) == ["a", "c"]


def test_the_module_and_the_random_state_are_left_alone() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(3600, 8), nn.Linear(8, 2)
    )
    module[1].eval()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    random = torch.get_rng_state()
    with torch.inference_mode():
        assert find_cut_points(module, torch.zeros(1, 3, 32, 32))
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert [part.training for part in module] == [True, False, True, True, True, True]
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert not any(part._forward_hooks for part in module.modules())


class Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("no such size\nand more")


class Blind(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), 4)


class Wordy(nn.Module):
    def forward(self, x: Tensor) -> str:
        return "logits"


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Failing(), r"Failing does not run in evaluation on an input of \[2, 3, 32, 32\]: ValueError: no such size$"),
        (Blind(), "Blind cannot be cut: no gradient flows from its output to its input; an nn.Sequential"),
        (Wordy(), "must return a tensor of logits"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3072, 4)), "Sequential has no cut point"),
    ],
)
def test_what_cannot_be_cut_says_why(module: nn.Module, message: str) -> None:
    with pytest.raises(CutError, match=message):
        points(module)


def test_recurrent_layers_that_return_tuples_are_named_with_the_fix():
    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.LSTM(3, 8, batch_first=True), nn.LSTM(8, 8, batch_first=True)
            self.head = nn.Linear(8, 4)

        def forward(self, x):
            return self.head(self.second(self.first(x)[0])[0][:, -1])

    with pytest.raises(CutError, match="returns a tuple; wrap each in a module that returns its sequence alone"):
        find_cut_points(Stack(), torch.randn(2, 5, 3))
