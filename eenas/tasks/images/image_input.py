"""The input spec of images: uint8 with channels, height and width, and the fit of images of other proportions."""

from eenas.errors import TaskError
from eenas.tasks.images.frame import Fit, Size, canonical_size, sides_of
from eenas.tasks.inputs import Axis, InputSpec, TensorSpec

NAME = "image"


def image_input(
    size: Size | None, channels: int | None = None, fit: Fit = "crop", white: int | None = None
) -> InputSpec:
    """Return the spec of images of a size in pixels and a number of channels. None leaves either open.

    `fit` and `white` are those of `Frame` and `prepare_picture`.

    Raises TaskError for an impossible size or number of channels.
    """
    if channels is not None and channels < 1:
        raise TaskError(f"images need a positive number of channels, got {channels}")
    try:
        sides = (None, None) if size is None else sides_of(canonical_size(size))
    except (ValueError, TypeError) as error:
        raise TaskError(str(error)) from None
    axes = (Axis("channel", channels), Axis("height", sides[0]), Axis("width", sides[1]))
    options = [("fit", fit)] if fit != "crop" else []
    more = [] if white is None else [("white", white)]
    return InputSpec(kind="images", tensors=((NAME, TensorSpec("uint8", axes)),), options=(*options, *more))


def size_of(inputs: InputSpec) -> Size | None:
    """Return the size of images. None if it is open, and for other inputs."""
    if inputs.kind != "images":
        return None
    height, width = inputs.size("height"), inputs.size("width")
    return None if height is None or width is None else canonical_size((height, width))


def fit_of(inputs: InputSpec) -> Fit:
    """Return the fit for images of other proportions."""
    fit = inputs.option("fit")
    return "crop" if fit is None else fit  # type: ignore[return-value]


def white_of(inputs: InputSpec) -> int | None:
    """Return the value that maps to white in images of more than 8 bits, or None."""
    white = inputs.option("white")
    return white if isinstance(white, int) else None


def resized(inputs: InputSpec, size: Size | None) -> InputSpec:
    """Return the spec of the same images at another size."""
    return image_input(size, inputs.size("channel"), fit_of(inputs), white_of(inputs))
