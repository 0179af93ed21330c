"""The input spec of time series: float32 with channels and points in time."""

from eenas.tasks.inputs import Axis, InputSpec, TensorSpec

NAME = "series"


def series_input(channels: int, length: int) -> InputSpec:
    """Return the spec of series [channels, length]."""
    axes = (Axis("channel", channels), Axis("time", length))
    return InputSpec(kind="series", tensors=((NAME, TensorSpec("float32", axes)),))
