"""The job of a study on a cluster: the command of each worker, its resources, and the file that starts it."""

import contextlib
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from eenas.errors import SpecError, StorageError
from eenas.escaping import one_line, shortened
from eenas.masking import masked_url, secrets_of
from eenas.workers.places import MOST_WORKERS, WORKER_BYTES

STORAGE = "EENAS_STORAGE"
"""The variable with the storage's URL, where that has a password."""
_MEMORY = re.compile(r"([1-9]\d{0,8})([KMGT])", re.ASCII)
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LABEL, _SHORTENED = 37, 28
"""The longest name in a label, and the part of a longer one that stays. A StatefulSet may have 52 characters."""
_OWN_FLAGS = ("--workers", "--ray", "--gpus-per-trial", "--cpus-per-trial")


@dataclass(frozen=True, kw_only=True)
class ClusterJob:
    """A search on a cluster: the `flags` of `eenas search`, and what each worker gets.

    `name` names the job, `storage` is the storage among the flags. A worker has `gpus` GPUs, `cpus` cores and `memory`
    such as "16G". Raises SpecError for values out of range, and flags that start workers of their own.
    """

    name: str
    flags: tuple[str, ...]
    storage: str
    workers: int = 4
    gpus: int = 1
    cpus: int = 4
    memory: str = "16G"

    def __post_init__(self) -> None:
        """Check names, numbers and flags."""
        for field, least in (("workers", 1), ("gpus", 0), ("cpus", 1)):
            value = getattr(self, field)
            if not least <= value <= MOST_WORKERS:
                raise SpecError(f"--{field} must be a whole number from {least} to {MOST_WORKERS}, got {value}")
        if not (found := _MEMORY.fullmatch(self.memory)):
            raise SpecError(f"--memory must be a size such as 16G or 900M, got {shortened(self.memory)}")
        if int(found[1]) * _UNITS[found[2]] < WORKER_BYTES:
            raise SpecError(
                f"--memory must be at least {WORKER_BYTES >> 20}M, which a worker holds before it reads a network, "
                f"got {self.memory}"
            )
        for flag in self.flags:
            if one_line(flag) != flag:
                raise SpecError(f"a flag of a job must have no control characters, got {shortened(flag)}; remove them")
            if flag.partition("=")[0] in _OWN_FLAGS:
                raise SpecError(f"{flag.partition('=')[0]} is set by the job, which starts the workers; leave it out")

    @property
    def label(self) -> str:
        """The name in lower-case letters, digits and single hyphens, as Kubernetes needs it.

        A name of more than 37 characters is cut, and ends with a digest.
        """
        found = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        if len(found) > _LABEL:
            mark = sha256(self.name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            found = f"{found[:_SHORTENED].strip('-')}-{mark}"
        return f"eenas-{found}" if found else "eenas"

    @property
    def has_secret(self) -> bool:
        """Whether the storage has a password, which stays out of the file."""
        return bool(secrets_of(self.storage))

    def command(self, *more: str) -> str:
        """Return the command of a worker for a shell. A storage with a password is read from EENAS_STORAGE."""
        words = ["eenas", "search", *without(self.flags, "--storage")] if self.has_secret else ["eenas", "search"]
        words += [] if self.has_secret else self.flags
        line = shlex.join([*words, *more])
        return f'{line} --storage "${STORAGE}"' if self.has_secret else line

    def check_shared(self) -> None:
        """Raise StorageError for a malformed storage, and for SQLite with several workers, perhaps on several nodes."""
        from eenas.records.urls import read_url

        is_sqlite = read_url(self.storage).get_backend_name() == "sqlite"
        if self.workers > 1 and is_sqlite:
            raise StorageError(
                f"{masked_url(self.storage)}: the nodes of a cluster cannot share an SQLite file; give a PostgreSQL "
                "--storage and --artifacts in a folder that all nodes see, or --workers 1"
            )


def without(flags: Sequence[str], name: str) -> list[str]:
    """Return the flags without `name` and its value."""
    found, skip = [], False
    for flag in flags:
        if skip:
            skip = False
        elif flag == name:
            skip = True
        elif not flag.startswith(f"{name}="):
            found.append(flag)
    return found


def written(path: Path, text: str, *, force: bool, mode: int = 0o644) -> Path:
    """Write a job file with these permissions, at once, and return its path.

    Raises StorageError for a file that exists unless `force`, and one that cannot be written.
    """
    if path.exists() and not force:
        raise StorageError(f"{path}: the file exists; give --force to replace it, or another --out")
    part = path.with_name(f".{path.name[:80]}.{uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
            stream.write(text)
        part.chmod(mode)
        part.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: the file cannot be written ({error.strerror}); give another --out") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def in_cluster(job: ClusterJob, storage: str, artifacts: str) -> ClusterJob:
    """Return a job with another storage and folder of artifacts."""
    flags = without(without(job.flags, "--storage"), "--artifacts")
    return replace(job, flags=(*flags, "--storage", storage, "--artifacts", artifacts), storage=storage)
