"""One error for lack of memory on every kind of device and allocator."""

from collections.abc import Iterator
from contextlib import contextmanager

from eenas.errors import OutOfMemoryError
from eenas.faults import is_memory_shortage


@contextmanager
def memory_errors(batch_size: int, micro_batch: int | None = None) -> Iterator[None]:
    """Raise OutOfMemoryError if memory runs out inside the block. It suggests a smaller batch size.

    If `micro_batch`, the most samples that go through the network at once, can be set, it also suggests half of it.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_memory_shortage(error):
            half = (micro_batch or 0) // 2
            micro = f" or micro_batch_size={half}, which keeps the batch size of a step" if half >= 2 else ""
            raise OutOfMemoryError(
                f"out of memory with batch_size={batch_size}; set a smaller batch_size{micro}"
            ) from error
        raise
