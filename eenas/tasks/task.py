"""The task: a learning problem with its classes and four splits."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError, nearest
from eenas.specs import digest as digest_of
from eenas.tasks.arrays import ArrayOptions, check_class_names, read_source
from eenas.tasks.images.frame import Fit, Size
from eenas.tasks.images.image_input import fit_of, image_input, size_of, white_of
from eenas.tasks.images.pixels import Pixels
from eenas.tasks.inputs import InputSpec, Kind
from eenas.tasks.samples import Samples
from eenas.tasks.spec import SPLIT_NAMES, Layout, SourceName, SplitsSpec
from eenas.tasks.split import Split
from eenas.tasks.splitting import divide

Source = tuple[Samples, NDArray[np.int64]]
MIRRORED = (
    "pictures are mirrored in training, the default for colour ones; set task.flip = false where a mirrored picture "
    "is none of its class, such as digits and texts"
)


@final
@dataclass(frozen=True, eq=False)
class Task:
    """Raw samples and labels in four disjoint splits, every class in each of them.

    `train` fits weights, `calibration` temperatures and thresholds, `validation` scores the search, `test` is touched
    once, by the final report. `inputs` says what the samples are, at the size that the task prefers (open: the
    backbone's); `flip` whether a horizontal flip of images keeps the class. `digest` is 16 hexadecimal digits of the
    data, the class names, the splits' samples, the size, `flip` and `fit`; the same on every machine.
    `default_splits` says that nobody chose where the splits come from. `notices` are lines on the data that whoever
    works with them should read; `left_out` names the files that were not taken though they are there.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    calibration: Split
    validation: Split
    test: Split
    inputs: InputSpec
    flip: bool
    digest: str
    default_splits: bool = False
    notices: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def splits(self) -> tuple[Split, ...]:
        """The four splits in the order of SPLIT_NAMES."""
        return (self.train, self.calibration, self.validation, self.test)

    @property
    def input_size(self) -> Size | None:
        """The size that a task of images prefers; None for the backbone's, and for other samples."""
        return size_of(self.inputs)

    @property
    def channels(self) -> int:
        """The channels of the samples."""
        return self.inputs.size("channel") or 1

    @property
    def fit(self) -> Fit:
        """How images of other proportions than the input's are fitted into it."""
        return fit_of(self.inputs)

    @property
    def white(self) -> int | None:
        """The value that became white of images of more than 8 bits; None where there are none."""
        return white_of(self.inputs)

    def counted(self, *, balanced: bool) -> "Task":
        """The same task, accuracies on which are balanced or not."""
        if all(split.balanced == balanced for split in self.splits):
            return self
        parts = {split.name: split.counted(balanced=balanced) for split in self.splits}
        return replace(self, **parts)  # type: ignore[arg-type]

    def fitted(self, fit: Fit) -> "Task":
        """The same task of images with another fit. Raises TaskError for other samples."""
        if fit == self.fit:
            return self
        fitted = {id(split.samples): _images(self.name, split.samples).fitted(fit) for split in self.splits}
        parts = {split.name: split.shown_by(fitted[id(split.samples)]) for split in self.splits}
        options = tuple((name, value) for name, value in self.inputs.options if name != "fit")
        inputs = replace(self.inputs, options=(*((("fit", fit),) if fit != "crop" else ()), *options))
        return replace(self, **parts, inputs=inputs, digest=digest_of([self.digest, fit]))  # type: ignore[arg-type]

    @property
    def num_classes(self) -> int:
        """How many classes there are, two or more."""
        return len(self.classes)

    def split(self, name: str) -> Split:
        """The split of that name; raises TaskError for an unknown one."""
        splits = {split: getattr(self, split) for split in SPLIT_NAMES}
        if name not in splits:
            raise TaskError(f"{name!r} is not a split; {nearest(name, splits)}")
        found: Split = splits[name]
        return found

    @classmethod
    def from_arrays(
        cls,
        name: str,
        train_x: Any,
        train_y: Any,
        test_x: Any = None,
        test_y: Any = None,
        classes: Sequence[str] | None = None,
        splits: SplitsSpec | None = None,
        flip: bool | None = None,
        input_size: Size | None = None,
        fit: Fit = "crop",
        layout: Layout | None = None,
        input: Kind | None = None,
    ) -> "Task":
        """A task of arrays, of images or of series, and class numbers [n].

        Images are [n, H, W], [n, H, W, C] or [n, C, H, W], integers in 0..255, or floats in [0, 1], which become
        `round(255 x)`. Where their shape does not tell which axis has the channels, `layout` "NHWC" or "NCHW" does.
        Series are floats [n, channels, length], or [n, length] of one channel. `input` "images" or "series" says which
        they are; without it `kind_of` decides, and a notice says so where they could be either.

        Without test arrays all splits come from the train arrays. `classes` default to "0", "1", ...; `input_size` to
        the images' shorter side; `flip` None means for colour images only; `fit` is that of `Frame`. The arrays are
        copied. Raises TaskError when they contradict each other or do not hold enough for the splits.
        """
        names = None if classes is None else check_class_names(classes)
        if (test_x is None) != (test_y is None):
            given, missing = ("test_x", "test_y") if test_y is None else ("test_y", "test_x")
            raise TaskError(f"{given} is given but not {missing}; give both or neither")
        wanted = ArrayOptions(input_size, fit, layout, input)
        read = {"train": read_source(train_x, train_y, "train", names, wanted)}
        del train_x  # what nobody else holds goes before the next copy is made
        if names is None:
            names = tuple(str(number) for number in range(int(read["train"].labels.max()) + 1))
        if test_x is not None:
            kind = read["train"].samples.inputs.kind
            read["test"] = read_source(test_x, test_y, "test", names, replace(wanted, input=kind))
            ours, theirs = read["train"].shape, read["test"].shape
            if ours != theirs:
                raise TaskError(
                    f"test_x has {kind} of {_shape(theirs)}, but train_x of {_shape(ours)}; make them alike"
                )
        sources: dict[SourceName, Source] = {
            source: (read[source].samples, read[source].labels) for source in ("train", "test") if source in read
        }
        task = assemble(name, names, sources, splits or SplitsSpec(), flip=flip)
        notices = [text for each in read.values() for text in each.notices]
        return replace(task, notices=(*notices, *task.notices))


def assemble(
    name: str,
    classes: tuple[str, ...],
    sources: Mapping[SourceName, Source],
    splits: SplitsSpec,
    *,
    flip: bool | None,
) -> Task:
    """A task of one or two sources of images and labels; `flip` None means for colour images only.

    Raises TaskError when there are fewer than two classes, a source lacks a class, or the splits do not fit.
    """
    if len(classes) < 2:
        raise TaskError(f"{name}: a task needs at least two classes, got {len(classes)} ({', '.join(classes)})")
    for source, (_, labels) in sources.items():
        absent = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
        if len(absent):
            listed = ", ".join(repr(classes[number]) for number in absent[:5]) + (", ..." if len(absent) > 5 else "")
            raise TaskError(
                f"{name}: the {source} source has no sample of class {listed}; every class needs some there"
            )
    wanted = splits.with_defaults(test_source="test" in sources, validation_source="validation" in sources)
    parts: dict[str, Split] = {}
    for source, (samples, labels) in sources.items():
        here = {str(split): spec for split, spec in wanted.items() if spec.source == source}
        rows = divide(labels, classes, here, source=source, seed=splits.seed) if here else {}
        parts |= {split: Split(split, source, samples, labels[chosen], chosen) for split, chosen in rows.items()}
    inputs = sources["train"][0].inputs
    mirrored = False
    if inputs.kind == "images":
        inputs, mirrored = _with_channels(inputs, [samples for samples, _ in sources.values()])
    elif flip:
        raise TaskError(f"{name}: task.flip mirrors images, and these samples are {inputs.kind}; leave it out")
    facts = [
        [[source, samples.digest, _digest(labels)] for source, (samples, labels) in sorted(sources.items())],
        list(classes),
        [[split, parts[split].source, _digest(parts[split].rows)] for split in SPLIT_NAMES],
        _settings(inputs, mirrored if flip is None else flip),
    ]
    return Task(
        name=name,
        classes=classes,
        train=parts["train"],
        calibration=parts["calibration"],
        validation=parts["validation"],
        test=parts["test"],
        inputs=inputs,
        flip=mirrored if flip is None else flip,
        digest=digest_of(facts),
        default_splits=splits == SplitsSpec(seed=splits.seed),
        notices=(MIRRORED,) if flip is None and mirrored else (),
    )


def _with_channels(inputs: InputSpec, sources: Sequence[Samples]) -> tuple[InputSpec, bool]:
    """Images with the channels of the source that has most, and whether they are mirrored where nobody says."""
    channels = max(each.inputs.size("channel") or 1 for each in sources)
    return image_input(size_of(inputs), channels, fit_of(inputs), white_of(inputs)), channels > 1


def _settings(inputs: InputSpec, flip: bool) -> list[Any]:
    """What of the settings makes another task; for images as version 0.1 had it."""
    if inputs.kind != "images":
        return [inputs]
    fit, white = fit_of(inputs), white_of(inputs)
    return [size_of(inputs), flip, *([] if fit == "crop" and white is None else [fit, white])]


def _images(name: str, samples: Samples) -> Pixels:
    if not isinstance(samples, Pixels):
        raise TaskError(f"{name}: task.fit is for images, and these samples are {samples.inputs.kind}; leave it out")
    return samples


def _digest(values: NDArray[np.int64]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<i8").tobytes()).hexdigest()[:16]


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
