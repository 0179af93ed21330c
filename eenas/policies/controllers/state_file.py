"""The file of a controller's state: written atomically under a lock, so that processes do not overwrite each other."""

import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from eenas.bounds import read_json
from eenas.errors import PolicyError, SpecError, StorageError
from eenas.escaping import shortened

STAMP = "stamp"
"""The key of the random text that identifies one writing of the file."""


def read_state(path: Path) -> dict[str, Any]:
    """Return the state in a file. Raises PolicyError if there is none or it is not a table."""
    try:
        found = read_json(path)
    except SpecError as error:
        raise PolicyError(f"{error}; give a file that a controller wrote") from None
    if not isinstance(found, dict) or not isinstance(found.get(STAMP), str):
        raise PolicyError(f"{path}: is not the state of a controller; give a file that a controller wrote")
    return found


def write_state(path: Path, table: dict[str, Any], before: str | None, *, overwrite: bool) -> str:
    """Write a state atomically under the file's lock, and return its new stamp.

    `before` is the stamp that this controller read or wrote there last, None if it never did. Raises PolicyError if the
    file has another stamp, so that what another process learned is not lost, unless `overwrite`; StorageError if the
    file cannot be written. The old file is then unchanged.
    """
    if "\0" in str(path):
        raise StorageError(f"{shortened(str(path))}: a path must have no null character; give another file")
    stamp = secrets.token_hex(16)
    temporary: str | None = None
    try:
        with file_lock(path.with_name(f".{path.name}.lock")):
            if not overwrite and os.path.lexists(path) and (before is None or read_state(path)[STAMP] != before):
                raise PolicyError(
                    f"{path}: another controller wrote this file since this one read it; give each process a file of "
                    "its own, load the file first, or replace it with overwrite=True"
                )
            handle, temporary = tempfile.mkstemp(".part", f".{path.name[:80]}.", path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump({**table, STAMP: stamp}, stream, allow_nan=False)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
            temporary = None
    except OSError as error:
        raise StorageError(
            f"{path}: the state could not be written ({error.strerror or error}); give another folder"
        ) from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
    return stamp


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock across processes and threads inside the block; it ends with its process. Raises OSError."""
    with path.open("a+b") as stream:
        if sys.platform == "win32":
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)
            try:
                yield
            finally:
                stream.seek(0)
                msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
            yield  # closing the file releases the lock
