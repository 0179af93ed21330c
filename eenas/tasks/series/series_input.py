"""The input spec of time series: float32 with channels and points in time."""

from eenas.tasks.inputs import Axis, InputSpec, TensorSpec

NAME = "series"
MASKED = "masked"


def series_input(channels: int, length: int, *, masked: bool = False) -> InputSpec:
    """Return the spec of series [channels, length].

    If `masked`, series differ in length: they are padded to `length`, and the last of the channels is the mask, 1 where
    a point is and 0 in the padding.
    """
    axes = (Axis("channel", channels), Axis("time", length))
    options = ((MASKED, 1),) if masked else ()
    return InputSpec(kind="series", tensors=((NAME, TensorSpec("float32", axes)),), options=options)


def is_masked(inputs: InputSpec) -> bool:
    """Whether the last channel of series is a mask."""
    return inputs.option(MASKED) == 1
