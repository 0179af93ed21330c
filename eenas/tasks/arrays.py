"""Arrays of samples and labels: what kind they are, checked and brought to one form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError
from eenas.tasks.images.frame import Fit, Size
from eenas.tasks.images.image_arrays import check_images, dark, digest_of_images
from eenas.tasks.images.pixels import ArrayPixels
from eenas.tasks.inputs import KINDS, Kind
from eenas.tasks.samples import Samples
from eenas.tasks.series.series_arrays import as_array, check_channels, check_series
from eenas.tasks.series.series_values import SeriesValues
from eenas.tasks.spec import Layout

SLENDER = 4
"""Floats [n, A, B] in [0, 1] are taken for images; where one side is so many times the other, that is said."""
SET = 'task.input = "{}" (input="{}" in Python)'


@dataclass(frozen=True)
class ArrayOptions:
    """What is known of arrays beside themselves: of images their size, fit and layout, and what they are at all."""

    input_size: Size | None = None
    fit: Fit = "crop"
    layout: Layout | None = None
    input: Kind | None = None


@dataclass(frozen=True, eq=False)
class SourceArrays:
    """One source: its samples, `shape` of each, class numbers int64 [n], and lines to read before they are used."""

    samples: Samples
    labels: NDArray[np.int64]
    shape: tuple[int, ...]
    notices: tuple[str, ...]


def read_source(
    values: Any, labels: Any, source: str, classes: Sequence[str] | None, options: ArrayOptions
) -> SourceArrays:
    """One source's arrays, named `{source}_x` and `{source}_y` in messages; `classes` bounds the labels where given.

    Samples are as `check_images` or `check_series` takes them. Labels are integers [n] from 0 up. Raises TaskError for
    anything else.
    """
    name = f"{source}_x"
    array = as_array(values, name)
    kind, notice = kind_of(array, name, options.input)
    notices = [] if notice is None or options.input is not None else [notice]
    samples: Samples
    if kind == "series":
        if options.input_size is not None:
            raise TaskError(f"task.input_size is for images, and {name} holds series; leave it out: their length is it")
        series = check_series(array, name)
        if source == "train":
            check_channels(series, name)
        samples, shape = SeriesValues(series, name), series.shape[1:]
    else:
        images = _images(array, name, options)
        shape = images.shape[1:]
        notices += [text] if (text := dark(images, name)) else []
        samples = ArrayPixels(images, digest_of_images(images), options.input_size, options.fit, name)
    numbers = check_labels(labels, f"{source}_y", classes)
    if len(samples) != len(numbers):
        raise TaskError(
            f"{name} has {len(samples)} {kind} but {source}_y has {len(numbers)} labels; give each sample one label"
        )
    return SourceArrays(samples, numbers, shape, tuple(notices))


def _images(array: NDArray[Any], name: str, options: ArrayOptions) -> NDArray[np.uint8]:
    """The array as images. Where floats might as well be series, the error says how they are taken for such."""
    try:
        return check_images(array, name, options.layout)
    except TaskError as error:
        if options.input is not None or array.dtype.kind != "f" or array.ndim != 3 or array.size == 0:
            raise
        raise TaskError(f"{error}; where they are series, set {SET.format('series', 'series')}") from None


def kind_of(array: NDArray[Any], name: str, given: Kind | None = None) -> tuple[Kind, str | None]:
    """Images or series, and a sentence where that is not plain; `given` decides.

    Floats of three axes are series where some lie outside of [0, 1], which images do not, unless the last two axes are
    as long as each other; those of two axes are series of one channel. All else is images. Raises TaskError for an
    unknown `given`.
    """
    if given is not None:
        if given not in KINDS:
            raise TaskError(f"task.input is one of {', '.join(KINDS)}, got {given!r}")
        return given, None
    shape = list(array.shape)
    if array.dtype.kind != "f" or array.size == 0 or array.ndim not in (2, 3):
        return "images", None
    series, images = SET.format("series", "series"), SET.format("images", "images")
    if array.ndim == 2:
        return "series", f"{name} {shape} is taken for series of one channel, since it has two axes"
    known = array[np.isfinite(array)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if low >= 0 and high <= 1:
        sides = sorted(shape[1:])
        slender = sides[1] >= SLENDER * sides[0]
        said = f"{name} {shape} is taken for grey images, since its floats lie in [0, 1]; {series} takes it for series"
        return "images", said if slender else None
    if shape[1] == shape[2]:  # most probably standardised images, which `check_images` has an advice for
        return "images", None
    return "series", (
        f"{name} {shape} is taken for series [n, channels, length], since it has three axes and floats from {low:g} to "
        f"{high:g}; {images} takes it for images"
    )


def check_labels(labels: Any, name: str, classes: Sequence[str] | None) -> NDArray[np.int64]:
    """Labels as int64 [n]; raises TaskError for another shape or type, or a label outside 0..C-1."""
    array = np.asarray(labels)
    if array.ndim != 1:
        fix = f"; {name}.ravel() makes it so" if array.size == len(array if array.ndim else [array]) else ""
        if array.ndim == 2 and not fix:
            fix = f"; {name}.argmax(1) makes it so of a column for each class"
        raise TaskError(f"{name} must be [n], one class number for each sample, got the shape {list(array.shape)}{fix}")
    if array.dtype.kind not in "iu":
        whole = array.dtype.kind == "b" or (array.dtype.kind == "f" and bool((array == np.rint(array)).all()))
        fix = f"; {name}.astype(int) makes them so" if whole else ""
        if array.dtype.kind in "USO":
            fix = f"; classes, {name} = numpy.unique({name}, return_inverse=True) numbers them"
        raise TaskError(f"{name} must hold integers (class numbers from 0 up), got {array.dtype}{fix}")
    if len(array) == 0:
        return array.astype(np.int64)
    low, high = int(array.min()), int(array.max())
    if low < 0:
        raise TaskError(f"{name} holds the label {low}; class numbers go from 0 up")
    if classes is not None and high >= len(classes):
        raise TaskError(f"{name} holds the label {high}, but there are {len(classes)} classes: 0 to {len(classes) - 1}")
    if classes is None and high >= len(array):
        raise TaskError(
            f"{name} holds the label {high} with only {len(array)} samples; number the classes 0, 1, 2 and so on"
        )
    return array.astype(np.int64)


def check_class_names(classes: Any) -> tuple[str, ...]:
    """Class names as text; raises TaskError when they are not one list of different, non-empty names."""
    array = np.asarray(classes)
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise TaskError(f"classes must be a list of names, got {array.dtype} of the shape {list(array.shape)}")
    try:
        names = [item.decode() if isinstance(item, bytes) else str(item) for item in array.tolist()]
    except UnicodeDecodeError:
        raise TaskError("classes must be names in UTF-8, got other bytes; save them as text") from None
    if not all(names):
        raise TaskError(f"class {names.index('')} has an empty name; give each class a name")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise TaskError(f"classes must differ, got {twice[0]!r} more than once")
    return tuple(names)
