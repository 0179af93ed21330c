"""The status of a study: its workers, its trials by state, its pace, and the best network so far."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from eenas.policies.costs import MACS
from eenas.records.database import Database
from eenas.records.leases import Leases
from eenas.records.studies import StudyRecord, StudyRecords
from eenas.records.trials import TrialRecords
from eenas.records.workers import WorkerRecord, WorkerRecords, is_gone
from eenas.results.read import study_record
from eenas.specs import to_table
from eenas.study.presence import is_alive
from eenas.study.settings.reference import STORAGE
from eenas.study.settings.search_spec import ACCURACY
from eenas.study.study import open_storage

RECENT = 20
"""The number of last trials that give the pace."""
HALF = 0.5
"""The share of the backbone's MACs within which the best accuracy is also shown."""
WAITING = "waiting for another worker: "
"""The beginning of what a worker does that waits for a lease."""

_USEFUL = ("complete", "copied", "stopped")


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """A worker, and whether it is alive: its last heartbeat is recent and, on this machine, its process runs."""

    worker: WorkerRecord
    is_alive: bool

    @property
    def waits_for(self) -> str | None:
        """The work of another worker for which this one waits, or None."""
        doing = self.worker.doing
        return doing.removeprefix(WAITING) if self.is_alive and doing.startswith(WAITING) else None


@dataclass(frozen=True, kw_only=True)
class HeldLease:
    """A shared result that a worker is making: its name, and the worker."""

    name: str
    worker: str


@dataclass(frozen=True, kw_only=True)
class TrialPace:
    """The pace of the last trials: trials per hour, from `trials` of them, which ended within `seconds`."""

    per_hour: float
    trials: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class BestTrial:
    """The most accurate trial within a share of the backbone's MACs (None: of all), with accuracy and expected MACs."""

    number: int
    accuracy: float
    macs: float | None
    within: float | None = None


