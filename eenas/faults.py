"""Faults of the machine: errors that say nothing about what was asked for, such as a full disk or too little memory."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from eenas.errors import EenasError, MachineError

MEMORY = (
    *("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "defaultcpuallocator"),
    *("bad_alloc", "can't start new thread", "unable to allocate", "failed to map segment"),
)
"""Parts of what allocators say, lower case."""
WRITING = ("no space left", "unexpected pos", "file write failed", "failed writing", "os error", "quota exceeded")
"""Parts of what torch, safetensors and NumPy say when a file could not be written, lower case."""
DEVICE = ("cuda error", "hip error", "acceleratorerror")
"""Parts of what is said of a device that does nothing more in this process, lower case."""


def machine_fault(error: BaseException) -> MachineError | None:
    """The machine's part in `error`, in one line with the fix; None where there is none, and for EenasErrors of ours.

    What raised an error counts as well: a picture that cannot be read because its disk is gone is the disk's fault.
    """
    if isinstance(error, MachineError):
        return error
    said = " ".join(str(error).split()) if isinstance(error, EenasError) else ""
    for cause in causes(error):
        if is_memory_shortage(cause):
            what = said or _said(cause)
            return MachineError(f"{what}; free memory or raise its limit, and run the same command again")
        if isinstance(cause, OSError) or is_write_failure(cause):
            return MachineError(f"{said or _said(cause)}; {_fix(cause)}")
        if is_device_failure(cause):
            return MachineError(f"{_said(cause)}; look after the device and run the same command again")
    return None


@contextmanager
def machine_faults() -> Iterator[None]:
    """Raise what the machine lacks inside the block as a MachineError of one line."""
    try:
        yield
    except EenasError:
        raise
    except Exception as error:
        if (fault := machine_fault(error)) is None:
            raise
        raise fault from error


def is_memory_shortage(error: BaseException) -> bool:
    """Whether memory ran out, of whatever allocator."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    said = f"{type(error).__name__} {error}".lower()
    return isinstance(error, RuntimeError | ImportError | EenasError) and any(words in said for words in MEMORY)


def is_write_failure(error: BaseException) -> bool:
    """Whether a library could not write a file, and says so in words of its own."""
    said = str(error).lower()
    return not isinstance(error, EenasError) and any(words in said for words in WRITING)


def is_device_failure(error: BaseException) -> bool:
    """Whether an accelerator failed in a way that ends its use by this process."""
    said = f"{type(error).__name__}: {error}".lower()
    return isinstance(error, RuntimeError) and any(words in said for words in DEVICE) and not is_memory_shortage(error)


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error`, and what it was raised from or while."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _fix(error: BaseException) -> str:
    fixes = {
        errno.ENOSPC: "free space on its disk",
        errno.EDQUOT: "free space within your quota",
        errno.EROFS: "make its file system writable",
        errno.EACCES: "make it readable and writable",
        errno.EPERM: "make it readable and writable",
        errno.ENOENT: "put it back",
        errno.EMFILE: "raise the limit of open files (ulimit -n)",
        errno.ENFILE: "raise the limit of open files",
    }
    number = getattr(error, "errno", None)
    if number is None and "no space left" in str(error).lower():
        number = errno.ENOSPC
    return f"{fixes.get(number or 0, 'fix the cause')} and run the same command again"
