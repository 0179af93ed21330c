"""The inputs of a study: those of the task, with images at the size in the settings."""

from dataclasses import replace

from eenas.backbones.detours import cut_points_of
from eenas.backbones.load import Backbone
from eenas.backbones.transforms.transform import Transform
from eenas.errors import TaskError
from eenas.progress import Listener, Notice, silent
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


def fitted_to(backbone: Backbone, task: Task, listener: Listener) -> Backbone:
    """Return the backbone with its transform fitted to the task. Remarks on the samples become notices.

    If the shape of a reference sample changes with the task, the features at the cut points are read again.

    Raises TaskError for samples of another kind.
    """
    found = replace(backbone, transform=backbone.transform.fitted(task))
    for text in found.transform.notices(task):
        listener(Notice(text))
    if found.transform.shape == backbone.transform.shape:
        return found
    points = cut_points_of(found.module, found.example(), found.name, silent)
    kept = {point.name for point in backbone.cut_points}
    chosen = tuple(point for point in points if point.name in kept)
    return replace(found, cut_points=chosen, all_cut_points=points)


def size_key(transform: Transform) -> str:
    """Return the input size of a backbone for the key of a measurement; that of images is as in version 0.1."""
    return str(size_of(transform.inputs) or list(transform.shape))
