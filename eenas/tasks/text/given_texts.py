"""Texts that are given in Python: a list, an array, or a column of a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from eenas.errors import TaskError
from eenas.escaping import shortened


def texts_of(values: Any, name: str) -> list[str] | None:
    """Return the values if they are texts, else None. Errors call them `name`.

    Raises TaskError for one text that stands for all, and for texts with something else among them, such as bytes.
    """
    if isinstance(values, str | bytes):
        raise TaskError(f"{name} must be a list of texts, got {shortened(values)} alone; put it in a list with others")
    values = _as_list(values)
    if not isinstance(values, list | tuple) or not any(isinstance(each, str | bytes) for each in values):
        return None
    other = next((number for number, each in enumerate(values) if not isinstance(each, str)), None)
    if other is not None:
        fix = "give its text, or leave the sample and its label out"
        if all(isinstance(each, bytes) for each in values):
            fix = f"decode them: [each.decode() for each in {name}]"
        raise TaskError(f"{name} must be texts alone, got {shortened(values[other])} in sample {other}; {fix}")
    return list(values)


def _as_list(values: Any) -> Any:
    """Return a column of a table and an array of texts or objects as a list; other values as they are."""
    if hasattr(values, "to_numpy") and getattr(values, "ndim", 1) == 1:  # pandas, pyarrow, polars
        values = values.to_numpy()
    if isinstance(values, np.ndarray):
        return values.tolist() if values.ndim == 1 and values.dtype.kind in "UOS" else values
    return list(values) if isinstance(values, Sequence) and not isinstance(values, list | tuple) else values
