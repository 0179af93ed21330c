"""Tasks: raw samples, labels and four splits."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.tasks.distortions.distortion import distort
    from eenas.tasks.distortions.spec import DistortionsSpec
    from eenas.tasks.images.image_input import image_input
    from eenas.tasks.inputs import Axis, InputSpec, TensorSpec
    from eenas.tasks.kinds import InputKind
    from eenas.tasks.load import load_task
    from eenas.tasks.samples import Samples
    from eenas.tasks.spec import SplitSpec, SplitsSpec, TaskSpec
    from eenas.tasks.split import Split
    from eenas.tasks.task import Task, assemble

_HOMES = {
    "Axis": "inputs",
    "DistortionsSpec": "distortions.spec",
    "InputKind": "kinds",
    "InputSpec": "inputs",
    "Samples": "samples",
    "Split": "split",
    "SplitSpec": "spec",
    "SplitsSpec": "spec",
    "Task": "task",
    "TaskSpec": "spec",
    "TensorSpec": "inputs",
    "assemble": "task",
    "distort": "distortions.distortion",
    "image_input": "images.image_input",
    "load_task": "load",
}
__all__ = [
    "Axis",
    "DistortionsSpec",
    "InputKind",
    "InputSpec",
    "Samples",
    "Split",
    "SplitSpec",
    "SplitsSpec",
    "Task",
    "TaskSpec",
    "TensorSpec",
    "assemble",
    "distort",
    "image_input",
    "load_task",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
