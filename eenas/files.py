"""Atomic writing of files and folders, so that a full disk or a kill leaves the old ones."""

import ctypes
import errno
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
from eenas.faults import error_number, is_write_failure, write_failure
from eenas.processes import is_running

DAY = 86400.0
"""Seconds without a change after which temporary files of another machine count as abandoned."""

_HOST = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())
_TEMPORARY = re.compile(r"\.(.+)\.eenas-([A-Za-z0-9._]*)-(\d+)-\w+\.(part|old)")
_LONGEST = 80
"""The number of characters of a name repeated in its temporary file. File systems limit the length of names."""
_GROWTH = 1 << 20
"""The bytes that are added to a file whose writing failed, to learn why."""
_CLEANED: set[Path] = set()


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it to `path` atomically.

    Raises StorageError if the disk is full or the folder is not writable; the old file is then unchanged.
    """
    temporary: Path | None = None
    with _storage_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = temporary_beside(path)
            try:
                write(temporary)
            except Exception as error:
                if not isinstance(error, OSError) and is_write_failure(error):
                    _check_growth(temporary)
                raise
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8 atomically; see `write_atomically`."""
    write_atomically(path, lambda file: file.write_text(text, encoding="utf-8"))


@contextmanager
def replace_folder(path: Path, keep: Callable[[str], bool] = lambda name: False) -> Iterator[Path]:
    """Yield a temporary folder that replaces the folder `path` atomically when the block ends without an error.

    Until then `path` is unchanged. The temporary folder starts with the entries of `path` whose name `keep` accepts.
    Replace files in it (`write_atomically`); do not modify them, because both folders share them. If `path` itself
    cannot be replaced (a mount point, or its parent is not writable), its files are replaced one by one. Raises
    StorageError if the disk is full or the folder is not writable.
    """
    path = path.resolve()
    work: Path | None = None
    try:
        with _storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            is_fixed = path.is_dir() and (os.path.ismount(path) or not is_writable(path.parent))
            work = temporary_beside(path / path.name if is_fixed else path, folder=True)
            if path.is_dir():
                _link_entries(path, work, keep)
            work.chmod(path.stat().st_mode if path.is_dir() else 0o755)
        yield work
        with _storage_errors(path):
            _replace(work, path)
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def is_writable(path: Path) -> bool:
    """Whether a file, or the content of a folder, can be changed. Always False on a read-only file system."""
    mode = os.W_OK | os.X_OK if path.is_dir() else os.W_OK
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def check_writable(folder: Path) -> None:
    """Raise StorageError if an existing folder cannot be written or replaced. Call this before expensive work."""
    if folder.is_dir() and not (is_writable(folder) or is_writable(folder.resolve().parent)):
        raise StorageError(f"{folder}: cannot be written (read-only); copy it to a writable place and use the copy")


def temporary_beside(path: Path, *, folder: bool = False) -> Path:
    """Create an empty temporary file or folder beside `path`, named after this process.

    Stale temporary files of dead processes are removed. Raises OSError.
    """
    remove_stale(path.parent)
    prefix = f".{path.name[:_LONGEST]}.eenas-{_HOST}-{os.getpid()}-"
    if folder:
        return Path(tempfile.mkdtemp(".part", prefix, path.parent))
    handle, name = tempfile.mkstemp(".part", prefix, path.parent)
    os.close(handle)
    return Path(name)


def is_temporary(name: str) -> bool:
    """Whether this is the name of a temporary file or folder."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_stale(folder: Path, *, again: bool = False) -> None:
    """Remove temporary files of dead processes from `folder`, once per process or, with `again`, at every call.

    Temporary files of living processes on this machine stay, as do those of other machines for a day.
    """
    with suppress(OSError):  # a later write reports the same error
        folder = folder.resolve()
        if folder in _CLEANED and not again:
            return
        _CLEANED.add(folder)
        for item in list(folder.iterdir()):
            found = _TEMPORARY.fullmatch(item.name)
            if found is None or not _is_abandoned(item, found[2], found[3]):
                continue
            before = folder / found[1]
            if found[4] == "old" and not before.exists():  # the process died between two renames
                item.rename(before)
            elif item.is_dir() and not item.is_symlink():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)


def _is_abandoned(item: Path, host: str, process: str) -> bool:
    if host != _HOST:
        return time.time() - item.lstat().st_mtime > DAY
    return not is_running(process)


def _link_entries(path: Path, work: Path, keep: Callable[[str], bool]) -> None:
    for item in path.iterdir():
        if is_temporary(item.name) or not keep(item.name):
            continue
        if item.is_dir() and not item.is_symlink():
            shutil.copytree(item, work / item.name, symlinks=True, copy_function=_link)
        else:
            _link(str(item), str(work / item.name))


def _link(source: str, target: str) -> None:
    """Hard-link a file, or copy it if the file system has no links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)


def _replace(work: Path, path: Path) -> None:
    """Replace the folder `path` by `work`, atomically if the system supports it."""
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


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or one of those that macOS and Windows leave beside images."""
    return name.startswith((".", "__MACOSX", "@eaDir", "$RECYCLE.BIN")) or name.lower() in ("thumbs.db", "desktop.ini")


def _move(work: Path, path: Path) -> None:
    """Move the content of the folder `work` into `path`, the latest files last. Folders in both are merged."""
    for item in sorted(work.iterdir(), key=lambda item: item.lstat().st_mtime_ns):
        there = path / item.name
        if item.is_dir() and not item.is_symlink() and there.is_dir():
            _move(item, there)
        else:
            item.replace(there)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names atomically. False if the system does not support it."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return call is not None and call(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def _check_growth(file: Path) -> None:
    """Raise the OSError for which a file cannot grow: libraries such as torch report it with a text of their own."""
    with file.open("ab") as stream:
        stream.write(bytes(_GROWTH))
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Convert write errors to a StorageError of one line. torch and safetensors have error classes of their own."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and not is_write_failure(error):
            raise
        fix = "make it writable" if error_number(error) in (errno.EROFS, errno.EACCES, errno.EPERM) else "free space"
        raise StorageError(
            f"{path}: could not be written ({write_failure(error)}); {fix} or give another folder"
        ) from error
