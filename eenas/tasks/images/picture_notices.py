"""A notice on images that lose much of their area when they are cropped."""

import numpy as np

from eenas.percent import percent
from eenas.tasks.images.frame import Frame
from eenas.tasks.images.image_input import size_of
from eenas.tasks.images.pixels import Pixels
from eenas.tasks.inputs import InputSpec
from eenas.tasks.task import Task

MUCH = 1 / 3
"""The share of an image above which a crop is reported."""


def cut_notice(task: Task, inputs: InputSpec) -> str | None:
    """Return a notice on images that lose more than a third of their area to a crop to `inputs`, or None."""
    size = size_of(inputs)
    if size is None:
        return None
    frame = Frame.of(size, task.fit)
    sources = {id(split.samples): split.samples for split in task.splits}
    total, many, worst, shape = 0, 0, 0.0, (0, 0)
    for pixels in sources.values():
        if not isinstance(pixels, Pixels):
            continue
        each, counts = np.unique(pixels.sizes, axis=0, return_counts=True)
        total += len(pixels)
        for (width, height), count in zip(each.tolist(), counts.tolist(), strict=True):
            cut = frame.cut(width, height)
            many += count if cut > MUCH else 0
            if cut > worst:
                worst, shape = cut, (height, width)
    if not many:
        return None
    lose = "loses" if many == 1 else "lose"
    return (
        f"{many:,} of {total:,} images {lose} more than a third to the crop to {frame.height} x {frame.width} "
        f"({percent(worst, 0)} of those of {shape[0]} x {shape[1]}); set task.fit = pad or stretch to keep the whole "
        "image, or task.input_size = [height, width] for other proportions"
    )
