"""Tasks: raw samples, labels and four splits."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.tasks.load import load_task
    from eenas.tasks.spec import SplitSpec, SplitsSpec, TaskSpec
    from eenas.tasks.split import Split
    from eenas.tasks.task import Task

_HOMES = {
    "Split": "split",
    "SplitSpec": "spec",
    "SplitsSpec": "spec",
    "Task": "task",
    "TaskSpec": "spec",
    "load_task": "load",
}
__all__ = [
    "Split",
    "SplitSpec",
    "SplitsSpec",
    "Task",
    "TaskSpec",
    "load_task",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
