"""A check of all samples of a task before training."""

from collections.abc import Sequence

from eenas.progress import Listener, Notice
from eenas.tasks.images.picture_check import check_pictures
from eenas.tasks.images.picture_notices import cut_notice
from eenas.tasks.inputs import InputSpec
from eenas.tasks.task import Task

NAMED = 5


def check_samples(task: Task, inputs: InputSpec, listener: Listener) -> None:
    """Read every image file once, and report how many images a network that takes `inputs` crops strongly.

    Raises TaskError, which names the first unreadable files.
    """
    if (cut := cut_notice(task, inputs)) is not None:
        listener(Notice(cut))
    check_pictures(task, listener)


def left_out_notice(names: Sequence[str]) -> str:
    """Return the number of files that were left out, and the names of a few."""
    more = ", ..." if len(names) > NAMED else ""
    count = "1 image is" if len(names) == 1 else f"{len(names):,} images are"
    return f"{count} left out: {', '.join(names[:NAMED])}{more}"
