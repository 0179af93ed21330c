"""The inputs of a study: the task's, of images at the size that the settings name."""

from eenas.backbones.transforms.transform import Transform
from eenas.errors import TaskError
from eenas.tasks.images.frame import Size
from eenas.tasks.images.image_input import resized, size_of
from eenas.tasks.inputs import InputSpec
from eenas.tasks.task import Task


def inputs_of(task: Task, size: Size | None) -> InputSpec:
    """The inputs of a task at a size (None: its own). Raises TaskError for a size of what is no image."""
    if size is None:
        return task.inputs
    if task.inputs.kind != "images":
        raise TaskError(
            f"task.input_size is for images, and the samples of {task.name} are {task.inputs}; leave it out"
        )
    return resized(task.inputs, size)


def size_key(transform: Transform) -> str:
    """The size of what a backbone takes, for the key of a measurement; of images as version 0.1 wrote it."""
    return str(size_of(transform.inputs) or list(transform.shape))
