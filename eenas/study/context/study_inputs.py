"""The inputs of a study: those of the task, with images at the size in the settings."""

from eenas.backbones.transforms.transform import Transform
from eenas.errors import TaskError
from eenas.tasks.images.frame import Size
from eenas.tasks.images.image_input import resized, size_of
from eenas.tasks.inputs import InputSpec
from eenas.tasks.task import Task


def inputs_of(task: Task, size: Size | None) -> InputSpec:
    """Return the inputs of a task at a size (None: that of the task).

    Raises TaskError for a size of samples that are not images.
    """
    if size is None:
        return task.inputs
    if task.inputs.kind != "images":
        raise TaskError(
            f"task.input_size is for images, but the samples of {task.name} are {task.inputs}; leave it out"
        )
    return resized(task.inputs, size)


def size_key(transform: Transform) -> str:
    """Return the input size of a backbone for the key of a measurement; that of images is as in version 0.1."""
    return str(size_of(transform.inputs) or list(transform.shape))
