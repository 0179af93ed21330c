"""The input transform: scaling, channels, refusals and its table."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eenas import specs
from eenas.backbones.transforms.image_transform import IMAGENET_MEAN, IMAGENET_STD, InputTransform, default_transform
from eenas.errors import BackboneError, SpecError


@given(st.integers(0, 255), st.integers(0, 2))
def test_one_pixel_against_the_formula(value: int, channel: int) -> None:
    images = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    images[0, channel, 1, 0] = value
    out = default_transform(2, 3)(images)
    assert out.dtype == torch.float32
    expected = (value / 255 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
    assert out[0, channel, 1, 0].item() == pytest.approx(expected, abs=1e-5)


def test_grey_images_are_repeated_for_a_colour_backbone() -> None:
    grey = torch.randint(0, 256, (4, 1, 5, 5), dtype=torch.uint8)
    transform = default_transform(5, 3)
    assert torch.equal(transform(grey), transform(grey.expand(-1, 3, -1, -1)))


def test_colour_images_become_grey_as_pillow_makes_them() -> None:
    from PIL import Image

    colour = torch.randint(0, 256, (1, 3, 6, 6), dtype=torch.uint8)
    pillow = Image.fromarray(colour[0].permute(1, 2, 0).numpy()).convert("L")
    expected = torch.tensor(list(pillow.tobytes()), dtype=torch.float32).view(6, 6) / 255
    out = InputTransform(6, 1, (0.0,), (1.0,))(colour)
    assert out.shape == (1, 1, 6, 6)
    assert torch.allclose(out[0, 0], expected, atol=1.01 / 255)


def test_other_shapes_and_types_are_refused() -> None:
    transform = default_transform(4, 3)
    for images in (
        torch.zeros(2, 3, 5, 5, dtype=torch.uint8),
        torch.zeros(2, 2, 4, 4, dtype=torch.uint8),
        torch.zeros(3, 4, 4, dtype=torch.uint8),
        torch.zeros(2, 3, 4, 4),
    ):
        with pytest.raises(BackboneError, match=r"takes uint8 \[N, 3 or 1, 4, 4\]"):
            transform(images)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 3, (0.5,) * 3, (0.5,) * 3), "positive size"),
        ((8, 3, (0.5,), (0.5,) * 3), "mean must hold one number"),
        ((8, 1, (float("nan"),), (0.5,)), "mean must hold"),
        ((8, 1, (0.5,), (0.0,)), "std must be positive"),
        (
            (8, 1, (0.5,), (1e-320,)),
            "must be finite in float32 for pixels in .0, 1., got mean 0.5 and std 9.99989e-321",
        ),
        ((8, 2, (0.5, 1e20), (1.0, 1e-20)), "got mean 1e.20 and std 1e-20; give a larger std"),
        ((8, 1, (1e300,), (1e300,)), "got mean 1e.300 and std 1e.300"),
    ],
)
def test_impossible_statistics_are_refused(
    values: tuple[int, int, tuple[float, ...], tuple[float, ...]], message: str
) -> None:
    with pytest.raises(BackboneError, match=message):
        InputTransform(*values)


def test_table_both_ways() -> None:
    for transform in (default_transform(32, 3), default_transform(28, 1), default_transform(8, 4)):
        assert specs.from_table(InputTransform, specs.to_table(transform)) == transform
    with pytest.raises(SpecError, match="nearest: 'mean'"):
        specs.from_table(InputTransform, {**specs.to_table(default_transform(8, 1)), "meen": [0.5]})
