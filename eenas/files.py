"""Files and folders written whole or not at all, so that a full disk or a kill leaves the old ones."""

import ctypes
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eenas.errors import StorageError
from eenas.faults import is_write_failure

DAY = 86400.0
"""Seconds without a change after which what another machine left half-written counts as given up."""

_HOST = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())
_TEMPORARY = re.compile(r"\.(.+)\.eenas-([A-Za-z0-9._]*)-(\d+)-\w+\.(part|old)")
_LONGEST = 80
"""Characters of a name that its temporary file repeats; file systems limit the length of names."""
_LOOKED_AT: set[Path] = set()


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in the place of `path` in one step.

    Raises StorageError when the disk is full or the folder not writable; what stood at `path` is then untouched.
    """
    temporary: Path | None = None
    with _storage_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = temporary_beside(path)
            write(temporary)
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8, as `write_atomically` does."""
    write_atomically(path, lambda file: file.write_text(text, encoding="utf-8"))


@contextmanager
def folder_in_place_of(path: Path, keep: Callable[[str], bool] = lambda name: False) -> Iterator[Path]:
    """A temporary folder that takes the place of the folder `path` in one step, once the block ends without an error.

    Until then `path` is untouched. The temporary folder begins with those entries of `path` whose name `keep` accepts;
    files are to be replaced in it (`write_atomically`), not changed, since both folders share them. Where `path` itself
    cannot be replaced (a mount point, or in a folder that is not writable), its files are, one after another. Raises
    StorageError when the disk is full or the place not writable.
    """
    path = path.resolve()
    work: Path | None = None
    try:
        with _storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            is_fixed = path.is_dir() and (os.path.ismount(path) or not is_writable(path.parent))
            work = temporary_beside(path / path.name if is_fixed else path, folder=True)
            if path.is_dir():
                _take_over(path, work, keep)
            work.chmod(path.stat().st_mode if path.is_dir() else 0o755)
        yield work
        with _storage_errors(path):
            _put(work, path)
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def is_writable(path: Path) -> bool:
    """Whether a file, or what is in a folder, can be changed; on a read-only file system nobody can."""
    mode = os.W_OK | os.X_OK if path.is_dir() else os.W_OK
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def check_writable(folder: Path) -> None:
    """Raise StorageError, before work is done for it, where a folder that is there can be written neither way."""
    if folder.is_dir() and not (is_writable(folder) or is_writable(folder.resolve().parent)):
        raise StorageError(f"{folder}: cannot be written (read-only); copy it to a writable place and take the copy")


def temporary_beside(path: Path, *, folder: bool = False) -> Path:
    """A new empty file, or folder, beside `path` whose name says which process made it; what dead ones left is removed.

    Raises OSError.
    """
    remove_stale(path.parent)
    prefix = f".{path.name[:_LONGEST]}.eenas-{_HOST}-{os.getpid()}-"
    if folder:
        return Path(tempfile.mkdtemp(".part", prefix, path.parent))
    handle, name = tempfile.mkstemp(".part", prefix, path.parent)
    os.close(handle)
    return Path(name)


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is one that is being written, or was left half-written."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_stale(folder: Path, *, again: bool = False) -> None:
    """Remove what processes that are gone left half-written in `folder`; a process looks once, or `again`.

    What a living process of this machine writes stays, and so does what another machine wrote within a day.
    """
    with suppress(OSError):  # whatever hinders this hinders writing, which reports it
        folder = folder.resolve()
        if folder in _LOOKED_AT and not again:
            return
        _LOOKED_AT.add(folder)
        for item in list(folder.iterdir()):
            found = _TEMPORARY.fullmatch(item.name)
            if found is None or not _is_given_up(item, found[2], int(found[3])):
                continue
            before = folder / found[1]
            if found[4] == "old" and not before.exists():  # the process died between two renames
                item.rename(before)
            elif item.is_dir() and not item.is_symlink():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)


def _is_given_up(item: Path, host: str, process: int) -> bool:
    if host != _HOST:
        return time.time() - item.lstat().st_mtime > DAY
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _take_over(path: Path, work: Path, keep: Callable[[str], bool]) -> None:
    for item in path.iterdir():
        if is_temporary(item.name) or not keep(item.name):
            continue
        if item.is_dir() and not item.is_symlink():
            shutil.copytree(item, work / item.name, symlinks=True, copy_function=_link)
        else:
            _link(str(item), str(work / item.name))


def _link(source: str, target: str) -> None:
    """The same file under a second name; a copy where the file system has none."""
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)


def _put(work: Path, path: Path) -> None:
    """Put the folder `work` in the place of `path`, in one step where the system can."""
    if not path.exists():
        work.rename(path)
        return
    if _exchange(work, path):
        return
    old = work.with_suffix(".old")
    try:
        path.rename(old)
    except OSError:  # a mount point
        kept = {item.name for item in work.iterdir()}
        for item in [item for item in path.iterdir() if not (item.name in kept or is_temporary(item.name))]:
            item.unlink()
        _move(work, path)
        return
    work.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _move(work: Path, path: Path) -> None:
    """Move what is in the folder `work` into `path`, what was written last at the end; folders in both are merged."""
    for item in sorted(work.iterdir(), key=lambda item: item.lstat().st_mtime_ns):
        there = path / item.name
        if item.is_dir() and not item.is_symlink() and there.is_dir():
            _move(item, there)
        else:
            item.replace(there)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system cannot."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return call is not None and call(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """What the disk refuses, as a StorageError of one line; torch and safetensors raise errors of their own for it."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and not is_write_failure(error):
            raise
        raise StorageError(f"{path}: could not be written ({error}); free space or choose another folder") from error
