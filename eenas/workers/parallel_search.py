"""A search by one or several workers: processes of this machine, or tasks of a Ray cluster."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import optuna
from torch import nn

from eenas.errors import EenasError, StorageError, StudyError
from eenas.masking import masked_url
from eenas.measurement.latency_profile import read_latency_profile
from eenas.progress import Listener, Notice, Stopped, silent
from eenas.records.database import Database
from eenas.records.urls import read_url, sqlite_file
from eenas.results.read import read_results
from eenas.results.results import StudyResults
from eenas.results.search import Reporter, Reporting, requested
from eenas.specs import check_options
from eenas.study.interrupts import after_interrupt, held_interrupts
from eenas.study.outages import despite_outages
from eenas.study.refusals import check_request
from eenas.study.settings.reference import STORAGE
from eenas.study.settings.study_spec import StudySpec
from eenas.study.settings.time_limit import TimeLimit
from eenas.study.study import open_storage
from eenas.tasks.task import Task
from eenas.workers.job import SearchJob
from eenas.workers.options import OF_RAY, OF_WORKERS, WorkerOptions
from eenas.workers.places import places, sharing
from eenas.workers.process import WorkerProcess
from eenas.workers.supervisor import Launch, Supervisor
from eenas.workers.worker_logs import WorkerLogs

OBJECTS = ("sampler", "callbacks")
"""Options that are objects of this process."""


def parallel_search(
    backbone: str | nn.Module | None = None,
    *,
    task: str | Task | None = None,
    study: str | Path | StudySpec | None = None,
    reporters: Sequence[Reporter] = (),
    started: float | None = None,
    **options: Unpack[WorkerOptions],
) -> StudyResults:
    """Search as `eenas.results.search.search`, with the workers that `options` ask for (see `WorkerOptions`).

    One worker runs in this process. Several are processes of their own, or tasks of a Ray cluster; Ctrl-C ends all of
    them and returns what was found. Raises the errors of `search`, DeviceError for a number of workers out of range,
    and StudyError for objects that other processes cannot receive, a Ray cluster that does not answer, and a worker
    that died three times in a row.
    """
    from eenas.results.search import search

    began = time.monotonic() if started is None else started
    check_options("search", options, WorkerOptions)
    own: dict[str, Any] = {key: value for key, value in options.items() if key not in OF_WORKERS}
    workers, address = options.get("workers"), options.get("ray")
    is_bound = any(options.get(name) for name in OBJECTS) or isinstance(backbone, nn.Module) or isinstance(task, Task)
    if workers is None and address is None and is_bound:
        workers = 1  # objects of this process are given to others only on request
    if address is None:
        _check_local(options)
    chosen = places(workers, options.get("device", "auto")) if address is None else ()
    if len(chosen) == 1:
        return search(backbone, task=task, study=study, reporters=reporters, started=started, **own)
    if (file := options.get("latency_profile")) is not None:
        read_latency_profile(file)
    if options.get("callbacks"):
        raise StudyError("callbacks run in the process of one worker, got several workers; leave them out, or use one")
    reference, settings, _ = requested(backbone, task=task, study=study, options=options)
    limit = TimeLimit(settings.search.timeout, began)
    despite_outages(
        reference.storage,
        lambda: check_request(reference, settings, options.get("sampler")),
        reference.listener,
        check=limit.check,
    )
    storage = own.get("storage") or STORAGE
    if read_url(storage).get_backend_name() == "sqlite" and sqlite_file(read_url(storage)) is None:
        raise StorageError(
            f"{masked_url(storage)}: a database in memory belongs to one process, and every worker is a process of "
            "its own; give a file or PostgreSQL, or one worker"
        )
    listener: Listener = own.pop("listener", silent)
    arguments = {"backbone": backbone, "task": task, "study": study, **own}
    job = SearchJob(arguments)
    job.to_bytes()
    reporting: list[Reporting] = []

    def after_trial(name: str) -> None:
        try:
            if reporters and not reporting:
                reporting.append(Reporting(Database(storage, create=False), name, reporters, listener))
            if reporting and reporting[0].is_due:
                reporting[0].last(_study(reporting[0].database, name))
        except StorageError as error:  # the workers wait for a storage that is away, and say so
            listener(Notice(f"the study's page was not refreshed: {error}"))

    written: WorkerLogs | None = None
    if address is None:
        listener(Notice(sharing(chosen, options.get("device", "auto"))))
        count, written = len(chosen), WorkerLogs(logs(storage), len(chosen))
        launch = _processes(job, began, chosen, written)
    else:
        from eenas.workers.ray_workers import ray_workers

        launch, count = ray_workers(address, job, began, options, listener)
    supervisor = Supervisor(launch, count, listener, after_trial)
    try:
        supervisor.run()
    except EenasError:
        if supervisor.is_refused and written is not None:
            written.remove_shown()
        raise
    if supervisor.name is None:
        raise supervisor.interrupt or StudyError("the workers ended without a study; see their logs")
    if supervisor.interrupt is not None:
        listener(Stopped("stopped; rerun the command to continue", supervisor.interrupt))
    with after_interrupt(supervisor.interrupt):
        database = Database(storage, create=False)
        if reporters:
            return Reporting(database, supervisor.name, reporters, listener).last(_study(database, supervisor.name))
        return read_results(database, supervisor.name, trust_code=bool(own.get("trust_code", False)))


def _check_local(options: WorkerOptions) -> None:
    """Raise StudyError for options that only workers on Ray have."""
    for name in OF_RAY:
        if options.get(name) is not None:
            flag = "--" + name.replace("_", "-")
            raise StudyError(f"{flag} is for workers on Ray, got no --ray; give the cluster's address, or leave it out")


def logs(storage: str) -> Path:
    """Return the folder of the workers' logs: beside an SQLite file, else in the working folder."""
    file = sqlite_file(read_url(storage))
    return Path("eenas.workers") if file is None else file.with_suffix(".workers")


def _processes(job: SearchJob, began: float, chosen: Sequence[Any], written: WorkerLogs) -> Launch:
    def launch(number: int) -> WorkerProcess:
        now = SearchJob(job.arguments, time.monotonic() - began)
        return WorkerProcess(now.to_bytes(), chosen[number - 1], written.path(number))

    return launch


def _study(database: Database, name: str) -> optuna.Study:
    """Open the study. The first time imports the rest of SQLAlchemy, which works no more if Ctrl-C cuts that off."""
    with held_interrupts():
        return optuna.load_study(study_name=name, storage=open_storage(database))
