"""A map of relevance on its sample as a small drawing for a page: orange where the exit looks."""

import numpy as np
from numpy.typing import NDArray

from eenas.tasks.images.png import LARGEST, png_url

_COLOUR = np.array([213.0, 94.0, 0.0])  # vermillion of Okabe and Ito, as `figure_style.VERMILLION`
_STRENGTH, _STRIP, _COLUMNS = 0.75, 12, 96


def over_image(image: NDArray[np.uint8], relevance: NDArray[np.float32]) -> str:
    """Return a data URL of a PNG: the image uint8 [C, H, W] in grey, coloured by its relevance [H, W] in [0, 1]."""
    grey = _shrunk(image.mean(axis=0))[..., None]
    share = _STRENGTH * _shrunk(relevance)[..., None]
    mixed = (1 - share) * grey + share * _COLOUR
    return png_url(np.moveaxis(np.rint(mixed).clip(0, 255).astype(np.uint8), 2, 0))


def plain_image(image: NDArray[np.uint8]) -> str:
    """Return a data URL of a PNG of an image uint8 [C, H, W], 1 or 3 channels, as small as the coloured ones."""
    small = np.stack([_shrunk(channel) for channel in image])
    return png_url(np.rint(small).clip(0, 255).astype(np.uint8))


def strip(relevance: NDArray[np.float32]) -> str:
    """Return a data URL of a PNG: a strip along a series, white to orange by its relevance [length] in [0, 1]."""
    columns = np.interp(
        np.linspace(0, len(relevance) - 1, _COLUMNS), np.arange(len(relevance)), relevance.astype(np.float64)
    )
    share = columns[None, :, None]
    mixed = np.broadcast_to((1 - share) * 255.0 + share * _COLOUR, (_STRIP, _COLUMNS, 3))
    return png_url(np.moveaxis(np.rint(mixed).astype(np.uint8), 2, 0))


def _shrunk(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return values [H, W] as means of blocks with sides of at most LARGEST, in about the same proportions."""
    height, width = values.shape
    factor = -(-max(height, width) // LARGEST)
    rows, columns = (np.arange(0, side, factor) for side in (height, width))
    sums = np.add.reduceat(np.add.reduceat(values.astype(np.float64), rows, axis=0), columns, axis=1)
    counts = np.outer(np.diff(np.append(rows, height)), np.diff(np.append(columns, width)))
    return np.asarray(sums / counts)
