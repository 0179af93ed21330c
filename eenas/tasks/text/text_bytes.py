"""Batches of texts as one array: UTF-8, padded by zeros to the longest text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def text_bytes(text: str) -> bytes:
    """Return a text in UTF-8. NUL, which marks the padding of a batch, becomes a space, lone surrogates become "?"."""
    return text.replace("\0", " ").encode("utf-8", "replace")


def stacked_texts(texts: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return encoded texts as one batch [n, length of the longest, at least 1], padded by zeros."""
    batch = np.zeros((len(texts), max((len(each) for each in texts), default=0) or 1), dtype=np.uint8)
    for row, each in zip(batch, texts, strict=True):
        row[: len(each)] = np.frombuffer(each, dtype=np.uint8)
    return batch


def unstacked_texts(batch: NDArray[Any]) -> list[bytes]:
    """Return the encoded texts of a batch from `stacked_texts`, without padding."""
    return [row.tobytes().rstrip(b"\0") for row in batch]
