"""Which source a study's calibration and validation samples come from, so that the weights have not seen them."""

from dataclasses import replace

from eenas.errors import TaskError
from eenas.percent import percent
from eenas.progress import Listener, Notice
from eenas.study.context.first_look import FirstLook
from eenas.study.settings.study_spec import StudySpec
from eenas.tasks.held_out import from_test_source
from eenas.tasks.spec import HeldOut
from eenas.tasks.task import Task


def held_out_of(look: FirstLook, task: Task, asked: HeldOut, listener: Listener) -> tuple[Task, HeldOut]:
    """The task as the study uses it and the source of calibration and validation, "train" or "test".

    Where "auto" was asked for and the weights' own classifier knows the task, they come from the test source, if there
    is one and nobody chose the splits; a notice says so.
    """
    if asked == "test":
        return (task if task.validation.source == "test" else from_test_source(task)), "test"
    movable = task.default_splits and task.test.source == "test" and not look.backbone.fresh_classifier
    if asked == "train" or not movable or not look.knows_task:
        return task, "train"
    why = (
        f"the given weights know the classes ({percent(look.given.mean())} on training samples) and have probably seen "
        "the whole train source"
    )
    try:
        moved = from_test_source(task)
    except TaskError as error:
        listener(Notice(f"{why}, but the test source is too small to take calibration and validation from: {error}"))
        return task, "train"
    sizes = f"{len(moved.calibration):,} and {len(moved.validation):,}"
    listener(
        Notice(
            f"{why}: calibration and validation ({sizes} samples) come from the test source, {len(moved.test):,} "
            "remain for the report; set task.held_out = 'train' if the weights have not seen it, or [task.splits]"
        )
    )
    return moved, "test"


def as_searched(settings: StudySpec) -> StudySpec:
    """The settings of a study that is read back: one of an eenas that did not choose took its samples from train."""
    if settings.task.held_out != "auto":
        return settings
    return replace(settings, task=replace(settings.task, held_out="train"))
