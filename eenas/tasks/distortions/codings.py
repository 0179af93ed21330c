"""Losses of coding: JPEG and pixelation, as in ImageNet-C (Hendrycks and Dietterich, ICLR 2019).

Every function takes images float32 [n, C, H, W] in [0, 1], the strength of a severity, and one generator for each
image, and returns images of the same shape.
"""

import io
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from eenas.tasks.distortions.blurs import Levels
from eenas.tasks.distortions.strengths import Strength


def jpeg(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Encode as JPEG of quality `strength[0]` and decode again. Images have one or three channels."""
    return np.stack([_jpeg(image, int(strength[0])) for image in _bytes(images)]).astype(np.float32) / np.float32(255)


def pixelate(images: Levels, strength: Strength, generators: Sequence[Generator]) -> Levels:
    """Resize to the share `strength[0]` of height and width with a box filter, and back."""
    height, width = images.shape[2:]
    small = (max(1, int(width * strength[0])), max(1, int(height * strength[0])))
    planes = _bytes(images).reshape(-1, height, width)
    box = Image.Resampling.BOX
    found = [
        np.asarray(Image.fromarray(plane).resize(small, box).resize((width, height), box), dtype=np.float32)
        for plane in planes
    ]
    return np.stack(found).reshape(images.shape) / np.float32(255)


def _bytes(images: Levels) -> NDArray[np.uint8]:
    return np.rint(images * 255).astype(np.uint8)


def _jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return one image [C, H, W] after JPEG of a quality in 1..100."""
    grey = len(image) == 1
    coded = io.BytesIO()
    Image.fromarray(image[0] if grey else np.ascontiguousarray(np.moveaxis(image, 0, 2))).save(
        coded, "JPEG", quality=quality
    )
    coded.seek(0)
    with Image.open(coded) as picture:
        decoded = np.asarray(picture)
    return decoded[None] if grey else np.moveaxis(decoded, 2, 0)
