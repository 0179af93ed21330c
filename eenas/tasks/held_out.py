"""Calibration and validation from the test source, for weights that were trained on all of the train source."""

from dataclasses import replace

from eenas.errors import TaskError
from eenas.specs import digest
from eenas.tasks.spec import SplitSpec
from eenas.tasks.splitting import divide
from eenas.tasks.task import Task

TEST_SHARES = {"calibration": 0.25, "validation": 0.25, "test": None}
"""The share of the test source that each split takes; test keeps the rest."""


def from_test_source(task: Task) -> Task:
    """Return the same data with all of the train source in train, and the test source divided by TEST_SHARES.

    Raises TaskError for a task without a test source, with chosen splits, or with fewer than three test samples of a
    class.
    """
    if task.test.source != "test":
        raise TaskError(f"{task.name}: has no test source to take calibration and validation from; give test data")
    if task.validation.source != "train":
        raise TaskError(f"{task.name}: calibration and validation have data of their own; leave task.held_out out")
    if not task.default_splits:
        raise TaskError(f"{task.name}: its splits were chosen already; leave task.held_out or the splits out")
    wanted = {name: SplitSpec(source="test", size=share) for name, share in TEST_SHARES.items()}
    rows = divide(task.test.labels, task.classes, wanted, source="test", seed=0)
    parts = {name: task.test.subset(chosen, name) for name, chosen in rows.items()}
    return replace(
        task,
        train=task.train.joined((task.calibration, task.validation)),
        calibration=parts["calibration"],
        validation=parts["validation"],
        test=parts["test"],
        digest=digest([task.digest, "calibration and validation from the test source"]),
        default_splits=False,
    )
