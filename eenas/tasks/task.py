"""The task: a learning problem with its classes and four splits."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Unpack, final

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError, nearest
from eenas.specs import digest as digest_of
from eenas.tasks.arrays import ArrayKeywords, ArrayOptions, check_class_names, of_one_length, read_source
from eenas.tasks.distortions.distorted_images import DistortedImages
from eenas.tasks.distortions.distorted_splits import PREFIX, distorted_split, training_split
from eenas.tasks.distortions.distortion import check_distortable
from eenas.tasks.distortions.spec import DistortionsSpec
from eenas.tasks.images.frame import Fit, Size
from eenas.tasks.images.image_input import fit_of, image_input, size_of, white_of
from eenas.tasks.images.pixels import Pixels
from eenas.tasks.inputs import InputSpec
from eenas.tasks.samples import Samples
from eenas.tasks.spec import SPLIT_NAMES, SourceName, SplitsSpec
from eenas.tasks.split import Split
from eenas.tasks.splitting import divide

Source = tuple[Samples, NDArray[np.int64]]
FLIP_NOTICE = (
    "images are flipped horizontally in training, the default for colour images; set task.flip = false if a flip "
    "changes the class, as with digits and text"
)


@final
@dataclass(frozen=True, eq=False)
class Task:
    """Raw samples and labels in four disjoint splits, each with samples of every class.

    `train` fits the weights, `calibration` fits temperatures and thresholds, `validation` scores the search, and `test`
    is used once, by the final report. `inputs` describes the samples at the task's preferred size (open: the size of
    the backbone). `flip` tells whether a horizontal flip of an image keeps its class. `digest` is 16 hexadecimal digits
    that cover the data, the class names, the samples of each split, the size, `flip` and `fit`; it is the same on every
    machine. `default_splits` is True if the user did not choose the sources of the splits. `notices` are remarks on the
    data for the user; `left_out` names the files that exist but are not used. With `distortions`, there are distorted
    counterparts of three splits besides.
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
    distortions: DistortionsSpec | None = None

    @property
    def splits(self) -> tuple[Split, ...]:
        """The four splits in the order of SPLIT_NAMES."""
        return (self.train, self.calibration, self.validation, self.test)

    @property
    def input_size(self) -> Size | None:
        """The image size that the task prefers. None means that of the backbone, or samples that are not images."""
        return size_of(self.inputs)

    @property
    def channels(self) -> int:
        """The number of channels of the samples."""
        return self.inputs.channels or 1

    @property
    def fit(self) -> Fit:
        """How an image is fitted into an input of other proportions."""
        return fit_of(self.inputs)

    @property
    def white(self) -> int | None:
        """The value that maps to white in images of more than 8 bits a channel. None if there are no such images."""
        return white_of(self.inputs)

    def counted(self, *, balanced: bool) -> "Task":
        """Return the same task with accuracy balanced over the classes, or not."""
        if all(split.balanced == balanced for split in self.splits):
            return self
        parts = {split.name: split.counted(balanced=balanced) for split in self.splits}
        return replace(self, **parts)  # type: ignore[arg-type]

    def fitted(self, fit: Fit) -> "Task":
        """Return the same task of images with another fit.

        Raises TaskError for other samples.
        """
        if fit == self.fit:
            return self
        fitted = {id(split.samples): _images(self.name, split.samples).fitted(fit) for split in self.splits}
        parts = {split.name: split.with_samples(fitted[id(split.samples)]) for split in self.splits}
        options = tuple((name, value) for name, value in self.inputs.options if name != "fit")
        inputs = replace(self.inputs, options=(*((("fit", fit),) if fit != "crop" else ()), *options))
        return replace(self, **parts, inputs=inputs, digest=digest_of([self.digest, fit]))  # type: ignore[arg-type]

    @property
    def num_classes(self) -> int:
        """The number of classes, at least two."""
        return len(self.classes)

    def split(self, name: str) -> Split:
        """Return the split of that name.

        Raises TaskError for an unknown name.
        """
        splits: dict[str, Split] = {split.name: split for split in self.splits} | self.distorted_splits
        if name not in splits:
            raise TaskError(f"{name!r} is not a split; {nearest(name, splits)}")
        return splits[name]

    @cached_property
    def distorted_splits(self) -> dict[str, Split]:
        """The distorted counterparts of calibration, validation and test by name, such as "distorted_test".

        Empty without `distortions`.
        """
        spec = self.distortions
        parts = () if spec is None else (self.calibration, self.validation, self.test)
        return {} if spec is None else {PREFIX + part.name: distorted_split(part, spec) for part in parts}

    def with_distortions(self, spec: DistortionsSpec) -> "Task":
        """Return the same task with distortions. The four splits stay as they are.

        Raises TaskError for samples other than images, kinds that need another number of channels, and files that do
        not fit.
        """
        if self.inputs.kind != "images":
            raise TaskError(
                f"{self.name}: task.distortions is for images, but the samples are {self.inputs}; leave it out"
            )
        for kind in () if spec.files else spec.kinds:
            check_distortable(kind, self.channels)
        found = replace(self, distortions=spec, digest=digest_of([self.digest, spec.identity]))
        samples = [split.samples for split in found.distorted_splits.values()]  # checks the files, if there are any
        files = samples[0].files if spec.files and isinstance(samples[0], DistortedImages) else None
        return found if files is None else replace(found, digest=digest_of([found.digest, files.digest(spec.kinds)]))

    def trained_distorted(self) -> "Task":
        """Return the same task with the share of distorted images in train that `distortions` asks for."""
        spec = self.distortions
        return self if spec is None or not spec.share else replace(self, train=training_split(self.train, spec))

    @classmethod
    def from_arrays(
        cls,
        name: str,
        train_x: Any,
        train_y: Any,
        test_x: Any = None,
        test_y: Any = None,
        classes: Sequence[str] | None = None,
        **options: Unpack[ArrayKeywords],
    ) -> "Task":
        """Return a task from arrays of images or series and class numbers [n].

        Images are [n, H, W], [n, H, W, C] or [n, C, H, W]: integers in 0..255, or floats in [0, 1], which become
        `round(255 x)`. `layout` "NHWC" or "NCHW" names the axis of the channels if the shape is ambiguous. Series are
        floats [n, channels, length], or [n, length] with one channel; a list of series of different length, or an array
        with NaN behind the shorter ones, gets a mask as a further channel. `input` is "images" or "series". By default
        `kind_of` decides, and a notice says so if the arrays could be either.

        Without test arrays, all splits come from the train arrays. `splits` is a SplitsSpec. `classes` defaults to "0",
        "1", ..., and `input_size` to the shorter side of the images. `flip` None flips colour images only. `fit` is
        that of `Frame`. The arrays are copied.

        Raises TaskError if the arrays contradict each other or are too small for the splits, and SpecError for an
        unknown option.
        """
        wanted = ArrayOptions.of(options)
        names = None if classes is None else check_class_names(classes)
        if (test_x is None) != (test_y is None):
            given, missing = ("test_x", "test_y") if test_y is None else ("test_y", "test_x")
            raise TaskError(f"{given} is given but not {missing}; give both or neither")
        train_x, test_x, wanted, padding = of_one_length(train_x, test_x, wanted)
        read = {"train": read_source(train_x, train_y, "train", names, wanted)}
        del train_x  # may free its memory before the next copy is made
        if names is None:
            names = tuple(str(number) for number in range(int(read["train"].labels.max()) + 1))
        if test_x is not None:
            kind = read["train"].samples.inputs.kind
            read["test"] = read_source(test_x, test_y, "test", names, replace(wanted, input=kind))
            ours, theirs = read["train"].shape, read["test"].shape
            if ours != theirs:
                raise TaskError(
                    f"test_x has {kind} of {_shape(theirs)}, but train_x of {_shape(ours)}; give both the same shape"
                )
        sources: dict[SourceName, Source] = {
            source: (read[source].samples, read[source].labels) for source in ("train", "test") if source in read
        }
        task = assemble(name, names, sources, wanted.splits, flip=wanted.flip)
        notices = [*padding, *(text for each in read.values() for text in each.notices)]
        return replace(task, notices=(*notices, *task.notices))


