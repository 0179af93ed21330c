"""Blurs: Gaussian, defocus, motion, zoom and glass, as in ImageNet-C (Hendrycks and Dietterich, ICLR 2019).

Every function takes images float32 [n, C, H, W] in [0, 1], the strength of a severity, and one generator for each
image, and returns images of the same shape, not clipped.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from eenas.tasks.distortions.strengths import Strength

Levels = NDArray[np.float32]


def gaussian_blur(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Blur with a Gaussian of standard deviation `strength[0]` pixels, cut off at four of them."""
    return gaussian(images, strength[0])


def defocus_blur(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Blur with a disc of radius `strength[0]` pixels whose edge is smoothed by a Gaussian of `strength[1]`."""
    kernel = disc(*strength)
    return np.asarray(ndimage.correlate(images, kernel[None, None], mode="mirror"), dtype=np.float32)


def motion_blur(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Blur along a line with a random angle in [-45, 45] degrees.

    The weights of the 2 r + 1 pixels on one side of the line fall as a Gaussian of `strength[1]` pixels, with r =
    `strength[0]`, as in ImageMagick's motion blur.
    """
    angles = np.array([generator.uniform(-45, 45) for generator in generators])
    return along_line(images, strength[0], strength[1], angles)


def zoom_blur(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Average the images with themselves enlarged by factors 1, 1 + step, ..., up to 1 + `strength[0]`.

    `strength[1]` is the step. Whether the last factor counts is a matter of rounding in the authors' `np.arange(1,
    highest, step)`, from which the published images come; so it is here.
    """
    highest, step = strength
    count = len(np.arange(1, round(1 + highest, 2), step))
    total = images.copy()
    for number in range(count):
        total += enlarged(images, 1 + number * step)
    return total / np.float32(count + 1)


def glass_blur(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Blur, replace every inner pixel by a random one near it, and blur again.

    `strength` holds the standard deviation of both blurs in pixels, the largest distance of the other pixel, and the
    number of passes over the image, each from its last pixel to its first. Distances on each axis are drawn from
    -distance to distance - 1. The paper describes swaps, but in the published images pixels are replaced.
    """
    sigma, distance, passes = strength[0], int(strength[1]), int(strength[2])
    blurred = gaussian(images, sigma)
    height, width = images.shape[2:]
    rows, columns = range(height - distance, distance, -1), range(width - distance, distance, -1)
    shape = (passes, len(rows), len(columns), 2)
    moves = np.stack([generator.integers(-distance, distance, size=shape) for generator in generators])
    every = np.arange(len(images))
    for turn in range(passes):
        for down, row in enumerate(rows):
            for right, column in enumerate(columns):
                there = moves[:, turn, down, right]
                blurred[:, :, row, column] = blurred[every, :, row + there[:, 0], column + there[:, 1]]
    return gaussian(blurred, sigma)


def gaussian(images: Levels, sigma: float) -> Levels:
    """Return the images [n, C, H, W] blurred by a Gaussian of `sigma` pixels. Edge pixels are repeated outside."""
    return np.asarray(
        ndimage.gaussian_filter(images, sigma=(0, 0, sigma, sigma), mode="nearest", truncate=4.0), dtype=np.float32
    )


def disc(radius: float, smoothing: float) -> Levels:
    """Return a disc [k, k] of a radius in pixels, with a sum of about 1, smoothed by a Gaussian of `smoothing`."""
    reach = 8 if radius <= 8 else int(radius)
    line = np.arange(-reach, reach + 1)
    filled = (line[:, None] ** 2 + line[None, :] ** 2 <= radius**2).astype(np.float64)
    taps = np.arange(3 if radius <= 8 else 5) - (1 if radius <= 8 else 2)
    weights = np.exp(-(taps**2) / (2 * smoothing**2))
    weights /= weights.sum()
    smooth = filled / filled.sum()
    for axis in (0, 1):
        smooth = ndimage.correlate1d(smooth, weights, axis=axis, mode="mirror")
    return np.asarray(smooth, dtype=np.float32)


def along_line(images: Levels, radius: float, sigma: float, angles: NDArray[np.float64]) -> Levels:
    """Return the images [n, C, H, W] blurred along lines at `angles` [n] in degrees. Edge pixels are repeated outside.

    Pixel number i of a line, from 0 to 2 `radius`, has the weight exp(-i² / 2 `sigma`²), scaled to a sum of 1.
    """
    taps = np.arange(2 * int(np.ceil(radius)) + 1)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    weights = (weights / weights.sum()).astype(np.float32)
    right = np.rint(np.cos(np.deg2rad(angles))[:, None] * taps).astype(np.int64)
    down = np.rint(np.sin(np.deg2rad(angles))[:, None] * taps).astype(np.int64)
    count, channels, height, width = images.shape
    first, planes = np.arange(count)[:, None, None, None], np.arange(channels)[None, :, None, None]
    total = np.zeros_like(images)
    for tap, weight in enumerate(weights):
        rows = np.clip(np.arange(height)[None] + down[:, tap, None], 0, height - 1)[:, None, :, None]
        columns = np.clip(np.arange(width)[None] + right[:, tap, None], 0, width - 1)[:, None, None, :]
        total += weight * images[first, planes, rows, columns]
    return total


def enlarged(images: Levels, factor: float) -> Levels:
    """Return the middle of the images [n, C, H, W], enlarged by a factor from 1 to the same size (bilinear)."""
    tall, wide = (_enlargement(side, factor) for side in images.shape[2:])
    return np.asarray(np.matmul(np.matmul(tall, images), wide.T), dtype=np.float32)


def _enlargement(side: int, factor: float) -> Levels:
    """Return the weights [side, side] by which the middle of a line of pixels is enlarged to its length.

    The middle has ceil(side / factor) pixels. Its first and last pixel become those of a line of round(factor) times
    this length, of which the middle is kept.
    """
    kept = int(np.ceil(side / factor))
    first, length = (side - kept) // 2, round(kept * factor)
    places = np.linspace(0, kept - 1, length)[(length - side) // 2 :][:side]
    left = np.minimum(np.floor(places).astype(np.int64), max(kept - 2, 0))
    share = places - left
    weights = np.zeros((side, side), dtype=np.float32)
    weights[np.arange(side), first + left] = 1 - share
    weights[np.arange(side), first + np.minimum(left + 1, kept - 1)] += share
    return weights
