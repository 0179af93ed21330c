"""The source of a study's calibration and validation samples, chosen so that the weights have not seen them."""

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
    """Return the task as the study uses it, and the source of calibration and validation, "train" or "test".

    With "auto", they come from the test source if the classifier of the given weights knows the task, there is a test
    source, and the user did not choose the splits. A notice says so.
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
        listener(Notice(f"{why}, but the test source is too small for calibration and validation: {error}"))
        return task, "train"
    sizes = f"{len(moved.calibration):,} and {len(moved.validation):,}"
    listener(
        Notice(
            f"{why}: calibration and validation ({sizes} samples) come from the test source, and {len(moved.test):,} "
            "remain for the report; set task.held_out = 'train' if the weights have not seen the train source, or set "
            "[task.splits]"
        )
    )
    return moved, "test"


def as_searched(settings: StudySpec) -> StudySpec:
    """Return the settings of a stored study. Studies of versions without this choice took their samples from train."""
    if settings.task.held_out != "auto":
        return settings
    return replace(settings, task=replace(settings.task, held_out="train"))