def assemble(
    name: str,
    classes: tuple[str, ...],
    sources: Mapping[SourceName, Source],
    splits: SplitsSpec | None = None,
    *,
    flip: bool | None = None,
) -> Task:
    """Return a task made of the sources' samples and labels int64 [n]. `flip` None flips colour images only.

    Raises TaskError if there are fewer than two classes, a source lacks a class, or the splits do not fit.
    """
    if len(classes) < 2:
        raise TaskError(
            f"a task needs at least two classes, got {len(classes)} ({', '.join(classes)}); add samples of another"
        )
    for source, (_, labels) in sources.items():
        absent = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
        if len(absent):
            listed = ", ".join(repr(classes[number]) for number in absent[:5]) + (", ..." if len(absent) > 5 else "")
            raise TaskError(f"the {source} source has no sample of class {listed}; add samples of every class to it")
    splits = splits or SplitsSpec()
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
        raise TaskError(f"{name}: task.flip is for images, but the samples are {inputs.kind}; leave it out")
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
        notices=(FLIP_NOTICE,) if flip is None and mirrored else (),
    )


def _with_channels(inputs: InputSpec, sources: Sequence[Samples]) -> tuple[InputSpec, bool]:
    """Return the spec with the largest number of channels of any source, and whether images are flipped by default."""
    channels = max(each.inputs.size("channel") or 1 for each in sources)
    return image_input(size_of(inputs), channels, fit_of(inputs), white_of(inputs)), channels > 1


def _settings(inputs: InputSpec, flip: bool) -> list[Any]:
    """Return the settings that are part of the task's identity; those of images are as in version 0.1."""
    if inputs.kind != "images":
        return [inputs]
    fit, white = fit_of(inputs), white_of(inputs)
    return [size_of(inputs), flip, *([] if fit == "crop" and white is None else [fit, white])]


def _images(name: str, samples: Samples) -> Pixels:
    if not isinstance(samples, Pixels):
        raise TaskError(f"{name}: task.fit is for images, but the samples are {samples.inputs.kind}; leave it out")
    return samples


def _digest(values: NDArray[np.int64]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<i8").tobytes()).hexdigest()[:16]


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
