"""Layouts of maps and orders of tokens, measured on networks that cannot be guessed right."""

import timm
import torch
from torch import Tensor, nn

from eenas.backbones.cut_points import find_cut_points
from eenas.backbones.features import FeatureShape

from ..styles import Patches, Rows


def shapes(module: nn.Module, size: int) -> dict[str, FeatureShape]:
    return {point.name: point.shape for point in find_cut_points(module, torch.randn(2, 3, size, size))}


class Last(nn.Module):
    """Maps [N, 8, 8, 8], the channels last, mixed by linear layers; of one size of input where that is wanted."""

    def __init__(self, fixed: bool) -> None:
        super().__init__()
        self.stem, self.fixed = nn.Conv2d(3, 8, 2, 2), fixed
        self.one = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8))
        self.two = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU())
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        assert not self.fixed or x.shape[2:] == (16, 16)
        x = self.stem(x).permute(0, 2, 3, 1)
        logits: Tensor = self.fc(self.two(self.one(x)).mean((1, 2)))
        return logits


def test_a_cube_is_read_by_two_sizes_or_by_its_layers() -> None:
    for fixed in (False, True):
        found = shapes(Last(fixed), 16)
        assert not found["stem"].channels_last
        mixed = [shape for name, shape in found.items() if name.startswith(("one", "two"))]
        assert len(mixed) > 1
        assert all(shape.channels_last for shape in mixed)


def test_a_map_that_only_one_side_was_pooled_of() -> None:
    wide = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.MaxPool2d((1, 2)), nn.Conv2d(16, 8, 3), nn.Flatten(), nn.Linear(672, 4)
    )
    assert shapes(wide, 16)["1"] == FeatureShape((16, 16, 8)), "its proportions are those of [H, W, C]"


def test_swin_whose_first_stage_is_a_cube() -> None:
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=96 * 4, depths=(1, 1), window_size=8)
    found = shapes(swin, 384)
    assert found["layers.0.blocks.0"] == FeatureShape((96, 96, 96), channels_last=True)


def test_registers_are_no_class_token() -> None:
    model = timm.create_model("vit_medium_patch16_reg1_gap_256", img_size=64, depth=3, embed_dim=64, num_heads=2)
    shape = shapes(model, 64)["blocks.1"]
    assert (shape.prefix_tokens, shape.class_token, shape.patches) == (1, False, (4, 4))
    plain = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=3)
    assert shapes(plain, 64)["blocks.1"] == FeatureShape((17, 192), prefix_tokens=1)


def test_tokens_out_of_order_are_a_set() -> None:
    hiera = shapes(timm.create_model("hiera_tiny_224", img_size=64, stages=(1, 1, 2, 1)), 64)
    assert hiera["patch_embed"].patches == (16, 16)
    assert hiera["blocks.2"].is_set
    assert hiera["blocks.2"].patches is None
    behind = shapes(Patches(), 32)["layers.0"]
    assert behind.prefix_tokens == 1 or behind.is_set, "the class token stands last"
    assert behind.is_set
    assert shapes(Rows(), 32)["between"].is_set


def test_tokens_of_images_that_are_not_square() -> None:
    mixer = nn.Sequential(
        nn.Conv2d(3, 8, 8, 8), nn.Flatten(2), _Transposed(), nn.Linear(8, 8), nn.ReLU(), _Mean(), nn.Linear(8, 4)
    )
    (point,) = (each for each in find_cut_points(mixer, torch.randn(2, 3, 16, 64)) if each.name == "4")
    assert point.shape.patches == (2, 8)


class _Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class _Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)
