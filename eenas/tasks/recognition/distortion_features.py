"""Features of an image that tell distortions apart: its radial spectrum, and the spread of its Laplacian."""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

RINGS = 17
"""The number of rings of the spectrum, from the mean to half a cycle per pixel; corners count to the last ring."""
IMAGE_FEATURES = RINGS + 3
LEAST_SIDE = 8
"""The smallest height and width of an image with a spectrum worth reading."""

_BEFORE_LOGARITHM = 1e-3
"""Added before a logarithm, in squared grey levels of 0..255 (and grey levels for the mean of the Laplacian)."""


def distortion_features(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features [N, IMAGE_FEATURES] of grey images [N, H, W] in 0..255.

    The spectrum is log(1 + |F|) of the image minus its mean under a Hann window, averaged over rings of equal radius.
    Three more features are the logarithms of the variance of the Laplacian (Pech-Pacheco et al. 2000), of the mean of
    its absolute values, and of the variance of the image. Each row depends on its own image only.
    """
    height, width = grey.shape[1:]
    mean = grey.mean(axis=(1, 2), keepdims=True)
    centred = grey - mean
    spectrum = np.log1p(np.abs(np.fft.rfft2(centred * _hann_window(height, width)))).astype(np.float32)
    rings = spectrum.reshape(len(grey), height * (width // 2 + 1)) @ _ring_weights(height, width)
    inner = centred[:, 1:-1, 1:-1]
    laplacian = (
        centred[:, :-2, 1:-1] + centred[:, 2:, 1:-1] + centred[:, 1:-1, :-2] + centred[:, 1:-1, 2:] - 4.0 * inner
    )
    others = (laplacian.var(axis=(1, 2)), np.abs(laplacian).mean(axis=(1, 2)), np.square(centred).mean(axis=(1, 2)))
    logs = [np.log(each + np.float32(_BEFORE_LOGARITHM))[:, None] for each in others]
    return np.concatenate([rings, *logs], axis=1).astype(np.float32)


def feature_macs(height: int, width: int) -> int:
    """Return the multiply-accumulates of the features of one image.

    A real FFT of n numbers has 2.5 n log2 n operations, which are half as many multiply-accumulates. The window counts
    one for each pixel, the Laplacian four, the variances three, and the rings one for each value of the spectrum.
    """
    pixels, spectrum = height * width, height * (width // 2 + 1)
    return math.ceil(1.25 * pixels * math.log2(pixels)) + 8 * pixels + RINGS * spectrum


@cache
def _hann_window(height: int, width: int) -> NDArray[np.float32]:
    return np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)


@cache
def _ring_weights(height: int, width: int) -> NDArray[np.float32]:
    """The weights [H * (W // 2 + 1), RINGS] that average half a spectrum over rings."""
    rows, columns = np.abs(np.fft.fftfreq(height))[:, None], np.fft.rfftfreq(width)[None, :]
    radius = np.minimum(np.sqrt(rows**2 + columns**2) / 0.5, 1.0)
    ring = np.rint(radius * (RINGS - 1)).astype(np.int64).reshape(-1)
    twice = np.broadcast_to((columns > 0) & (columns < 0.5), (height, columns.shape[1]))
    weights = np.zeros((len(ring), RINGS))
    weights[np.arange(len(ring)), ring] = np.where(twice, 2.0, 1.0).reshape(-1)  # the other half is its mirror image
    total = weights.sum(axis=0)
    return np.asarray(weights / np.where(total > 0, total, 1.0), dtype=np.float32)
