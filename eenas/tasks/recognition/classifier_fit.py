"""Fitting of a distortion classifier on distorted training images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.errors import TaskError
from eenas.tasks.distortions.strengths import SEVERITIES
from eenas.tasks.inputs import InputSpec
from eenas.tasks.recognition.distortion_classifier import DistortionClassifier, check_image_shape
from eenas.tasks.recognition.distortion_features import IMAGE_FEATURES
from eenas.tasks.recognition.distortion_mix import PRISTINE, DistortionMix
from eenas.tasks.split import Split

SAMPLES = 12_000
"""The largest number of images that a classifier is fitted on."""
_BATCH = 256
_STRENGTH = 1.0  # the inverse of scikit-learn's L2 penalty, on standardised features


@dataclass(frozen=True, kw_only=True)
class ImageScale:
    """The transform of images before the network: `(x / 255 - mean) / std` for each channel of `inputs`."""

    inputs: InputSpec
    mean: Sequence[float]
    std: Sequence[float]


def fit_distortion_classifier(
    split: Split,
    scale: ImageScale,
    kinds: Sequence[str],
    *,
    severities: Sequence[int] = SEVERITIES,
    samples: int = SAMPLES,
    seed: int = 0,
) -> DistortionClassifier:
    """Return a classifier of clean images, one half, and `kinds` of distortions, equally frequent, fitted on `split`.

    Half of the images are clean, because a mild distortion that is taken for clean costs less than the reverse.

    At most `samples` images of the split are used; each is left clean or distorted once. `scale` is the transform of
    the network that the classifier runs before. Raises InputError for samples that are not images of at least 8 x 8
    pixels, TaskError for unknown kinds and for fewer than two images a kind.
    """
    mix = DistortionMix(kinds=kinds, severities=severities, share=0.5)
    shape = tuple(int(axis.size or 0) for axis in scale.inputs.tensors[0][1].axes)
    check_image_shape(shape)
    named = (PRISTINE, *kinds)
    blank = DistortionClassifier(
        kinds=named,
        shape=shape,
        mean=tuple(map(float, scale.mean)),
        std=tuple(map(float, scale.std)),
        centre=(0.0,) * IMAGE_FEATURES,
        scale=(1.0,) * IMAGE_FEATURES,
        weights=((0.0,) * IMAGE_FEATURES,) * len(named),
        biases=(0.0,) * len(named),
    )
    features, truth = _examples(split, scale, mix, blank, samples=samples, seed=seed)
    rare = np.bincount(truth, minlength=len(named)).min()
    if rare < 2:
        raise TaskError(
            f"{len(truth)} training images are too few to tell {len(named)} kinds of distortion apart; "
            "give more images or fewer kinds"
        )
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 1e-6, spread, 1.0)
    from sklearn.linear_model import LogisticRegression  # takes most of a second

    fitted = LogisticRegression(C=_STRENGTH, max_iter=2000).fit((features - centre) / spread, truth)
    weights, biases = fitted.coef_, fitted.intercept_
    if len(named) == 2:  # scikit-learn keeps the difference of two classes
        weights, biases = np.concatenate([-weights / 2, weights / 2]), np.concatenate([-biases / 2, biases / 2])
    return DistortionClassifier(
        kinds=named,
        shape=shape,
        mean=blank.mean,
        std=blank.std,
        centre=tuple(centre.tolist()),
        scale=tuple(spread.tolist()),
        weights=tuple(tuple(row) for row in weights.tolist()),
        biases=tuple(biases.tolist()),
    )


def _examples(
    split: Split, scale: ImageScale, mix: DistortionMix, blank: DistortionClassifier, *, samples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the features [n, IMAGE_FEATURES] and the kinds [n] of distorted images of the split."""
    generator = np.random.default_rng(seed)
    rows = np.sort(generator.permutation(len(split))[:samples])
    reader = split.reader(scale.inputs)
    features, truth = [], []
    for start in range(0, len(rows), _BATCH):
        images, kinds, _ = mix.apply(reader[rows[start : start + _BATCH]].numpy(), generator)
        features.append(blank.features(_scaled(images, scale)))
        truth.append(kinds)
    return np.concatenate(features).astype(np.float64), np.concatenate(truth)


def _scaled(images: NDArray[np.uint8], scale: ImageScale) -> NDArray[np.float32]:
    """Return images as the network takes them."""
    column = (1, -1, 1, 1)
    mean, std = (torch.tensor(each, dtype=torch.float32).view(column) for each in (scale.mean, scale.std))
    return np.asarray(((torch.from_numpy(images).float() / 255 - mean) / std).numpy())
