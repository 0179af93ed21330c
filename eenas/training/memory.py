"""Lack of memory, said alike for every kind of device and allocator."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from eenas.errors import OutOfMemoryError

MESSAGES = ("out of memory", "not enough memory", "can't allocate memory", "defaultcpuallocator")
"""Parts of what allocators say, lower case."""


@contextmanager
def memory_errors(batch_size: int) -> Iterator[None]:
    """Raise OutOfMemoryError, which names the batch size as what to lower, where memory runs out inside the block."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or any(text in str(error).lower() for text in MESSAGES):
            raise OutOfMemoryError(f"out of memory with batch_size={batch_size}; set a smaller one") from error
        raise
