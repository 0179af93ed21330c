"""Files written whole or not at all, so that a full disk or a kill leaves the old one; and a file as a lock."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from eenas.errors import StorageError
from eenas.faults import is_write_failure


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in the place of `path` in one step.

    Raises StorageError when the disk is full or the folder not writable; what stood at `path` is then untouched.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except Exception as error:  # torch.save and safetensors raise errors of their own for a full disk
        if not isinstance(error, OSError) and not is_write_failure(error):
            raise
        raise StorageError(f"{path}: could not be written ({error}); free space or choose another folder") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file `path` inside the block; waits for its turn. It falls with the process that holds it.

    Where the system or the file system has no locks nothing is locked. Raises StorageError when there is no such file
    and none can be made.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StorageError(f"{path}: no lock can be made there ({error.strerror}); make the folder writable") from None
    try:
        with contextlib.suppress(OSError):  # a network file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
