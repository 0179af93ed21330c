"""Lines on a task that whoever trains on it should read."""

from collections.abc import Sequence

import numpy as np

from eenas.percent import percent
from eenas.tasks.images.frame import Frame, Size
from eenas.tasks.task import Task

MUCH = 1 / 3
"""A larger part that is cut away from a picture is worth a line."""
NAMED = 5


def cut_notice(task: Task, size: Size) -> str | None:
    """How many pictures lose more than a third where they are cropped to `size`; None where none does."""
    frame = Frame.of(size, task.fit)
    sources = {id(split.pixels): split.pixels for split in task.splits}
    total, many, worst, shape = 0, 0, 0.0, (0, 0)
    for pixels in sources.values():
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
        f"{many:,} of {total:,} pictures {lose} more than a third to the crop to {frame.height} x {frame.width} "
        f"({percent(worst, 0)} of those of {shape[0]} x {shape[1]}); task.fit = pad or stretch shows all of them, and "
        "task.input_size = [height, width] other proportions"
    )


def left_out_notice(names: Sequence[str]) -> str:
    """How many files were left out, and a few of their names."""
    more = ", ..." if len(names) > NAMED else ""
    count = "1 picture is" if len(names) == 1 else f"{len(names):,} pictures are"
    return f"{count} left out: {', '.join(names[:NAMED])}{more}"
