"""The tables `[task]` and `[task.splits]`: where the data come from and how they are divided."""

from dataclasses import dataclass, field
from typing import Literal

from eenas.errors import TaskError

SourceName = Literal["train", "test"]
HeldOut = Literal["auto", "train", "test"]
SplitName = Literal["train", "calibration", "validation", "test"]
SOURCE_NAMES: tuple[SourceName, ...] = ("train", "test")
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "calibration", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class SplitSpec:
    """Where one split comes from: `{source = "test", size = 2500}`.

    `size` is a number of samples, a share of the source strictly between 0 and 1, or None for what the other splits of
    this source leave.
    """

    source: SourceName
    size: int | float | None = None

    def __post_init__(self) -> None:
        """Refuse unknown sources and sizes that are neither a count nor a share."""
        if self.source not in SOURCE_NAMES:
            raise TaskError(f"a split's source must be 'train' or 'test', got {self.source!r}")
        size = self.size
        if size is None:
            return
        if isinstance(size, bool) or not isinstance(size, int | float):
            raise TaskError(f"a split's size must be a count, a share between 0 and 1 or left out, got {size!r}")
        if not (size >= 1 if isinstance(size, int) else 0.0 < size < 1.0):
            raise TaskError(
                f"a split's size must be a whole number from 1 up or a share strictly between 0 and 1, got {size!r}; "
                "leave it out for the rest of the source"
            )


@dataclass(frozen=True, kw_only=True)
class SplitsSpec:
    """The four splits; those left out follow the defaults of `with_defaults`. `seed` decides which samples go where."""

    train: SplitSpec | None = None
    calibration: SplitSpec | None = None
    validation: SplitSpec | None = None
    test: SplitSpec | None = None
    seed: int = 0

    def with_defaults(self, *, test_source: bool) -> dict[SplitName, SplitSpec]:
        """What each split takes, in the order of SPLIT_NAMES.

        With a test source: calibration and validation are a tenth of the train source each, train is the rest of it,
        test the rest of the test source. Without one, the one pool gives 60 % train, 10 % calibration, 15 % validation
        and 15 % test. Raises TaskError when a split names a test source that is not there, or two splits both take
        the rest of one source.
        """
        last_two = 0.1 if test_source else 0.15
        defaults: dict[SplitName, SplitSpec] = {
            "train": SplitSpec(source="train"),
            "calibration": SplitSpec(source="train", size=0.1),
            "validation": SplitSpec(source="train", size=last_two),
            "test": SplitSpec(source="test") if test_source else SplitSpec(source="train", size=last_two),
        }
        chosen = {name: getattr(self, name) or default for name, default in defaults.items()}
        for name, split in chosen.items():
            if split.source == "test" and not test_source:
                raise TaskError(
                    f"[task.splits] {name} takes from the test source, but this task has none; "
                    'use source = "train" or give test data'
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
    """A task by its name, as in a study file.

    `spec` is "digits", "folder:PATH", "npz:PATH", "package.module:function" or "./file.py:function". `input_size` in
    pixels goes before the task's own. `flip` says whether a horizontal flip keeps the class; None takes the task's
    own word: colour images are flipped in training, grey ones (digits, scans) are not. `held_out` is the source of
    calibration and validation where no splits are given: "train" as `SplitsSpec.with_defaults` says, "test" a quarter
    of the test source each, or "auto": "test" where the backbone's weights have probably seen the train source.
    """

    spec: str = "digits"
    splits: SplitsSpec = field(default_factory=SplitsSpec)
    input_size: int | None = None
    flip: bool | None = None
    held_out: HeldOut = "auto"

    def __post_init__(self) -> None:
        """Refuse an empty name, sizes that no image can have, and two words on where a split comes from."""
        if not self.spec:
            raise TaskError("a task needs a name; give digits, folder:PATH, npz:PATH or package.module:function")
        if self.input_size is not None and self.input_size < 1:
            raise TaskError(f"the task's input_size is in pixels and must be positive, got {self.input_size}")
        if self.held_out == "test" and self.splits != SplitsSpec(seed=self.splits.seed):
            raise TaskError(
                '[task] held_out = "test" makes the splits that [task.splits] sets too; leave one of them out'
            )
