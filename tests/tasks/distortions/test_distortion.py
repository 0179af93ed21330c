"""Distortions against slow, obvious code, and the properties that all kinds share."""

import colorsys
import io
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from eenas.errors import TaskError
from eenas.tasks.distortions.blurs import along_line, enlarged
from eenas.tasks.distortions.distortion import DISTORTIONS, distort, distort_each
from eenas.tasks.distortions.strengths import LARGE, SEVERITIES, SMALL, strength_of
from eenas.tasks.distortions.weather import plasma

RANDOM = {"motion_blur", "glass_blur", "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "fog", "snow"}


def pictures(count: int = 3, channels: int = 3, height: int = 32, width: int = 32) -> NDArray[np.uint8]:
    """Smooth random pictures that reach black and white."""
    drawn = np.random.default_rng(7).normal(size=(count, channels, height, width))
    smooth = ndimage.gaussian_filter(drawn, (0, 0, 2, 2))
    low, high = smooth.min(axis=(1, 2, 3), keepdims=True), smooth.max(axis=(1, 2, 3), keepdims=True)
    return np.rint((smooth - low) / (high - low) * 255).astype(np.uint8)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def as_bytes(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)


def close(found: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> bool:
    """Whether no value differs by more than rounding."""
    return int(np.abs(found.astype(int) - wanted).max()) <= 1


def test_every_kind_has_five_strengths_for_small_and_for_large_images() -> None:
    assert set(DISTORTIONS) == set(SMALL) == set(LARGE)
    assert {len(strengths) for table in (SMALL, LARGE) for strengths in table.values()} == {5}
    assert strength_of("gaussian_noise", 3, 32, 32) == strength_of("gaussian_noise", 3, 200, 64) == (0.08,)
    assert strength_of("gaussian_noise", 3, 65, 65) == (0.18,)


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_a_distortion_changes_images_more_at_higher_severity(kind: str) -> None:
    images = pictures()
    before = images.copy()
    errors = [np.abs(distort(images, kind, each, generator()).astype(float) - images).mean() for each in SEVERITIES]
    assert (images == before).all()
    assert min(errors) > 0
    if kind not in ("saturate", "glass_blur"):  # whose severities are of different nature
        assert sorted(errors) == errors


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_an_image_depends_on_its_own_generator_only(kind: str) -> None:
    images = pictures(count=4)

    def each() -> list[np.random.Generator]:
        return generator().spawn(4)

    whole = distort_each(images, kind, 3, each())
    alone = distort_each(images[2:3], kind, 3, each()[2:3])
    assert (whole[2:3] == alone).all()
    assert (whole == distort(images, kind, 3, generator())).all()
    other = distort(images, kind, 3, np.random.default_rng(1))
    assert bool((whole != other).any()) == (kind in RANDOM)


@pytest.mark.parametrize("kind", sorted(set(DISTORTIONS) - {"saturate"}))
def test_grey_and_wide_images_of_both_size_classes_are_distorted(kind: str) -> None:
    for height, width in ((20, 33), (70, 81), (9, 5)):
        images = pictures(2, 1, height, width)
        found = distort(images, kind, 5, generator())
        assert found.shape == images.shape
        assert found.dtype == np.uint8
        assert (found != images).any()


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_black_and_white_never_wrap_around(kind: str) -> None:
    for level in (0, 255):
        images = np.full((2, 3, 32, 32), level, dtype=np.uint8)
        found = distort(images, kind, 5, generator()).astype(int)
        if kind == "gaussian_noise":  # half of the noise is clipped, the rest is near the level
            assert abs(found - level).max() < 160
            assert 0.4 < (found == level).mean() < 0.6
        if kind in ("gaussian_blur", "defocus_blur", "zoom_blur", "motion_blur", "contrast", "jpeg", "pixelate"):
            assert (abs(found - level) <= 1).all()


def test_no_images_are_no_images() -> None:
    assert distort(pictures()[:0], "fog", 1, generator()).shape == (0, 3, 32, 32)


def test_gaussian_blur_is_a_weighted_mean_of_the_neighbours() -> None:
    images = pictures(1)
    sigma, reach = 1.0, 4
    line = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    padded = np.pad(images[0] / 255, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    weights = np.outer(line, line) / line.sum() ** 2
    wanted = np.zeros((3, 32, 32))
    for row in range(32):
        for column in range(32):
            around = padded[:, row : row + 9, column : column + 9]
            wanted[:, row, column] = (around * weights).sum(axis=(1, 2))
    assert close(distort(images, "gaussian_blur", 5, generator())[0], as_bytes(wanted))


def test_defocus_blur_averages_over_a_disc() -> None:
    """With smoothing far below a pixel, the disc of radius 1.5 is the nine nearest pixels."""
    images = pictures(1)
    padded = np.pad(images[0] / 255, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    wanted = np.mean(
        [padded[:, top : top + 32, left : left + 32] for top in range(3) for left in range(3)], axis=0, dtype=np.float64
    )
    assert close(distort(images, "defocus_blur", 5, generator())[0], as_bytes(wanted))


def test_motion_blur_averages_along_a_line() -> None:
    images = pictures(2).astype(np.float32) / 255
    radius, sigma, angles = 6, 1.5, [0.0, 30.0]
    weights = [math.exp(-(tap**2) / (2 * sigma**2)) for tap in range(2 * radius + 1)]
    found = along_line(images, radius, sigma, np.array(angles))
    for number, angle in enumerate(angles):
        for row, column in ((0, 0), (5, 17), (31, 31)):
            total = np.zeros(3)
            for tap, weight in enumerate(weights):
                down = min(31, row + round(tap * math.sin(math.radians(angle))))
                right = min(31, column + round(tap * math.cos(math.radians(angle))))
                total += weight * images[number, :, down, right]
            np.testing.assert_allclose(found[number, :, row, column], total / sum(weights), atol=1e-5)


@pytest.mark.parametrize("factor", [1.0, 1.07, 1.25, 1.75])
def test_an_image_is_enlarged_as_scipy_zooms(factor: float) -> None:
    images = pictures(1, 1, 30, 41).astype(np.float32) / 255
    tall, wide = math.ceil(30 / factor), math.ceil(41 / factor)
    top, left = (30 - tall) // 2, (41 - wide) // 2
    large = ndimage.zoom(images[0, 0, top : top + tall, left : left + wide], factor, order=1)
    top, left = (large.shape[0] - 30) // 2, (large.shape[1] - 41) // 2
    np.testing.assert_allclose(enlarged(images, factor)[0, 0], large[top : top + 30, left : left + 41], atol=1e-5)


ZOOMS = {
    32: [np.arange(1, 1.06, 0.01), np.arange(1, 1.11, 0.01), np.arange(1, 1.16, 0.01)],
    70: [np.arange(1, 1.11, 0.01), np.arange(1, 1.16, 0.01), np.arange(1, 1.21, 0.02), np.arange(1, 1.26, 0.02)],
}
ZOOMS[32] += [np.arange(1, 1.21, 0.01), np.arange(1, 1.26, 0.01)]
ZOOMS[70] += [np.arange(1, 1.31, 0.03)]


@pytest.mark.parametrize(("side", "severity"), [(side, severity) for side in ZOOMS for severity in SEVERITIES])
def test_zoom_blur_is_the_mean_of_the_image_and_those_enlarged_by_the_factors_of_the_authors(
    side: int, severity: int
) -> None:
    images, factors = pictures(1, height=side, width=side), ZOOMS[side][severity - 1]
    levels = images.astype(np.float32) / 255
    wanted = (levels + sum(enlarged(levels, float(factor)) for factor in factors)) / (len(factors) + 1)
    assert close(distort(images, "zoom_blur", severity, generator()), as_bytes(wanted))


def test_glass_blur_without_blur_replaces_inner_pixels_by_their_neighbours() -> None:
    images = pictures(2)
    found = distort(images, "glass_blur", 1, generator())  # a standard deviation of 0.05 pixels blurs nothing
    near = [np.roll(images, shift, axis=(2, 3)) for shift in ((0, 0), (0, 1), (1, 0), (1, 1))]
    inside = (slice(None), slice(None), slice(2, 32), slice(2, 32))
    taken = [(found == each).all(axis=1)[:, 2:, 2:] for each in near]
    assert np.logical_or.reduce(taken).all()
    assert all(0.15 < each.mean() < 0.4 for each in taken)
    outside = np.ones(images.shape, dtype=bool)
    outside[inside] = False
    assert (found[outside] == images[outside]).all()


def test_noises_have_the_moments_of_their_distributions() -> None:
    level = 102  # 0.4, far from both ends
    images = np.full((8, 3, 32, 32), level, dtype=np.uint8)
    for kind, deviation in (
        ("gaussian_noise", 0.08),
        ("speckle_noise", 0.12 * 0.4),
        ("shot_noise", (0.4 / 100) ** 0.5),
    ):
        noise = distort(images, kind, 3, generator()) / 255 - 0.4
        assert abs(noise.mean()) < 0.002
        assert noise.std() == pytest.approx(deviation, rel=0.03)
    impulse = distort(images, "impulse_noise", 5, generator())
    assert set(np.unique(impulse)) == {0, level, 255}
    assert (impulse == 0).mean() == pytest.approx(0.035, abs=0.004)
    assert (impulse == 255).mean() == pytest.approx(0.035, abs=0.004)


@pytest.mark.parametrize(("kind", "severity"), [("brightness", 4), ("saturate", 2), ("saturate", 5)])
def test_brightness_and_saturation_change_in_hsv(kind: str, severity: int) -> None:
    images = pictures(1, 3, 8, 8)
    images[0, :, 0, 0], images[0, :, 0, 1], images[0, :, 0, 2] = 0, 90, 255  # greys have no saturation
    wanted = np.empty((3, 8, 8))
    for row in range(8):
        for column in range(8):
            hue, saturation, value = colorsys.rgb_to_hsv(*(images[0, :, row, column] / 255))
            if kind == "brightness":
                value = min(value + 0.2, 1.0)
            else:
                factor, added = strength_of("saturate", severity, 8, 8)
                saturation = min(saturation * factor + added, 1.0)
            wanted[:, row, column] = colorsys.hsv_to_rgb(hue, saturation, value)
    assert close(distort(images, kind, severity, generator())[0], as_bytes(wanted))


def test_contrast_shrinks_distances_to_the_mean_of_the_channel() -> None:
    images = pictures(1)
    means = images.mean(axis=(2, 3), keepdims=True)
    wanted = np.rint(means + (images - means) * 0.15).astype(np.uint8)
    assert close(distort(images, "contrast", 5, generator()), wanted)


def test_jpeg_and_pixelate_are_those_of_pillow() -> None:
    images = pictures(1, 3, 30, 40)
    picture = Image.fromarray(np.moveaxis(images[0], 0, 2))
    coded = io.BytesIO()
    picture.save(coded, "JPEG", quality=58)
    wanted = np.moveaxis(np.asarray(Image.open(coded)), 2, 0)
    assert (distort(images, "jpeg", 3, generator())[0] == wanted).all()
    box = Image.Resampling.BOX
    small = picture.resize((int(40 * 0.65), int(30 * 0.65)), box).resize((40, 30), box)
    assert (distort(images, "pixelate", 5, generator())[0] == np.moveaxis(np.asarray(small), 2, 0)).all()


def test_fog_fades_the_image_towards_a_random_field() -> None:
    images = np.full((1, 3, 32, 32), 128, dtype=np.uint8)
    children = generator().spawn(1)
    found = distort(images, "fog", 5, generator())[0] / 255
    haze = plasma(32, 1.75, children)[0]
    brightest = 128 / 255
    np.testing.assert_allclose(found[0], (brightest + 1.5 * haze) * brightest / (brightest + 1.5), atol=0.003)
    assert haze.shape == (32, 32)
    assert (haze.min(), haze.max()) == (0, 1)


def test_a_field_of_fog_is_smoother_with_a_faster_decay() -> None:
    rough, smooth = (np.abs(np.diff(plasma(64, decay, generator().spawn(4)))).mean() for decay in (1.2, 3.0))
    assert smooth < rough / 2
    assert plasma(33, 2.0, generator().spawn(2)).shape == (2, 64, 64)


@pytest.mark.parametrize(
    ("kind", "severity", "message"),
    [
        ("gausian_blur", 1, "unknown distortion 'gausian_blur'; nearest: 'gaussian_blur'"),
        ("fog", 6, "from 1 to 5, got 6"),
        ("fog", 0, "from 1 to 5, got 0"),
        ("fog", True, "from 1 to 5, got True"),
        ("fog", 1.5, "from 1 to 5, got 1.5"),
    ],
)
def test_an_unknown_kind_or_severity_is_refused(kind: str, severity: int, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        distort(pictures(), kind, severity, generator())


@pytest.mark.parametrize(
    ("images", "kind", "message"),
    [
        (pictures().astype(np.uint16), "fog", "must be uint8 .*got uint16; scale them to 0..255 first"),
        (pictures() / 255, "fog", "must be uint8 .*got float64"),
        (pictures()[0], "fog", r"got the shape \[3, 32, 32\]"),
        (pictures(channels=1), "saturate", "saturate needs images of 3 channels, got 1; choose other kinds"),
        (pictures(channels=4), "jpeg", "jpeg needs images of 1 or 3 channels, got 4"),
    ],
)
def test_other_images_are_refused_in_one_line(images: NDArray[np.uint8], kind: str, message: str) -> None:
    with pytest.raises(TaskError, match=message) as raised:
        distort(images, kind, 1, generator())
    assert "\n" not in str(raised.value)


def test_each_image_needs_its_generator() -> None:
    with pytest.raises(TaskError, match="got 1 for 3 images"):
        distort_each(pictures(), "fog", 1, [generator()])
