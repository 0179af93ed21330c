"""The job of a worker: the arguments of its search, as bytes for another process."""

import logging
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import optuna

from eenas.errors import StudyError
from eenas.progress import Event
from eenas.workers.messages import Ended, Message, Reached, ended_by

Send = Callable[[Message], object]


@dataclass(frozen=True)
class SearchJob:
    """The arguments of `search`, and the seconds that were spent before the worker was started."""

    arguments: dict[str, Any]
    spent: float = 0.0

    def to_bytes(self) -> bytes:
        """Return the job as bytes. Raises StudyError for an argument that another process cannot receive."""
        for name, value in self.arguments.items():
            try:
                pickle.dumps(value)
            except Exception as error:  # __reduce__ of the user's objects may raise anything
                raise StudyError(
                    f"{name} cannot be given to worker processes ({type(error).__name__}: {error}); "
                    "define its class in a module and keep open files and lambdas out of it, or use one worker"
                ) from None
        return pickle.dumps(self)


def run_job(data: bytes, send: Send) -> Ended:
    """Run the search of a job in this process, and return how it ended. `send` receives its events."""
    name = ""
    try:
        try:
            job: SearchJob = pickle.loads(data)
        except Exception as error:
            raise StudyError(
                f"a worker process cannot read what it was given ({type(error).__name__}: {error}); define the classes "
                "of backbone and task in a module that can be imported, or use one worker"
            ) from None
        from eenas.results.search import search

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # tracebacks of interrupted connections

        def listener(event: Event) -> None:
            send(event)

        def after_trial(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            nonlocal name
            name = study.study_name
            send(Reached(name))

        started = time.monotonic() - job.spent
        name = search(**job.arguments, listener=listener, callbacks=[after_trial], started=started).name
        send(Reached(name))
    except BaseException as error:
        return replace(ended_by(error), study=name)
    return Ended("done", study=name)
