"""The samples of a task looked at once, before anything is trained on them."""

from collections.abc import Sequence

from eenas.progress import Listener, Notice
from eenas.tasks.images.picture_check import check_pictures
from eenas.tasks.images.picture_notices import cut_notice
from eenas.tasks.inputs import InputSpec
from eenas.tasks.task import Task

NAMED = 5


def check_samples(task: Task, inputs: InputSpec, listener: Listener) -> None:
    """Tell `listener` how much of them a network that takes `inputs` does not see, and read every file once.

    Raises TaskError that names the first files that cannot be read.
    """
    if (cut := cut_notice(task, inputs)) is not None:
        listener(Notice(cut))
    check_pictures(task, listener)


def left_out_notice(names: Sequence[str]) -> str:
    """How many files were left out, and a few of their names."""
    more = ", ..." if len(names) > NAMED else ""
    count = "1 picture is" if len(names) == 1 else f"{len(names):,} pictures are"
    return f"{count} left out: {', '.join(names[:NAMED])}{more}"
