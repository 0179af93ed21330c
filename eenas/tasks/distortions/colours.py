"""Changes of contrast, brightness and saturation, as in ImageNet-C (Hendrycks and Dietterich, ICLR 2019).

Every function takes images float32 [n, C, H, W] in [0, 1], the strength of a severity, and one generator for each
image, and returns images of the same shape, not clipped.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from eenas.tasks.distortions.blurs import Levels
from eenas.tasks.distortions.strengths import Strength


def contrast(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Scale the distance of each value to the mean of its channel by `strength[0]`."""
    means: Levels = images.mean(axis=(2, 3), keepdims=True)
    return (images - means) * np.float32(strength[0]) + means


def brightness(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Raise the value of each pixel by `strength[0]`. In HSV, hue and saturation stay.

    The value is the largest channel, so all channels of a pixel are scaled alike; black becomes grey.
    """
    value: Levels = images.max(axis=1, keepdims=True)
    raised: Levels = np.minimum(value + np.float32(strength[0]), np.float32(1))
    ratio: Levels = np.divide(raised, value, out=np.zeros_like(value), where=value > 0)
    return np.where(value > 0, images * ratio, raised)


def saturate(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Change the saturation s of each pixel to `strength[0]` s + `strength[1]`. In HSV, hue and value stay.

    The hue of grey is red, as in HSV.
    """
    value: Levels = images.max(axis=1, keepdims=True)
    spread: Levels = value - images.min(axis=1, keepdims=True)
    saturation = np.divide(spread, value, out=np.zeros_like(value), where=value > 0)
    wanted: Levels = np.clip(np.float32(strength[0]) * saturation + np.float32(strength[1]), 0, 1)
    ratio: Levels = np.divide(wanted, saturation, out=np.zeros_like(value), where=saturation > 0)
    red: Levels = np.array([0, 1, 1], dtype=np.float32).reshape(1, 3, 1, 1)
    return np.where(saturation > 0, value - (value - images) * ratio, value * (1 - red * wanted))
