"""Distortion of images by kind and severity."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from eenas.errors import TaskError, nearest, plural
from eenas.escaping import shortened
from eenas.tasks.distortions.blurs import Levels, defocus_blur, gaussian_blur, glass_blur, motion_blur, zoom_blur
from eenas.tasks.distortions.codings import jpeg, pixelate
from eenas.tasks.distortions.colours import brightness, contrast, saturate
from eenas.tasks.distortions.noises import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from eenas.tasks.distortions.strengths import SEVERITIES, Strength, strength_of
from eenas.tasks.distortions.weather import fog, snow

Distortion = Callable[[Levels, Strength, Sequence[Generator]], Levels]

DISTORTIONS: Mapping[str, Distortion] = {
    "gaussian_blur": gaussian_blur,
    "defocus_blur": defocus_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "glass_blur": glass_blur,
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "speckle_noise": speckle_noise,
    "fog": fog,
    "snow": snow,
    "contrast": contrast,
    "brightness": brightness,
    "saturate": saturate,
    "jpeg": jpeg,
    "pixelate": pixelate,
}
"""The function of each kind of distortion."""
_CHANNELS = {"saturate": (3,), "jpeg": (1, 3), "brightness": (1, 3)}  # kinds not listed take any number
_CHUNK = 256  # images distorted at a time, to limit the memory of their floats


def distort(images: NDArray[np.uint8], kind: str, severity: int, generator: Generator) -> NDArray[np.uint8]:
    """Return distorted images uint8 [n, C, H, W], clipped to 0..255 and rounded.

    `kind` is one of DISTORTIONS, and `severity` 1 (mild) to 5 (strong). Images with a shorter side of up to 64 pixels
    are distorted with the strengths of CIFAR-10-C, larger ones with those of ImageNet-C (Hendrycks and Dietterich,
    "Benchmarking neural network robustness to common corruptions and perturbations", ICLR 2019). `generator` is the
    source of random numbers: each image gets a child of its own.

    Raises TaskError for an unknown kind, another severity, and images of another type, shape or number of channels.
    """
    return distort_each(images, kind, severity, generator.spawn(len(images)))


def distort_each(
    images: NDArray[np.uint8], kind: str, severity: int, generators: Sequence[Generator]
) -> NDArray[np.uint8]:
    """Return distorted images like `distort`. Image i depends on generator i only, not on the rest of the batch.

    Raises TaskError as `distort` does.
    """
    check_kind(kind)
    check_severity(severity)
    _check_images(images, kind)
    if len(generators) != len(images):
        raise TaskError(f"each image needs a generator, got {len(generators)} for {plural(len(images), 'image')}")
    strength = strength_of(kind, severity, *images.shape[2:])
    changed = np.empty_like(images)
    for first in range(0, len(images), _CHUNK):
        part = slice(first, first + _CHUNK)
        levels = images[part].astype(np.float32) / np.float32(255)
        found = np.clip(DISTORTIONS[kind](levels, strength, generators[part]), 0, 1)
        changed[part] = np.rint(found * 255).astype(np.uint8)
    return changed


def check_kind(kind: str) -> None:
    """Raise TaskError unless `kind` is the name of a distortion."""
    if not isinstance(kind, str) or kind not in DISTORTIONS:
        raise TaskError(f"unknown distortion {shortened(kind)}; {nearest(str(kind), DISTORTIONS)}")


def check_severity(severity: Any) -> None:
    """Raise TaskError unless `severity` is a whole number from 1 to 5."""
    if isinstance(severity, bool) or not isinstance(severity, int | np.integer) or severity not in SEVERITIES:
        raise TaskError(
            f"the severity of a distortion is a whole number from {SEVERITIES[0]} to {SEVERITIES[-1]}, "
            f"got {shortened(severity)}"
        )


def check_distortable(kind: str, channels: int) -> None:
    """Raise TaskError if images of this number of channels cannot be distorted by `kind`."""
    allowed = _CHANNELS.get(kind, (channels,))
    if channels not in allowed:
        raise TaskError(
            f"{kind} needs images of {' or '.join(map(str, allowed))} channels, got {channels}; choose other kinds"
        )


def _check_images(images: Any, kind: str) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        found = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise TaskError(f"images to distort must be uint8 [n, C, H, W], got {found}; scale them to 0..255 first")
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise TaskError(f"images to distort must be uint8 [n, C, H, W], got the shape {list(images.shape)}")
    check_distortable(kind, images.shape[1])
