"""A file written whole or not at all, so that a full disk or a kill leaves the old one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from eenas.errors import StorageError


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
        if not isinstance(error, OSError) and not _is_write_failure(error):
            raise
        raise StorageError(f"{path}: could not be written ({error}); free space or choose another folder") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _is_write_failure(error: Exception) -> bool:
    text = str(error).lower()
    return any(words in text for words in ("no space left", "unexpected pos", "file write failed", "os error"))
