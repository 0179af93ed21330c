"""Weather that needs no picture of it: fog and snow, as in ImageNet-C (Hendrycks and Dietterich, ICLR 2019).

Every function takes images float32 [n, C, H, W] in [0, 1], the strength of a severity, and one generator for each
image, and returns images of the same shape, not clipped.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from eenas.tasks.distortions.blurs import Levels, along_line, enlarged
from eenas.tasks.distortions.strengths import Strength

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def fog(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Add `strength[0]` times a random field in [0, 1] and scale back to the brightest value of the image.

    The field is smoother for a larger `strength[1]`.
    """
    density, decay = strength
    height, width = images.shape[2:]
    haze = plasma(max(height, width), decay, generators)[:, None, :height, :width]
    brightest: Levels = images.max(axis=(1, 2, 3), keepdims=True)
    return (images + np.float32(density) * haze) * (brightest / (brightest + np.float32(density)))


def snow(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Whiten the images and add falling flakes, blurred along a random angle in [-135, -45] degrees.

    `strength` holds the mean and standard deviation of the flakes, their enlargement, the level below which there are
    none, radius and standard deviation of their blur in pixels, and the share of the image that is not whitened.
    """
    mean, deviation, factor, lowest, radius, sigma, share = strength
    size = (1, *images.shape[2:])
    drawn = np.stack([each.standard_normal(size, dtype=np.float32) for each in generators])
    large = enlarged(np.float32(mean) + np.float32(deviation) * drawn, factor)
    flakes: Levels = np.clip(np.where(large < lowest, np.float32(0), large), 0, 1)
    angles = np.array([generator.uniform(-135, -45) for generator in generators])
    flakes = along_line(flakes, radius, sigma, angles)
    white: Levels = np.maximum(images, _luma(images) * np.float32(1.5) + np.float32(0.5))
    whitened: Levels = np.float32(share) * images + np.float32(1 - share) * white
    return whitened + flakes + flakes[:, :, ::-1, ::-1]


def plasma(side: int, decay: float, generators: Sequence[Generator]) -> Levels:
    """Return random fields [n, m, m] in [0, 1], where m is the power of two from `side` up.

    The diamond-square algorithm on a torus: the amplitude of the noise falls by `decay`² from one halving of the grid
    to the next.
    """
    size = 1 << max(1, (side - 1).bit_length())
    noise = np.stack([generator.uniform(-1, 1, (size, size)) for generator in generators])
    field = np.zeros_like(noise)
    step, amplitude = size, 1.0
    while step >= 2:
        half = step // 2
        corners = field[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=1)
        centres = (pairs + np.roll(pairs, -1, axis=2)) / 4 + amplitude * noise[:, half::step, half::step]
        field[:, half::step, half::step] = centres
        across = corners + np.roll(corners, -1, axis=2) + centres + np.roll(centres, 1, axis=1)
        field[:, ::step, half::step] = across / 4 + amplitude * noise[:, ::step, half::step]
        along = corners + np.roll(corners, -1, axis=1) + centres + np.roll(centres, 1, axis=2)
        field[:, half::step, ::step] = along / 4 + amplitude * noise[:, half::step, ::step]
        step, amplitude = half, amplitude / decay**2
    field -= field.min(axis=(1, 2), keepdims=True)
    highest: Levels = field.max(axis=(1, 2), keepdims=True)
    return (field / highest).astype(np.float32)


def _luma(images: Levels) -> Levels:
    """Return the brightness [n, 1, H, W]: the luma of colours, or the mean over other channels."""
    if images.shape[1] == 3:
        return np.asarray(np.einsum("c,nchw->nhw", _LUMA, images)[:, None])
    return np.asarray(images.mean(axis=1, keepdims=True))
