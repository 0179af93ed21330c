"""Noises: Gaussian, shot, impulse and speckle, as in ImageNet-C (Hendrycks and Dietterich, ICLR 2019).

Every function takes images float32 [n, C, H, W] in [0, 1], the strength of a severity, and one generator for each
image, and returns images of the same shape, not clipped.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from eenas.tasks.distortions.blurs import Levels
from eenas.tasks.distortions.strengths import Strength


def gaussian_noise(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Add normal noise of standard deviation `strength[0]`."""
    return images + np.float32(strength[0]) * _normal(images, generators)


def shot_noise(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Replace each value by the share of `strength[0]` photons that a Poisson process counts at its brightness."""
    photons = strength[0]
    pairs = zip(images, generators, strict=True)
    return np.stack([generator.poisson(image * photons) for image, generator in pairs]).astype(np.float32) / photons


def impulse_noise(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Replace a share `strength[0]` of the values by black or white, with equal probability (salt and pepper)."""
    drawn = np.stack([generator.random(images.shape[1:], dtype=np.float32) for generator in generators])
    share = np.float32(strength[0])
    return np.where(drawn < share / 2, np.float32(0), np.where(drawn < share, np.float32(1), images))


def speckle_noise(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Add normal noise of standard deviation `strength[0]` times the value."""
    return images + images * np.float32(strength[0]) * _normal(images, generators)


def _normal(images: Levels, generators: Sequence[Generator]) -> Levels:
    return np.stack([generator.standard_normal(images.shape[1:], dtype=np.float32) for generator in generators])
