"""Arrays of samples and labels: finding their kind, checking and converting them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError, plural
from eenas.specs import check_options
from eenas.tasks.images.frame import Fit, Size
from eenas.tasks.images.image_arrays import check_images, dark, digest_of_images
from eenas.tasks.images.pixels import ArrayPixels
from eenas.tasks.inputs import OF_ARRAYS, Kind
from eenas.tasks.samples import Samples
from eenas.tasks.series.padding import lengths_of, padded, split_mask, with_length
from eenas.tasks.series.series_arrays import as_array, check_channels, check_series
from eenas.tasks.series.series_values import SeriesValues
from eenas.tasks.spec import Layout, SplitsSpec
from eenas.tasks.text.given_texts import texts_of
from eenas.tasks.text.text_values import TextValues

ELONGATED = 4
"""The ratio of the sides from which float arrays [n, A, B] in [0, 1], read as images, cause a notice."""
SET = 'task.input = "{}" (input="{}" in Python)'


@dataclass(frozen=True, kw_only=True)
class ArrayOptions:
    """The options of a task of arrays. See `Task.from_arrays`."""

    splits: SplitsSpec = field(default_factory=SplitsSpec)
    flip: bool | None = None
    input_size: Size | None = None
    fit: Fit = "crop"
    layout: Layout | None = None
    input: Kind | None = None
    masked: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "ArrayOptions":
        """Return the options given as keywords.

        Raises SpecError for an unknown one.
        """
        check_options("Task.from_arrays", given, ArrayKeywords)
        return cls(**{name: value for name, value in given.items() if name != "splits" or value is not None})


class ArrayKeywords(TypedDict, total=False):
    """The fields of `ArrayOptions` as optional keywords of a function."""

    splits: SplitsSpec | None
    flip: bool | None
    input_size: Size | None
    fit: Fit
    layout: Layout | None
    input: Kind | None


@dataclass(frozen=True, eq=False)
class SourceArrays:
    """One source: its samples, the `shape` of a sample, class numbers int64 [n], and notices for the user."""

    samples: Samples
    labels: NDArray[np.int64]
    shape: tuple[int, ...]
    notices: tuple[str, ...]


def read_source(
    values: Any, labels: Any, source: str, classes: Sequence[str] | None, options: ArrayOptions
) -> SourceArrays:
    """Return the source of one pair of arrays. `classes` bounds the labels if given.

    Messages call the arrays `{source}_x` and `{source}_y`. Samples are as for `check_images` or `check_series`. Labels
    are integers [n] from 0.

    Raises TaskError for other arrays.
    """
    name = f"{source}_x"
    if (texts := texts_of(values, name)) is not None:
        return _source_of_texts(texts, labels, source, classes, options)
    array = as_array(values, name)
    kind, notice = kind_of(array, name, options.input)
    notices = [] if notice is None or options.input is not None else [notice]
    samples: Samples
    if kind == "series":
        if options.input_size is not None:
            raise TaskError(f"task.input_size is for images, but {name} holds series; leave it out")
        series, found = series_values(array, name, masked=options.masked)
        if source == "train":
            check_channels(series, name)
        samples, shape = found, found.shape
        notices += _turned(series, name)
    else:
        images = _images(array, name, options)
        shape = images.shape[1:]
        notices += [text] if (text := dark(images, name)) else []
        samples = ArrayPixels(images, digest_of_images(images), options.input_size, options.fit, name)
    numbers = check_labels(labels, f"{source}_y", classes)
    if len(samples) != len(numbers):
        raise TaskError(
            f"{name} has {len(samples)} {kind} but {source}_y has {plural(len(numbers), 'label')}; give each sample "
            "one label"
        )
    return SourceArrays(samples, numbers, shape, tuple(notices))


def _source_of_texts(
    texts: list[str], labels: Any, source: str, classes: Sequence[str] | None, options: ArrayOptions
) -> SourceArrays:
    """Return the source of texts. Raises TaskError for options of other samples."""
    for key, given in (("input_size", options.input_size), ("layout", options.layout), ("input", options.input)):
        if given not in (None, "text"):
            raise TaskError(f"task.{key} is not for texts, got {given!r} for {source}_x; leave it out")
    numbers = check_labels(labels, f"{source}_y", classes)
    if len(texts) != len(numbers):
        raise TaskError(
            f"{source}_x has {plural(len(texts), 'text')} but {source}_y has {plural(len(numbers), 'label')}; give "
            "each sample one label"
        )
    return SourceArrays(TextValues(texts, f"{source}_x"), numbers, (), ())


def series_values(array: NDArray[Any], name: str, *, masked: bool) -> tuple[NDArray[np.float32], SeriesValues]:
    """Return checked series [n, channels, length], and the same as samples, with their mask if `masked`.

    Raises TaskError for other arrays.
    """
    lengths = lengths_of(array, name) if masked else None
    if not masked:
        series = check_series(array, name)
        return series, SeriesValues(series, name)
    full = np.full(len(array), array.shape[-1], dtype=np.int64)
    filled, mask = split_mask(array, full if lengths is None else lengths)
    series = check_series(filled, name)
    return series, SeriesValues(np.concatenate([series, mask], axis=1), name, masked=True)


def of_one_length(train: Any, test: Any, options: ArrayOptions) -> tuple[Any, Any, ArrayOptions, list[str]]:
    """Return train and test values with series padded to the longest of both, and a notice if any was.

    The options then say that the series are masked. Values that hold no series of different length are not changed.
    """
    if options.input not in (None, "series"):
        return train, test, options, []
    given = {"train": padded(train, "train_x"), "test": None if test is None else padded(test, "test_x")}
    arrays = {name: each for name, each in given.items() if isinstance(each, np.ndarray) and each.ndim in (2, 3)}
    lengths = {name: lengths_of(each, f"{name}_x") for name, each in arrays.items()}
    longest = max((each.shape[-1] for each in arrays.values()), default=0)
    if all(each is None for each in lengths.values()):
        return train, test, options, []
    made = {name: with_length(each, longest) for name, each in arrays.items()}
    shortest = min(int(found.min()) for name in made if (found := lengths_of(made[name], name)) is not None)
    notice = (
        f"series have {shortest} to {longest} points: shorter ones are padded, and a further channel marks their points"
    )
    return made.get("train", train), made.get("test", test), replace(options, input="series", masked=True), [notice]


def _images(array: NDArray[Any], name: str, options: ArrayOptions) -> NDArray[np.uint8]:
    """Return the array as images. If it could also hold series, the error says how to read it as series."""
    try:
        return check_images(array, name, options.layout)
    except TaskError as error:
        if options.input is not None or array.dtype.kind not in "iuf" or array.ndim not in (2, 3) or array.size == 0:
            raise
        raise TaskError(f"{error}; for series, set {SET.format('series', 'series')}") from None


def _turned(series: NDArray[Any], name: str) -> list[str]:
    """Return a notice for series with more channels than points, whose axes may be in another order."""
    channels, length = series.shape[1:]
    if channels <= length:
        return []
    return [
        f"{name} is read as series of {plural(channels, 'channel')} and {plural(length, 'point')}; if it is [n, "
        f"length, channels], give {name}.transpose(0, 2, 1)"
    ]


def kind_of(array: NDArray[Any], name: str, given: Kind | None = None) -> tuple[Kind, str | None]:
    """Return the kind of an array, and a notice if the kind is not obvious. `given` overrides the rule.

    Floats of three axes are series if some lie outside [0, 1], except if the last two axes have equal length. Floats of
    two axes are series of one channel. All other arrays are images.

    Raises TaskError for an unknown `given`.
    """
    if given is not None:
        if given not in OF_ARRAYS:
            raise TaskError(f"task.input is one of {', '.join(OF_ARRAYS)}, got {given!r}")
        return given, None
    shape = list(array.shape)
    if array.dtype.kind != "f" or array.size == 0 or array.ndim not in (2, 3):
        return "images", None  # whose check refuses an empty array
    series, images = SET.format("series", "series"), SET.format("images", "images")
    if array.ndim == 2:
        return "series", f"{name} {shape} is read as series of one channel, since it has two axes"
    known = array[np.isfinite(array)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if low >= 0 and high <= 1:
        sides = sorted(shape[1:])
        slender = sides[1] >= ELONGATED * sides[0]
        said = f"{name} {shape} is read as grey images, since its floats lie in [0, 1]; set {series} for series"
        return "images", said if slender else None
    if shape[1] == shape[2]:  # probably standardised images, for which `check_images` suggests a fix
        return "images", None
    return "series", (
        f"{name} {shape} is read as series [n, channels, length], since it has three axes and floats from {low:g} to "
        f"{high:g}; set {images} for images"
    )


def check_labels(labels: Any, name: str, classes: Sequence[str] | None) -> NDArray[np.int64]:
    """Return the labels as int64 [n].

    Raises TaskError for another shape or type, or a label outside 0..C-1.
    """
    if labels is None:
        raise TaskError(f"{name} must be [n], one class number for each sample, got None; give the labels")
    array = np.asarray(labels)
    if array.size == 0 and array.ndim == 1:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1:
        fix = f"; use {name}.ravel()" if array.size == len(array if array.ndim else [array]) else ""
        if array.ndim == 2 and not fix:
            fix = f"; use {name}.argmax(1) if it has a column for each class"
        raise TaskError(f"{name} must be [n], one class number for each sample, got the shape {list(array.shape)}{fix}")
    if array.dtype.kind not in "iu":
        whole = array.dtype.kind == "b" or (array.dtype.kind == "f" and bool((array == np.rint(array)).all()))
        fix = f"; use {name}.astype(int)" if whole else ""
        if array.dtype.kind in "USO":
            fix = f"; classes, {name} = numpy.unique({name}, return_inverse=True) numbers them"
        raise TaskError(f"{name} must hold integers (class numbers from 0), got {array.dtype}{fix}")
    low, high = int(array.min()), int(array.max())
    if low < 0:
        raise TaskError(f"{name} holds the label {low}, but class numbers start at 0; number the classes 0, 1, ...")
    if classes is not None and high >= len(classes):
        raise TaskError(
            f"{name} holds the label {high}, but the labels of {plural(len(classes), 'class', 'classes')} end at "
            f"{len(classes) - 1}; "
            f"give {high + 1} names, or correct the label"
        )
    if classes is None and len(present := np.unique(array)) <= high:
        absent = next(number for number, label in enumerate(present.tolist()) if label != number)
        raise TaskError(
            f"{name} holds labels up to {high} but not {absent}; class numbers have no gaps: classes, {name} = "
            f"numpy.unique({name}, return_inverse=True) numbers them"
        )
    return array.astype(np.int64)


def check_class_names(classes: Any) -> tuple[str, ...]:
    """Return the class names as text.

    Raises TaskError unless they are a list of distinct, non-empty names.
    """
    array = np.asarray(classes)
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise TaskError(
            f"classes must be a list of names, got {array.dtype} of the shape {list(array.shape)}; give "
            'one for each class, such as classes=["cat", "dog"]'
        )
    try:
        names = [item.decode() if isinstance(item, bytes) else str(item) for item in array.tolist()]
    except UnicodeDecodeError:
        raise TaskError("classes must be names in UTF-8, got other bytes; save them as text") from None
    if not all(names):
        raise TaskError(f"class {names.index('')} has an empty name; give each class a name")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise TaskError(f"classes must differ, got {twice[0]!r} more than once; give each another name")
    return tuple(names)
