"""Workers as tasks of a Ray cluster."""

import contextlib
import os
import socket
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
from eenas.records.artifacts import folder_beside
from eenas.records.stores.folder_store import FolderStore
from eenas.records.stores.places import ArtifactPlace
from eenas.records.urls import read_url, sqlite_file
from eenas.study.refusals import unmade_if_refused
from eenas.study.settings.reference import STORAGE, StudyReference
from eenas.workers.job import SearchJob
from eenas.workers.messages import Ended, Message
from eenas.workers.options import OF_RAY
from eenas.workers.places import MOST_WORKERS, WORKER_BYTES
from eenas.workers.ray_cluster import RayCluster, last_line
from eenas.workers.ray_task import missing_here, ray_worker
from eenas.workers.supervisor import Launch

CHECK = 120.0
"""The seconds within which each node must have looked for the files of the study."""
MEMORY = "memory"
"""The resource of a node that counts its bytes."""


class RayWorker:
    """A `RunningWorker` that is a task on a cluster."""

    def __init__(self, cluster: RayCluster, job: bytes, resources: Mapping[str, float]) -> None:
        self._cluster, self._name = cluster, uuid4().hex
        self._ended: Ended | None = None
        task = cluster.ray.remote(ray_worker).options(**resources, max_retries=0, scheduling_strategy="SPREAD")
        self._task = task.remote(job, self._name, cluster.mailbox, str(Path.cwd()))

    def messages(self) -> list[Message]:
        """See `RunningWorker.messages`."""
        if self._ended is not None:
            return [self._ended]
        with self._cluster.answering():
            ready, _ = self._cluster.ray.wait([self._task], timeout=0)
        if not ready:
            return self._cluster.take(self._name)
        said = self._cluster.take(self._name, now=True)
        self._ended = self._outcome()
        return [*said, self._ended]

    def stop(self) -> None:
        """See `RunningWorker.stop`."""
        self._cancel(force=False)

    def wake(self) -> None:
        """See `RunningWorker.wake`. Nothing of Ray suspends a task."""

    def kill(self) -> None:
        """See `RunningWorker.kill`."""
        if self._ended is None:
            self._cancel(force=True)

    def _cancel(self, *, force: bool) -> None:
        with contextlib.suppress(self._cluster.ray.exceptions.RayError, ConnectionError):  # the cluster is gone
            self._cluster.ray.cancel(self._task, force=force)

    def _outcome(self) -> Ended:
        errors = self._cluster.ray.exceptions
        try:
            ended: Ended = self._cluster.ray.get(self._task)
        except errors.TaskCancelledError:
            return Ended("stopped")
        except errors.RayError as error:
            return Ended("died", last_line(str(error)))
        except KeyboardInterrupt:
            raise
        except Exception as error:  # of the node, such as a module that it lacks
            return Ended("died", last_line(f"{type(error).__name__}: {error}"))
        return ended


def ray_workers(
    address: str, job: SearchJob, began: float, options: Mapping[str, Any], listener: Listener
) -> tuple[Launch, int]:
    """Join the cluster at `address`; return what starts its workers, and their number.

    By default there are as many workers as the cluster has resources for. Raises StudyError, in one line, if Ray is not
    installed, the cluster does not answer in time, has too few resources, or lacks files of the study on a node, and
    for a storage that its nodes cannot share.
    """
    wanted, given = options.get("workers"), {name: _amount(name, options.get(name)) for name in OF_RAY}
    if wanted is not None:
        _check_count(wanted)
    cluster = RayCluster(address)
    nodes = cluster.nodes()
    storage = str(options.get("storage") or STORAGE)
    _check_storage(storage, nodes)
    has_gpus = any(node["Resources"].get("GPU") for node in nodes)
    gpus = float(has_gpus) if given["gpus_per_trial"] is None else given["gpus_per_trial"]
    cpus = 1.0 if given["cpus_per_trial"] is None else given["cpus_per_trial"]
    room = sum(_room(node["Resources"], cpus, gpus) for node in nodes)
    if room == 0:
        raise StudyError(
            f"no node of the Ray cluster has {gpus:g} GPUs, {cpus:g} cores and {WORKER_BYTES >> 20} MiB for "
            "a worker; give smaller --gpus-per-trial and --cpus-per-trial, or add nodes"
        )
    with _token(storage, options.get("artifacts")) as token:
        _check_nodes(cluster, nodes, local_paths(job.arguments), token)
    count = min(room, MOST_WORKERS) if wanted is None else wanted
    late = f"; {count - room} of them start when others end" if count > room else ""
    listener(Notice(f"{count} workers on {len(nodes)} Ray nodes, each with {gpus:g} GPUs and {cpus:g} cores{late}"))

    has_memory = all(MEMORY in node["Resources"] for node in nodes)
    resources = {"num_cpus": cpus, "num_gpus": gpus, **({MEMORY: WORKER_BYTES} if has_memory else {})}

    def launch(number: int) -> RayWorker:
        now = SearchJob(job.arguments, time.monotonic() - began)
        return RayWorker(cluster, now.to_bytes(), resources)

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


def _check_storage(storage: str, nodes: list[Mapping[str, Any]]) -> None:
    hosts = {node["NodeManagerHostname"] for node in nodes}
    if sqlite_file(read_url(storage)) is not None and hosts != {socket.gethostname()}:
        raise StudyError(
            f"{masked_url(storage)}: the nodes of the Ray cluster ({', '.join(sorted(hosts))[:80]}) cannot share an "
            "SQLite file; give a PostgreSQL --storage and --artifacts in a folder that all see"
        )


@contextlib.contextmanager
def _token(storage: str, artifacts: ArtifactPlace | None) -> Iterator[str | None]:
    """Yield the path of a file in the folder of artifacts, which exists inside the block. None for a remote store."""
    if (folder := folder_beside(storage, artifacts)) is None:
        yield None
        return
    with unmade_if_refused(StudyReference(storage=storage, artifacts=artifacts)):
        yield from _file_in(folder)


def _file_in(folder: Path) -> Iterator[str]:
    """Yield the path of a new file in a folder, which exists until the caller goes on."""
    FolderStore(folder)
    path = folder.absolute() / f".nodes-{uuid4().hex[:12]}"
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
            f"a node of the Ray cluster cannot run eenas ({last_line(str(error))}); install the same version of eenas "
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
    if MEMORY in resources:
        rooms.append(resources[MEMORY] // WORKER_BYTES)
    return int(min(rooms, default=MOST_WORKERS))


def _amount(name: str, given: float | None) -> float | None:
    """Return the resources of a worker, None for the default. Raises StudyError for an impossible number."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= MOST_WORKERS:
        flag = "--" + name.replace("_", "-")
        raise StudyError(f"{flag} must be a number from 0 to {MOST_WORKERS}, got {shortened(given)}")
    if name == "gpus_per_trial" and given > 1 and given != int(given):
        raise StudyError(f"--gpus-per-trial above 1 must be a whole number, got {given}; Ray divides single GPUs only")
    return float(given)


def _check_count(workers: int) -> None:
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS:
        raise StudyError(f"workers must be a whole number from 1 to {MOST_WORKERS}, got {shortened(workers)}")
