"""The distorted counterparts of a task's splits: calibration and validation drawn by seed, test in every context."""

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError
from eenas.seeding import derive
from eenas.tasks.distortions.corruption_files import CorruptionFiles
from eenas.tasks.distortions.distorted_images import DistortedImages
from eenas.tasks.distortions.spec import DistortionsSpec
from eenas.tasks.images.pixels import Pixels
from eenas.tasks.split import Split

PREFIX = "distorted_"
"""The beginning of the names of distorted counterparts: "distorted_validation"."""
PER_CONTEXT = 2000
"""The largest number of test samples in each combination of kind and severity."""


def distorted_split(split: Split, spec: DistortionsSpec) -> Split:
    """Return the distorted counterpart of calibration, validation or test.

    Each sample of calibration and validation has `spec.copies` versions in different contexts; over the split, contexts
    are equally frequent. The same test samples (at most PER_CONTEXT, drawn by seed) are distorted in every context.

    Raises TaskError if `spec.files` does not fit the source of the split.
    """
    contexts = spec.contexts
    generator = np.random.default_rng(derive(spec.seed, "distorted", split.name))
    if split.name == "test":
        some = np.sort(generator.permutation(len(split))[:PER_CONTEXT])
        positions = np.tile(some, len(contexts))
        numbers = np.repeat(np.arange(len(contexts)), len(some))
    else:
        order = generator.permutation(len(split))
        first = np.empty(len(split), dtype=np.int64)
        first[order] = np.arange(len(split)) % len(contexts)
        steps = np.arange(spec.copies) * len(contexts) // spec.copies
        positions = np.repeat(np.arange(len(split)), spec.copies)
        numbers = ((first[:, None] + steps) % len(contexts)).reshape(-1)
    return _of_versions(split, positions, [contexts[number] for number in numbers], spec)


def training_split(split: Split, spec: DistortionsSpec) -> Split:
    """Return the train split with `spec.share` of its images replaced by a version in a context drawn by seed."""
    pixels = _pixels(split)
    generator = np.random.default_rng(derive(spec.seed, "distorted", split.name))
    chosen = generator.random(len(pixels)) < spec.share
    numbers = generator.integers(len(spec.contexts), size=len(pixels))
    drawn = [spec.contexts[number] if each else None for each, number in zip(chosen, numbers, strict=True)]
    return split.with_samples(DistortedImages(pixels, np.arange(len(pixels)), drawn, seed=spec.seed))


def pristine_split(split: Split) -> Split:
    """Return the same rows of a train split without distorted versions."""
    samples = split.samples
    return split.with_samples(samples.pixels) if isinstance(samples, DistortedImages) else split


def _of_versions(
    split: Split, positions: NDArray[np.int64], drawn: list[tuple[str, int]], spec: DistortionsSpec
) -> Split:
    """Return a split of versions of the samples at `positions`, distorted as `drawn` says."""
    pixels, rows, labels = _pixels(split), split.rows[positions], split.labels[positions]
    files = _files(split, spec) if spec.files else None
    images = DistortedImages(pixels, rows, drawn, seed=spec.seed, files=files)
    name = PREFIX + split.name
    return Split(name, split.source, images, labels, np.arange(len(rows)), split.balanced)


def _files(split: Split, spec: DistortionsSpec) -> CorruptionFiles:
    """Return the files of a spec, checked against the split."""
    if split.source != "test":
        raise TaskError(
            f"distortions.files holds the test source, but {split.name} takes from the {split.source} source; "
            'set task.held_out = "test"'
        )
    files = _opened(Path(spec.files).resolve(), len(split.samples))
    for kind in spec.kinds:
        files.check_kind(kind)
    files.check_labels(split.rows, split.labels)
    return files


@functools.lru_cache(maxsize=4)
def _opened(folder: Path, count: int) -> CorruptionFiles:
    return CorruptionFiles(folder, count)


def _pixels(split: Split) -> Pixels:
    """Return the images of the source of a split, also if the split holds versions of them."""
    samples = split.samples
    found = samples.pixels if isinstance(samples, DistortedImages) else samples
    if not isinstance(found, Pixels):
        raise TaskError(f"task.distortions is for images, but the samples are {samples.inputs}; leave it out")
    return found
