"""The logits of what a network returns: a tensor, or the tensor of logits in a tuple, a dict or an object."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from eenas.errors import CutError

NAMES = ("logits", "out", "output")
"""The names, in a dict or of an attribute, under which logits are looked for first."""


def main_output(output: Any) -> Tensor:
    """The logits of a network that may return other things beside them, in training, in evaluation or in both.

    Of a dict or an object, what is called as in NAMES; otherwise of a dict, tuple or list the first part that holds a
    tensor of floats. Raises CutError where there is none.
    """
    found = _find(output)
    if found is None:
        raise CutError(
            "a backbone returns a tensor of logits, or a tuple, dict or object that holds one (first, or called "
            f"'logits'), got a {type(output).__name__} without any; wrap the module"
        )
    return found


def _find(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    for name in NAMES:
        named = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(named, Tensor):
            return named
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, list | tuple) else ()
    return next((found for part in parts if (found := _find(part)) is not None), None)
