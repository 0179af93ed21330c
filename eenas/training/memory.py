"""One error for lack of memory on every kind of device and allocator."""

from collections.abc import Iterator
from contextlib import contextmanager

from eenas.errors import OutOfMemoryError
from eenas.faults import is_memory_shortage


@contextmanager
def memory_errors(batch_size: int) -> Iterator[None]:
    """Raise OutOfMemoryError, which suggests a smaller batch size, if memory runs out inside the block."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_memory_shortage(error):
            raise OutOfMemoryError(f"out of memory with batch_size={batch_size}; set a smaller batch_size") from error
        raise
