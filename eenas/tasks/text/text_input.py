"""The input spec of texts: bytes in UTF-8, of any number."""

from eenas.tasks.inputs import Axis, InputSpec, TensorSpec

NAME = "text"


def text_input() -> InputSpec:
    """Return the spec of texts as UTF-8 [bytes], padded by zeros in a batch (see `text_bytes`)."""
    return InputSpec(kind="text", tensors=((NAME, TensorSpec("uint8", (Axis("byte"),))),))
