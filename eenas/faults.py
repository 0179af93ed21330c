"""Faults of the machine, such as a full disk or too little memory, as opposed to faults of a request."""

import errno
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from eenas.errors import EenasError, MachineError

MEMORY = (
    *("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "defaultcpuallocator"),
    *("bad_alloc", "can't start new thread", "unable to allocate", "failed to map segment"),
)
"""Parts of the messages of allocators, in lower case."""
WRITING = (
    *("no space left", "unexpected pos", "file write failed", "failed writing", "iostream error", "os error"),
    "quota exceeded",
)
"""Parts of the messages of torch, safetensors and NumPy about files that cannot be written, in lower case."""
DEVICE = ("cuda error", "hip error", "acceleratorerror")
"""Parts of the messages about a device that this process can no longer use, in lower case."""
_NUMBER = re.compile(r"\(os error (\d{1,4})\)")


def machine_fault(error: BaseException) -> MachineError | None:
    """Return the fault of the machine behind `error` as one line with the fix, or None.

    The causes of an error count too: an image that cannot be read because its disk failed is a fault of the disk.
    """
    if isinstance(error, MachineError):
        return error
    said = " ".join(str(error).split()) if isinstance(error, EenasError) else ""
    for cause in causes(error):
        if is_memory_shortage(cause):
            what = said or _said(cause)
            return MachineError(f"{what}; free memory or raise its limit, and rerun the command")
        if isinstance(cause, OSError) or is_write_failure(cause):
            return MachineError(f"{said or _said(cause)}; {_fix(cause)}")
        if is_device_failure(cause):
            return MachineError(f"{_said(cause)}; check the device and rerun the command")
    return None


@contextmanager
def machine_faults() -> Iterator[None]:
    """Convert faults of the machine inside the block to a MachineError of one line."""
    try:
        yield
    except EenasError:
        raise
    except Exception as error:
        if (fault := machine_fault(error)) is None:
            raise
        raise fault from error


def raise_shortage(error: Exception) -> None:
    """Raise MachineError where `error` says that memory ran out or a device failed.

    For whoever tries out of a module what it can do: such an error says nothing about that.
    """
    if any(is_memory_shortage(cause) or is_device_failure(cause) for cause in causes(error)):
        raise machine_fault(error) or error


def is_memory_shortage(error: BaseException) -> bool:
    """Whether `error` means that memory ran out, for any allocator."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    said = f"{type(error).__name__} {error}".lower()
    return isinstance(error, RuntimeError | ImportError | EenasError) and any(words in said for words in MEMORY)


def is_write_failure(error: BaseException) -> bool:
    """Whether `error` is a library's own error about a file that cannot be written."""
    said = str(error).lower()
    return not isinstance(error, EenasError) and any(words in said for words in WRITING)


def error_number(error: BaseException) -> int | None:
    """Return the number of the system's error behind `error`, which libraries in Rust put into their text, or None."""
    if isinstance(error, OSError):
        return error.errno
    found = _NUMBER.search(str(error))
    return int(found[1]) if found else None


def write_failure(error: BaseException) -> str:
    """Return why a file could not be written, in the words of the system, without those of a library."""
    number = error_number(error)
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "its disk or a quota may be full" if number is None else os.strerror(number)


def is_device_failure(error: BaseException) -> bool:
    """Whether an accelerator failed so that this process can no longer use it."""
    said = f"{type(error).__name__}: {error}".lower()
    return isinstance(error, RuntimeError) and any(words in said for words in DEVICE) and not is_memory_shortage(error)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and the chain of its causes and contexts."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def interrupt_of(error: BaseException, outer: BaseException | None = None) -> KeyboardInterrupt | None:
    """Return the Ctrl-C or SIGTERM that led to `error`, or None.

    A library that is interrupted may raise another error on its way out, as Optuna does at the end of a trial. `outer`
    is what was being handled when the work began (`sys.exception()`): a search may begin after Ctrl-C in a handler.
    """
    inner = itertools.takewhile(lambda each: each is not outer, causes(error))
    return next((each for each in inner if isinstance(each, KeyboardInterrupt)), None)


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if is_write_failure(error):
        return f"a file could not be written ({write_failure(error)})"
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _fix(error: BaseException) -> str:
    fixes = {
        errno.ENOSPC: "free space on its disk",
        errno.EDQUOT: "free space within your quota",
        errno.EROFS: "make its file system writable",
        errno.EACCES: "make it readable and writable",
        errno.EPERM: "make it readable and writable",
        errno.ENOENT: "restore it",
        errno.EMFILE: "raise the limit of open files (ulimit -n)",
        errno.ENFILE: "raise the limit of open files",
    }
    number = error_number(error)
    if number is None and is_write_failure(error):
        number = errno.ENOSPC
    return f"{fixes.get(number or 0, 'fix the cause')} and rerun the command"
