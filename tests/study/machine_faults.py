"""Faults of the machine that befall a trial in flight, each as a context in which a search is run.

A fault is armed before the search and comes when the first network of a trial is trained; leaving the context repairs
what was broken. What is patched stands for errors that a test cannot cause; everything else is the real thing.
"""

import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import optuna
import torch
from optuna.storages import RDBStorage

import eenas.files
import eenas.study.trials.design_training as design_training
import eenas.study.trials.trial
from eenas.errors import OutOfMemoryError
from eenas.policies.exit_table import ExitTable
from eenas.records.claims import Claims
from eenas.records.learning_curves import LearningCurves

Fault = Callable[[Path], Any]
"""Takes the folder of the study's `eenas.db` and `eenas.artifacts`; a context manager."""


@contextmanager
def in_training(act: Callable[[], object], *, each: bool = False) -> Iterator[None]:
    """Do `act` when the first network of a trial is trained, or with `each` before every training."""
    real, done = design_training.train_network, []

    def train(*args: Any, **options: Any) -> Any:
        if each or not done:
            done.append(1)
            act()
        return real(*args, **options)

    with mock.patch.object(design_training, "train_network", train):
        yield


@contextmanager
def after_training(target: Any, name: str, error: BaseException) -> Iterator[None]:
    """Let `target.name` raise `error` once a network of a trial is trained."""
    real, armed = getattr(target, name), []

    def fail(*args: Any, **options: Any) -> Any:
        if armed:
            raise error
        return real(*args, **options)

    with in_training(lambda: armed.append(1)), mock.patch.object(target, name, fail):
        yield


def raises(error: BaseException) -> Fault:
    """Every training fails with `error`."""
    return lambda folder: mock.patch.object(design_training, "train_network", side_effect=error)


def fails(target: Any, name: str, error: BaseException) -> Fault:
    """Something that comes after the training fails with `error`."""
    return lambda folder: after_training(target, name, error)


def lacks(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/a/file")


def database(text: str) -> optuna.exceptions.StorageInternalError:
    return optuna.exceptions.StorageInternalError(text)


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    """Something is renamed while the network is trained, and comes back afterwards."""
    away = path.with_name(f"{path.name}.away")
    with in_training(lambda: path.rename(away)):
        yield
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    away.rename(path)


@contextmanager
def replaced(path: Path, by: Callable[[Path], object]) -> Iterator[None]:
    """A file is replaced while the network is trained, and comes back afterwards."""
    away = path.with_name(f"{path.name}.away")

    def act() -> None:
        path.rename(away)
        by(path)

    with in_training(act):
        yield
    away.replace(path)


@contextmanager
def limited(kind: int, limit: int) -> Iterator[None]:
    """A limit of the process is lowered while the network is trained."""
    before = resource.getrlimit(kind)
    try:
        with in_training(lambda: resource.setrlimit(kind, (limit, before[1]))):
            yield
    finally:
        resource.setrlimit(kind, before)


def memory_in_use() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def short_of_memory(spare: int) -> Iterator[None]:
    """The address space may grow by `spare` bytes more while the network is trained, with one large allocation."""
    before = resource.getrlimit(resource.RLIMIT_AS)

    def act() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_in_use() + spare, before[1]))
        torch.empty(2**28)

    try:
        with in_training(act, each=True):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def full_temporary_folder(folder: Path) -> Iterator[None]:
    """The temporary folder is a disk of its own (root only), and full when the network is trained."""
    with (
        small_disk(folder / "tmp") as (path, fill),
        mock.patch.object(tempfile, "tempdir", str(path)),
        in_training(fill),
    ):
        yield


@contextmanager
def small_disk(path: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A disk of 1 MB at `path`, and how to fill it."""
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], check=True)

    def fill() -> None:
        with (path / "filler").open("wb") as stream:
            try:
                while True:
                    stream.write(b"0" * 4096)
                    stream.flush()
            except OSError:
                pass

    try:
        yield path, fill
    finally:
        subprocess.run(["umount", str(path)], check=True)


def is_root() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database " * 4096)


ALLOCATOR = RuntimeError("[enforce fail at alloc_cpu.cpp:128] . DefaultCPUAllocator: not enough memory: you tried ...")
FAULTS: dict[str, Fault] = {
    "training: MemoryError": raises(MemoryError()),
    "training: std::bad_alloc": raises(MemoryError("std::bad_alloc")),
    "training: the allocator of torch": raises(ALLOCATOR),
    "training: what our trainer says of memory": raises(OutOfMemoryError("out of memory with batch_size=16")),
    "training: NumPy's allocator": raises(MemoryError("Unable to allocate 9 GiB")),
    "training: no memory for a process": raises(lacks(errno.ENOMEM)),
    "training: no thread": raises(RuntimeError("can't start new thread")),
    "training: no file may be opened": raises(lacks(errno.EMFILE)),
    "training: an input or output error": raises(lacks(errno.EIO)),
    "training: a data file is gone": raises(lacks(errno.ENOENT)),
    "training: a network disk is stale": raises(lacks(errno.ESTALE)),
    "training: a device fails": raises(RuntimeError("CUDA error: unspecified launch failure")),
    "tables: no memory": fails(eenas.study.trials.trial, "score_tables", ALLOCATOR),
    "tables: no room": fails(ExitTable, "save", lacks(errno.ENOSPC)),
    "tables: no temporary folder": fails(tempfile, "mkdtemp", FileNotFoundError(errno.ENOENT, "No usable temporary")),
    "artifacts: no room": fails(eenas.files.os, "fsync", lacks(errno.ENOSPC)),
    "artifacts: quota": fails(eenas.files.os, "fsync", lacks(errno.EDQUOT)),
    "artifacts: read-only": fails(tempfile, "mkstemp", lacks(errno.EROFS)),
    "artifacts: not allowed": fails(tempfile, "mkstemp", lacks(errno.EACCES)),
    "artifacts: the folder is away": lambda folder: moved_away(folder / "eenas.artifacts"),
    "records: full": fails(Claims, "finish", lacks(errno.ENOSPC)),
    "records: curves": fails(LearningCurves, "save", lacks(errno.EIO)),
    "Optuna: attributes, full": fails(RDBStorage, "set_trial_user_attr", database("database or disk is full")),
    "Optuna: attributes, locked": fails(RDBStorage, "set_trial_user_attr", database("database is locked")),
    "Optuna: constraints, input or output": fails(RDBStorage, "set_trial_system_attr", database("disk I/O error")),
    "Optuna: values, read-only": fails(
        RDBStorage, "set_trial_state_values", database("attempt to write a readonly database")
    ),
    "database: moved away": lambda folder: moved_away(folder / "eenas.db"),
    "database: another file in its place": lambda folder: replaced(folder / "eenas.db", garbage),
    "limit: address space": lambda folder: short_of_memory(2**26),
    "limit: size of files": lambda folder: limited(resource.RLIMIT_FSIZE, 512),
    "limit: open files": lambda folder: limited(resource.RLIMIT_NOFILE, 3),
}
"""Faults by a name in words."""
if is_root():
    FAULTS["disk: the temporary folder is full"] = full_temporary_folder
