"""The contract tests of a task: its samples, its splits and its reproducibility."""

from collections.abc import Callable
from itertools import combinations
from typing import ClassVar

import numpy as np
import torch

from eenas.tasks.load import load_task
from eenas.tasks.task import Task
from eenas.testing.named import home_of


class TaskContract:
    """A pytest class for a task. Derive from it and set `task`.

        class TestMine(TaskContract):
            task = "./data.py:task"

    `task` is a specification as in a study, or a function that returns a task.
    """

    task: ClassVar["str | Callable[[], Task]"]

    def test_its_splits(self) -> None:
        """Four splits share no sample, contain every class, and have labels within the classes."""
        check_splits(self.loaded())

    def test_its_samples(self) -> None:
        """Samples are of one kind and finite, the same each time, and independent of those read with them."""
        check_samples(self.loaded())

    def test_it_is_made_again(self) -> None:
        """A second instance has the same digest, labels and samples, as resuming a study requires."""
        check_same(self.loaded(), self.loaded())

    def loaded(self) -> Task:
        """Return the task as a study loads it. Each call returns a new one."""
        given = type(self).__dict__.get("task", type(self).task)
        if isinstance(given, staticmethod):
            given = given.__func__
        return load_task(given, trust_code=True, relative_to=home_of(self)) if isinstance(given, str) else given()


def check_splits(task: Task) -> None:
    """Check the splits of a task. Raises AssertionError with the violated rule."""
    assert len(set(task.classes)) == task.num_classes >= 2, (
        f"a task needs at least two different classes, got {task.classes}"
    )
    for split in task.splits:
        assert len(split) > 0, f"the split {split.name} is empty"
        counts = np.bincount(split.labels, minlength=task.num_classes)
        assert len(counts) == task.num_classes, f"{split.name} has labels beyond the {task.num_classes} classes"
        absent = [task.classes[number] for number in np.flatnonzero(counts == 0)]
        assert not absent, f"the split {split.name} has no sample of {absent[:3]}"
    for one, other in combinations(task.splits, 2):
        shared = len(np.intersect1d(one.rows, other.rows)) if one.source == other.source else 0
        assert not shared, f"{one.name} and {other.name} share {shared} samples"


def check_samples(task: Task) -> None:
    """Check the samples of a task. Raises AssertionError with the violated rule."""
    for split in task.splits:
        source = split.reader(task.inputs)
        some = np.arange(min(len(split), 6))
        batch = source[some]
        assert len(batch) == len(some), f"{split.name} returned {len(batch)} samples for {len(some)} indices"
        assert torch.isfinite(batch.float()).all(), f"samples of {split.name} must be finite"
        assert torch.equal(batch, source[some]), f"samples of {split.name} must be the same when read again"
        for index in some[:2]:
            alone = source[np.array([index])][0]
            beside = batch[index][tuple(slice(side) for side in alone.shape)]  # longer neighbours pad it
            assert torch.equal(alone, beside), (
                f"sample {index} of {split.name} must not depend on the samples read with it"
            )


def check_same(one: Task, other: Task) -> None:
    """Check that a second instance of a task equals the first. Raises AssertionError."""
    assert one.digest == other.digest, "a second instance must have the same digest; seed all random numbers"
    for here, there in zip(one.splits, other.splits, strict=True):
        assert np.array_equal(here.labels, there.labels), f"{here.name} must have the same labels when made again"
        some = np.arange(min(len(here), 4))
        samples, again = (each.reader(one.inputs)[some] for each in (here, there))
        assert torch.equal(samples, again), f"{here.name} must have the same samples when made again"
