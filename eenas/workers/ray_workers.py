"""Workers as tasks of a Ray cluster."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from eenas.errors import StudyError
from eenas.escaping import shortened
from eenas.masking import masked_url
from eenas.progress import Listener, Notice
from eenas.records.artifacts import ArtifactStore
from eenas.records.urls import read_url, sqlite_file
from eenas.study.settings.reference import STORAGE
from eenas.workers.job import SearchJob
from eenas.workers.messages import Ended, Message
from eenas.workers.places import MOST_WORKERS
from eenas.workers.ray_task import Mailbox, missing_here, ray_worker
from eenas.workers.supervisor import Launch

ANSWER = 10.0
"""The seconds within which the address of a cluster must accept a connection."""
CONNECT = 60.0
"""The seconds within which the cluster must let a process join."""
CHECK = 120.0
"""The seconds within which each node must have looked for the files of the study."""
TAKE_EVERY = 0.2
"""The least seconds between two looks into the mailbox."""
_JOIN = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR'); ray.shutdown()"


class RayCluster:
    """A Ray cluster that this process has joined, and the mailbox of the workers on it."""

    def __init__(self, address: str) -> None:
        self.ray = _joined(address)
        mailbox = self.ray.remote(Mailbox)
        self.mailbox = mailbox.options(num_cpus=0).remote()
        self._inbox: dict[str, list[Message]] = {}
        self._next = 0.0

    def take(self, worker: str, *, now: bool = False) -> list[Message]:
        """Return the new messages of a worker."""
        if now or time.monotonic() >= self._next:
            for name, messages in self.ray.get(self.mailbox.take.remote()).items():
                self._inbox.setdefault(name, []).extend(messages)
            self._next = time.monotonic() + TAKE_EVERY
        return self._inbox.pop(worker, [])

    def nodes(self) -> list[Mapping[str, Any]]:
        """Return the live nodes, as Ray describes them."""
        return [node for node in self.ray.nodes() if node["Alive"]]


class RayWorker:
    """A `RunningWorker` that is a task on a cluster."""

    def __init__(self, cluster: RayCluster, job: bytes, cpus: float, gpus: float) -> None:
        self._cluster, self._name, self._ended = cluster, uuid4().hex, False
        task = cluster.ray.remote(ray_worker).options(
            num_cpus=cpus, num_gpus=gpus, max_retries=0, scheduling_strategy="SPREAD"
        )
        self._task = task.remote(job, self._name, cluster.mailbox, str(Path.cwd()))

    def messages(self) -> list[Message]:
        """See `RunningWorker.messages`."""
        if self._ended:
            return []
        ready, _ = self._cluster.ray.wait([self._task], timeout=0)
        if not ready:
            return self._cluster.take(self._name)
        self._ended = True
        return [*self._cluster.take(self._name, now=True), self._outcome()]

    def stop(self) -> None:
        """See `RunningWorker.stop`."""
        self._cluster.ray.cancel(self._task, force=False)

    def wake(self) -> None:
        """See `RunningWorker.wake`. Nothing of Ray suspends a task."""

    def kill(self) -> None:
        """See `RunningWorker.kill`."""
        if not self._ended:
            self._cluster.ray.cancel(self._task, force=True)

    def _outcome(self) -> Ended:
        errors = self._cluster.ray.exceptions
        try:
            ended: Ended = self._cluster.ray.get(self._task)
        except errors.TaskCancelledError:
            return Ended("stopped")
        except errors.RayError as error:
            return Ended("died", _last_line(str(error)))
        except KeyboardInterrupt:
            raise
        except Exception as error:  # of the node, such as a module that it lacks
            return Ended("died", _last_line(f"{type(error).__name__}: {error}"))
        return ended


def ray_workers(
    address: str, job: SearchJob, began: float, options: Mapping[str, Any], listener: Listener
) -> tuple[Launch, int]:
    """Join the cluster at `address`; return what starts its workers, and their number.

    By default there are as many workers as the cluster has resources for. Raises StudyError, in one line, if Ray is not
    installed, the cluster does not answer in time, has too few resources, or lacks files of the study on a node, and
    for a storage that its nodes cannot share.
    """
    cluster = RayCluster(address)
    nodes = cluster.nodes()
    storage = str(options.get("storage") or STORAGE)
    _check_storage(storage, nodes)
    with _token(storage, options.get("artifacts")) as token:
        _check_nodes(cluster, nodes, local_paths(job.arguments), token)
    has_gpus = any(node["Resources"].get("GPU") for node in nodes)
    gpus = _amount("gpus_per_trial", options.get("gpus_per_trial"), float(has_gpus))
    cpus = _amount("cpus_per_trial", options.get("cpus_per_trial"), 1.0)
    room = sum(_room(node["Resources"], cpus, gpus) for node in nodes)
    if room == 0:
        raise StudyError(
            f"no node of the Ray cluster has {gpus:g} GPUs and {cpus:g} cores for a worker; give smaller "
            "--gpus-per-trial and --cpus-per-trial"
        )
    wanted = options.get("workers")
    count = min(room, MOST_WORKERS) if wanted is None else _count(wanted)
    late = f"; {count - room} of them start when others end" if count > room else ""
    listener(Notice(f"{count} workers on {len(nodes)} Ray nodes, each with {gpus:g} GPUs and {cpus:g} cores{late}"))

    def launch(number: int) -> RayWorker:
        now = SearchJob(job.arguments, time.monotonic() - began)
        return RayWorker(cluster, now.to_bytes(), cpus, gpus)

    return launch, count


def local_paths(arguments: Mapping[str, Any]) -> list[str]:
    """Return the files and folders of this node that the arguments of a search name, such as the data of its task."""
    found = [str(Path.cwd())]
    for value in arguments.values():
        for text in value if isinstance(value, tuple | list) else (value,):
            if not isinstance(text, str | Path):
                continue
            whole = str(text)
            parts = (whole, whole.partition("=")[2].strip("\"'"), whole.partition(":")[2], whole.rpartition(":")[0])
            found += [os.path.abspath(part) for part in parts if part and os.path.exists(part)]
    return list(dict.fromkeys(found))


def _joined(address: str) -> Any:
    """Return the module `ray`, with this process in the cluster."""
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise StudyError(f"--ray needs the package ray ({error}); pip install 'eenas[ray]'") from None
    if ray.is_initialized():
        return ray
    _check_address(address)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _JOIN, address], capture_output=True, text=True, timeout=CONNECT, check=False
        )
    except subprocess.TimeoutExpired:
        raise StudyError(
            f"the Ray cluster at {shortened(address)} did not answer within {CONNECT:g} s; start it with `ray start "
            "--head`, or give the address that this prints"
        ) from None
    if done.returncode:
        raise StudyError(
            f"the Ray cluster at {shortened(address)} cannot be joined ({_last_line(done.stderr)}); start it with "
            "`ray start --head`, or give the address that this prints"
        )
    ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    return ray


def _check_address(address: str) -> None:
    """Raise StudyError if nothing accepts a connection at HOST:PORT."""
    if address == "auto":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
        raise StudyError(f"--ray must be auto, HOST:PORT or ray://HOST:PORT, got {shortened(address)}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except (OSError, UnicodeError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or error
        raise StudyError(
            f"the Ray cluster at {shortened(address)} did not answer within {ANSWER:g} s ({reason}); check the "
            "address, and that the cluster runs (`ray status`)"
        ) from None


def _check_storage(storage: str, nodes: list[Mapping[str, Any]]) -> None:
    hosts = {node["NodeManagerHostname"] for node in nodes}
    if sqlite_file(read_url(storage)) is not None and hosts != {socket.gethostname()}:
        raise StudyError(
            f"{masked_url(storage)}: the nodes of the Ray cluster ({', '.join(sorted(hosts))[:80]}) cannot share an "
            "SQLite file; give a PostgreSQL --storage and --artifacts in a folder that all see"
        )


@contextlib.contextmanager
def _token(storage: str, artifacts: str | Path | None) -> Iterator[str | None]:
    """Yield the path of a file in the folder of artifacts, which exists inside the block. None for a remote store."""
    if artifacts is not None and "://" in str(artifacts):
        yield None
        return
    root = ArtifactStore.beside(storage, None if artifacts is None else Path(artifacts)).root
    path = root.absolute() / f".nodes-{uuid4().hex[:12]}"
    path.touch()
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def _check_nodes(cluster: RayCluster, nodes: list[Mapping[str, Any]], paths: list[str], token: str | None) -> None:
    """Raise StudyError for the first node that lacks a file of the study."""
    ray = cluster.ray
    near = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    check = ray.remote(missing_here)
    tasks = [
        check.options(num_cpus=0, max_retries=0, scheduling_strategy=near(node["NodeID"], soft=False)).remote(
            paths, token
        )
        for node in nodes
    ]
    try:
        answers = ray.get(tasks, timeout=CHECK)
    except ray.exceptions.GetTimeoutError:
        raise StudyError(
            f"a node of the Ray cluster did not answer within {CHECK:g} s; `ray status` shows which are alive"
        ) from None
    except ray.exceptions.RayError as error:
        raise StudyError(
            f"a node of the Ray cluster cannot run eenas ({_last_line(str(error))}); install the same version of eenas "
            "on every node"
        ) from None
    for node, missing in answers:
        if missing:
            is_token = missing[0] == token
            path = os.path.dirname(missing[0]) if is_token else missing[0]
            what = "is not the same folder on" if is_token else "is missing on"
            raise StudyError(
                f"{path}: {what} the Ray node {node}; put it in a folder that all nodes see"
                + (", and give that as --artifacts" if is_token else "")
            )


def _room(resources: Mapping[str, float], cpus: float, gpus: float) -> int:
    """Return the number of workers that a node has resources for."""
    rooms = [resources.get(name, 0.0) // each for name, each in (("CPU", cpus), ("GPU", gpus)) if each > 0]
    return int(min(rooms, default=MOST_WORKERS))


def _amount(name: str, given: float | None, default: float) -> float:
    if given is None:
        return default
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= MOST_WORKERS:
        flag = "--" + name.replace("_", "-")
        raise StudyError(f"{flag} must be a number from 0 to {MOST_WORKERS}, got {shortened(given)}")
    if name == "gpus_per_trial" and given > 1 and given != int(given):
        raise StudyError(f"--gpus-per-trial above 1 must be a whole number, got {given}; Ray divides single GPUs only")
    return float(given)


def _count(workers: int) -> int:
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS:
        raise StudyError(f"workers must be a whole number from 1 to {MOST_WORKERS}, got {shortened(workers)}")
    return workers


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason given"