@dataclass(frozen=True, kw_only=True)
class StudyStatus:
    """The status of a study at one moment.

    `ended` of `total` trials are recorded, by state in `states`; `running` and `waiting` are those in Optuna that are
    not. Waiting ones are the queued first trials, of which there may be more than `total`, and those that were cut off.
    `leases` are those of the whole storage. `pace` is None before the third trial has ended. `others` are the
    names of the other studies in the storage.
    """

    study: str
    storage: str
    total: int
    ended: int
    states: Mapping[str, int]
    running: int
    waiting: int
    workers: tuple[WorkerStatus, ...]
    leases: tuple[HeldLease, ...]
    pace: TrialPace | None
    best: tuple[BestTrial, ...]
    others: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether all trials of the total have ended."""
        return self.ended >= self.total

    @property
    def alive(self) -> tuple[WorkerRecord, ...]:
        """The workers that are alive."""
        return tuple(each.worker for each in self.workers if each.is_alive)

    @property
    def seconds_left(self) -> float | None:
        """The estimated seconds to the total, or None without a worker or a pace.

        It assumes that the other trials take as long as the last ones, with the workers that these had.
        """
        if self.is_done:
            return 0.0
        if self.pace is None or not self.alive:
            return None
        return (self.total - self.ended) / self.pace.per_hour * 3600

    def to_table(self) -> dict[str, Any]:
        """Return the status as plain values, for JSON."""
        workers = [
            {**to_table(each.worker), "is_alive": each.is_alive, "waits_for": each.waits_for} for each in self.workers
        ]
        return {
            "study": self.study,
            "storage": self.storage,
            "is_done": self.is_done,
            "trials": {
                "total": self.total,
                "ended": self.ended,
                **{"running": self.running, "waiting": self.waiting},
                "states": dict(self.states),
            },
            "workers": workers,
            "leases": [vars(each) for each in self.leases],
            "pace": None if self.pace is None else dict(vars(self.pace)),
            "seconds_left": self.seconds_left,
            "best": [dict(vars(each)) for each in self.best],
            "others": list(self.others),
        }


class Watch:
    """A study that is looked at repeatedly: the storage is opened once, and ended trials are read once.

    `name` None is the newest study. Raises StorageError and StudyError.
    """

    def __init__(self, storage: str = STORAGE, name: str | None = None) -> None:
        self._database = Database(storage, create=False)
        self.name = study_record(self._database, name).name
        self._optuna = optuna.load_study(study_name=self.name, storage=open_storage(self._database))

    def status(self) -> StudyStatus:
        """Return the current status. Raises StorageError, and StudyError if the study was deleted."""
        database, name = self._database, self.name
        record = study_record(database, name)
        try:
            trials = self._optuna.get_trials(deepcopy=False)
        except Exception as error:  # SQLAlchemy and drivers have errors of their own
            raise database.to_storage_error(error) from error
        states = TrialRecords(database).states(name)
        by_state = Counter(trial.state for trial in trials)
        return StudyStatus(
            study=name,
            storage=database.label,
            total=int(record.settings["search"]["trials"]),
            ended=sum(states.values()),
            states=states,
            running=by_state[TrialState.RUNNING],
            waiting=by_state[TrialState.WAITING],
            workers=tuple(
                WorkerStatus(worker=each, is_alive=is_alive(each)) for each in WorkerRecords(database).list(name)
            ),
            leases=tuple(
                HeldLease(name=each.name, worker=each.worker)
                for each in Leases(database).held()
                if not is_gone(each.worker)  # the next worker takes it over at once
            ),
            pace=_pace(trials),
            best=_best(trials, record),
            others=tuple(each.name for each in StudyRecords(database).list() if each.name != name),
        )


def status(storage: str = STORAGE, name: str | None = None) -> StudyStatus:
    """Return the status of the study `name` in `storage`, or of the newest one there.

    Raises StorageError if the storage cannot be read, and StudyError if it has no such study.
    """
    return Watch(storage, name).status()


def _pace(trials: Sequence[FrozenTrial]) -> TrialPace | None:
    """Return the pace from the ends of the last trials, by the clocks of their workers.

    The first trials of workers that began together end together, so their pace is also that since the first start.
    """
    ended = [trial for trial in trials if trial.user_attrs.keys() & {"state", "reason"}]  # those with a record
    times = sorted(trial.datetime_complete for trial in ended if trial.datetime_complete)[-RECENT - 1 :]
    seconds = (times[-1] - times[0]).total_seconds() if len(times) > 2 else 0.0
    if seconds <= 0:
        return None
    found = TrialPace(per_hour=3600 * (len(times) - 1) / seconds, trials=len(times) - 1, seconds=seconds)
    starts = [trial.datetime_start for trial in ended if trial.datetime_start]
    if len(ended) > RECENT or not starts:
        return found
    since = (times[-1] - min(starts)).total_seconds()
    whole = TrialPace(per_hour=3600 * len(times) / since, trials=len(times), seconds=since) if since > 0 else found
    return min(whole, found, key=lambda pace: pace.per_hour)


def _best(trials: Sequence[FrozenTrial], record: StudyRecord) -> tuple[BestTrial, ...]:
    """Return the most accurate trial of all, and within half of the backbone's MACs."""
    objectives = list(record.settings["search"]["objectives"])
    if ACCURACY not in objectives:
        return ()
    costs = record.facts.get("backbone", {}).get("costs", {})
    total = costs.get(MACS) if isinstance(costs, Mapping) else None
    found = []
    for trial in trials:
        if trial.state == TrialState.COMPLETE and trial.user_attrs.get("state") in _USEFUL:
            values = dict(zip(objectives, trial.values, strict=True))
            found.append(BestTrial(number=trial.number, accuracy=values[ACCURACY], macs=values.get(MACS)))
    if not found:
        return ()
    best = [max(found, key=lambda each: (each.accuracy, -(each.macs or 0)))]
    cheap = [each for each in found if each.macs is not None and total and each.macs <= HALF * total]
    if cheap:
        chosen = max(cheap, key=lambda each: (each.accuracy, -(each.macs or 0)))
        best.append(BestTrial(number=chosen.number, accuracy=chosen.accuracy, macs=chosen.macs, within=HALF))
    return tuple(best)
