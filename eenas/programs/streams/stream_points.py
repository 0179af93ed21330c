"""The points of a series that each exit of an exported model waits for, in its manifest."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from eenas.programs.json_files import is_whole, need

SEEN_POINTS = "seen_points"
"""The key of the manifest."""


def stream_points(table: Mapping[str, Any], exits: Sequence[str], shape: Sequence[int]) -> tuple[int, ...]:
    """Return the points [K] before each exit in a manifest, for samples of this shape; () for exits in depth only.

    Raises ExportError unless they rise, or stay equal, up to the length of a series.
    """
    points = table.get(SEEN_POINTS)
    if points is None:
        return ()
    length = shape[1] if len(shape) == 2 else 0
    right = isinstance(points, list) and len(points) == len(exits) and all(is_whole(each, 1, length) for each in points)
    right = right and all(a <= b for a, b in pairwise(points))
    need(right, SEEN_POINTS, f"{len(exits)} rising points up to {length}", points)
    return tuple(points)
