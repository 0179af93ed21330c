"""The task: a learning problem with its classes and four splits."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError, nearest
from eenas.specs import digest as digest_of
from eenas.tasks.arrays import check_class_names, check_source
from eenas.tasks.images.frame import Fit, Size
from eenas.tasks.images.pixels import ArrayPixels, Pixels
from eenas.tasks.spec import SPLIT_NAMES, Layout, SourceName, SplitsSpec
from eenas.tasks.split import Split
from eenas.tasks.splitting import divide

Source = tuple[Pixels, NDArray[np.int64]]
MIRRORED = (
    "pictures are mirrored in training, the default for colour ones; set task.flip = false where a mirrored picture "
    "is none of its class, such as digits and texts"
)


@final
@dataclass(frozen=True, eq=False)
class Task:
    """Raw samples and labels in four disjoint splits, every class in each of them.

    `train` fits weights, `calibration` temperatures and thresholds, `validation` scores the search, `test` is touched
    once, by the final report. `input_size` in pixels is the size the task prefers (None: the backbone's); `channels`
    is what its images have; `flip` says whether a horizontal flip keeps the class. `digest` is 16 hexadecimal digits
    of the data, the class names, the splits' samples, `input_size`, `flip` and `fit`; the same on every machine.
    `default_splits` says that nobody chose where the splits come from. `notices` are lines on the data that whoever
    works with them should read; `left_out` names the files that were not taken though they are there.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    calibration: Split
    validation: Split
    test: Split
    input_size: Size | None
    channels: int
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
    def fit(self) -> Fit:
        """How images of other proportions than the input's are fitted into it."""
        return self.train.pixels.fit

    @property
    def white(self) -> int | None:
        """The value that became white of pictures of more than 8 bits; None where there are none."""
        return self.train.pixels.white

    def counted(self, *, balanced: bool) -> "Task":
        """The same task, accuracies on which are balanced or not."""
        if all(split.balanced == balanced for split in self.splits):
            return self
        parts = {split.name: split.counted(balanced=balanced) for split in self.splits}
        return replace(self, **parts)  # type: ignore[arg-type]

    def fitted(self, fit: Fit) -> "Task":
        """The same task with another fit."""
        if fit == self.fit:
            return self
        pixels = {id(split.pixels): split.pixels.fitted(fit) for split in self.splits}
        parts = {split.name: split.shown_by(pixels[id(split.pixels)]) for split in self.splits}
        return replace(self, **parts, digest=digest_of([self.digest, fit]))  # type: ignore[arg-type]

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
    ) -> "Task":
        """A task of arrays: images [n, H, W], [n, H, W, C] or [n, C, H, W] and class numbers [n].

        Images are integers in 0..255, or floats in [0, 1], which become `round(255 x)`. Where their shape does not tell
        which axis has the channels, `layout` "NHWC" or "NCHW" does. Without test arrays all splits come from the train
        arrays. `classes` default to "0", "1", ...; `input_size` to the images' shorter side; `flip` None means for
        colour images only; `fit` is that of `Frame`. The arrays are copied. Raises TaskError when they contradict each
        other or do not hold enough for the splits.
        """
        names = None if classes is None else check_class_names(classes)
        if (test_x is None) != (test_y is None):
            given, missing = ("test_x", "test_y") if test_y is None else ("test_y", "test_x")
            raise TaskError(f"{given} is given but not {missing}; give both or neither")
        checked = {"train": check_source(train_x, train_y, "train", names, layout)}
        if names is None:
            names = tuple(str(number) for number in range(int(checked["train"].labels.max()) + 1))
        if test_x is not None:
            checked["test"] = check_source(test_x, test_y, "test", names, layout)
            ours, theirs = checked["train"].images.shape[1:], checked["test"].images.shape[1:]
            if ours != theirs:
                raise TaskError(
                    f"test_x has images of {_shape(theirs)}, but train_x of {_shape(ours)}; make them alike"
                )
        del train_x, test_x  # what nobody else holds goes before the next copy is made
        sources: dict[SourceName, Source] = {
            source: (
                ArrayPixels(checked[source].images, checked[source].digest, input_size, fit, f"{source}_x"),
                checked[source].labels,
            )
            for source in ("train", "test")
            if source in checked
        }
        task = assemble(name, names, sources, splits or SplitsSpec(), flip=flip)
        dark = [text for each in checked.values() if (text := each.dark())]
        return replace(task, notices=(*dark, *task.notices))


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
    for source, (pixels, labels) in sources.items():
        here = {str(split): spec for split, spec in wanted.items() if spec.source == source}
        rows = divide(labels, classes, here, source=source, seed=splits.seed) if here else {}
        parts |= {split: Split(split, source, pixels, labels[chosen], chosen) for split, chosen in rows.items()}
    pixels = sources["train"][0]
    channels = max(source_pixels.channels for source_pixels, _ in sources.values())
    mirrored = (MIRRORED,) if flip is None and channels > 1 else ()
    flip = channels > 1 if flip is None else flip
    more = [] if pixels.fit == "crop" and pixels.white is None else [pixels.fit, pixels.white]
    facts = [
        [[source, images.digest, _digest(labels)] for source, (images, labels) in sorted(sources.items())],
        list(classes),
        [[split, parts[split].source, _digest(parts[split].rows)] for split in SPLIT_NAMES],
        [pixels.size, flip, *more],
    ]
    return Task(
        name=name,
        classes=classes,
        train=parts["train"],
        calibration=parts["calibration"],
        validation=parts["validation"],
        test=parts["test"],
        input_size=pixels.size,
        channels=channels,
        flip=flip,
        digest=digest_of(facts),
        default_splits=splits == SplitsSpec(seed=splits.seed),
        notices=mirrored,
    )


def _digest(values: NDArray[np.int64]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<i8").tobytes()).hexdigest()[:16]


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
