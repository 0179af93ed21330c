"""The tables `[task]` and `[task.splits]`: the source of the data and their division into splits."""

from dataclasses import dataclass, field
from typing import Literal

from eenas.errors import TaskError
from eenas.escaping import shortened
from eenas.tasks.distortions.spec import DistortionsSpec
from eenas.tasks.images.frame import FITS, Fit, canonical_size
from eenas.tasks.inputs import OF_ARRAYS, Kind

SourceName = Literal["train", "validation", "test"]
HeldOut = Literal["auto", "train", "test"]
SplitName = Literal["train", "calibration", "validation", "test"]
Layout = Literal["NHWC", "NCHW"]
SOURCE_NAMES: tuple[SourceName, ...] = ("train", "validation", "test")
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "calibration", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class SplitSpec:
    """The source and size of one split: `{source = "test", size = 2500}`."""

    source: SourceName
    """The source of the data that the split takes from."""
    size: int | float | None = None
    """A number of samples, or a share of the source strictly between 0 and 1. Not set: the samples that the other
    splits of this source leave."""

    def __post_init__(self) -> None:
        """Raise TaskError for an unknown source, or for a size that is neither a count nor a share."""
        if self.source not in SOURCE_NAMES:
            raise TaskError(f"a split's source must be 'train', 'validation' or 'test', got {shortened(self.source)}")
        size = self.size
        if size is None:
            return
        if isinstance(size, bool) or not isinstance(size, int | float):
            raise TaskError(
                f"a split's size must be a count or a share between 0 and 1, got {shortened(size)}; "
                "leave it out for the rest of the source"
            )
        if not (size >= 1 if isinstance(size, int) else 0.0 < size < 1.0):
            raise TaskError(
                f"a split's size must be a whole number from 1 up or a share strictly between 0 and 1, got {size!r}; "
                "leave it out for the rest of the source"
            )


@dataclass(frozen=True, kw_only=True)
class SplitsSpec:
    """The four splits. Those left out follow `with_defaults`."""

    train: SplitSpec | None = None
    """The split that fits weights."""
    calibration: SplitSpec | None = None
    """The split that fits temperatures, thresholds and controllers."""
    validation: SplitSpec | None = None
    """The split that scores the search."""
    test: SplitSpec | None = None
    """The split that only the report of full training uses."""
    seed: int = 0
    """Seed of the decision which samples go into which split."""

    def with_defaults(self, *, test_source: bool, validation_source: bool = False) -> dict[SplitName, SplitSpec]:
        """Return the spec of each split, in the order of SPLIT_NAMES.

        With a test source, calibration and validation take a tenth of the train source each, train takes the rest of
        it, and test takes the rest of the test source. If there is also a validation source, calibration takes 40 % of
        it, validation the rest of it, and train all of the train source. With a train source only, the shares are 60 %
        train, 10 % calibration, 15 % validation and 15 % test.

        Raises TaskError if a split names a missing source, or if two splits take the rest of the same source.
        """
        last_two = 0.1 if test_source else 0.15
        defaults: dict[SplitName, SplitSpec] = {
            "train": SplitSpec(source="train"),
            "calibration": SplitSpec(source="train", size=0.1),
            "validation": SplitSpec(source="train", size=last_two),
            "test": SplitSpec(source="test") if test_source else SplitSpec(source="train", size=last_two),
        }
        if validation_source:
            defaults["calibration"] = SplitSpec(source="validation", size=0.4)
            defaults["validation"] = SplitSpec(source="validation")
        chosen = {name: getattr(self, name) or default for name, default in defaults.items()}
        for name, split in chosen.items():
            if not {"train": True, "validation": validation_source, "test": test_source}[split.source]:
                raise TaskError(
                    f"[task.splits] {name} takes from the {split.source} source, but this task has none; "
                    f'use source = "train" or give {split.source} data'
                )
        for source in SOURCE_NAMES:
            rest = [name for name, split in chosen.items() if split.source == source and split.size is None]
            if len(rest) > 1:
                raise TaskError(
                    f"[task.splits] {' and '.join(rest)} both take the rest of the {source} source; "
                    "give all but one of them a size"
                )
        return chosen


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A task by its name, as in a study file. A value of None keeps the task's own."""

    spec: str = "digits"
    """"digits", "waves", "phrases", "rings", "folder:PATH", "webdataset:PATTERN", "npz:PATH", "ts:PATH", "text:PATH",
    "graphs:PATH", "package.module:function" or "./file.py:function"."""
    splits: SplitsSpec = field(default_factory=SplitsSpec)
    """Sources and sizes of the splits; the defaults depend on the sources of the task."""
    input_size: int | tuple[int, ...] | None = None
    """Size of images, one number or [height, width]; overrides that of the task."""
    fit: Fit | None = None
    """How images of other proportions are fitted into the input: "crop" (the default of most tasks) cuts, "pad" adds
    grey, "stretch" distorts."""
    flip: bool | None = None
    """Whether a horizontal flip keeps the class. By default colour images are flipped in training, and grey images
    (digits, scans) are not."""
    held_out: HeldOut = "auto"
    """The source of calibration and validation if no splits are given: "train" takes shares of the train source, "test"
    a quarter of the test source for each, and "auto" means "test" if the weights of the backbone were probably
    trained on the train source."""
    white: int | None = None
    """Only for folders: the value that is white in images of more than 8 bits; by default derived from the data."""
    skip_bad: bool = False
    """Only for folders: whether unreadable images are left out instead of being an error."""
    without: tuple[str, ...] = ()
    """Only for folders: images to leave out, relative to PATH."""
    layout: Layout | None = None
    """Only for arrays: the place of the channels' axis if the shape is ambiguous."""
    input: Kind | None = None
    """The kind of the arrays; by default the shape decides."""
    distortions: DistortionsSpec | None = None
    """Only for images: distorted counterparts of calibration, validation and test, and of a share of the training
    images."""
    text_column: str | None = None
    """Only for text:PATH: the column of the texts; by default one with a usual name."""
    label_column: str | None = None
    """Only for text:PATH: the column of the labels; by default one with a usual name."""

    def __post_init__(self) -> None:
        """Raise TaskError for an empty name, an impossible size, or `held_out` that contradicts the splits."""
        if not self.spec:
            raise TaskError(
                "a task needs a name; give digits, waves, phrases, rings, folder:PATH, webdataset:PATTERN, npz:PATH, "
                "ts:PATH, text:PATH, graphs:PATH or module:function"
            )
        if self.input_size is not None:
            try:
                object.__setattr__(self, "input_size", canonical_size(self.input_size))
            except ValueError as error:
                raise TaskError(f"the task's input_size: {error}") from None
        if self.fit is not None and self.fit not in FITS:
            raise TaskError(f"the task's fit is one of {', '.join(FITS)}, got {shortened(self.fit)}")
        if self.input is not None and self.input not in OF_ARRAYS:
            raise TaskError(f"the task's input is one of {', '.join(OF_ARRAYS)}, got {shortened(self.input)}")
        if self.white is not None and not 255 <= self.white < 1 << 32:
            raise TaskError(f"the task's white is at least 255, such as 4095 for 12 bits, got {self.white}")
        if self.held_out == "test" and self.splits != SplitsSpec(seed=self.splits.seed):
            raise TaskError(
                '[task] held_out = "test" contradicts [task.splits], which also sets the splits; leave one of them out'
            )
