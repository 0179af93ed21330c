"""Time series as an input: float32 of channels and points in time."""

from eenas.tasks.inputs import Axis, InputSpec, TensorSpec

NAME = "series"


def series_input(channels: int, length: int) -> InputSpec:
    """Series [channels, length], all of one length."""
    axes = (Axis("channel", channels), Axis("time", length))
    return InputSpec(kind="series", tensors=((NAME, TensorSpec("float32", axes)),))
