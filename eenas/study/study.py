"""The Optuna study: its storage, and which of its trials count."""

from contextlib import suppress

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from eenas.policies.costs import LATENCY, MACS
from eenas.records.database import Database
from eenas.study.experimental import experimental
from eenas.study.samplers import build_sampler
from eenas.study.settings.search_spec import ACCURACY
from eenas.study.settings.study_spec import StudySpec

HEARTBEAT = 10
GRACE = 40
"""Seconds between signs of life of a running trial, and after which one without them counts as dead."""

DIED, STOPPED, SURPLUS = "died", "stopped", "surplus"
"""How a trial was cut off: with its process, by Ctrl-C or a fault of the machine, or as one too many."""

METRICS = {MACS: "expected MACs", LATENCY: "expected ms"}
"""What Optuna shows for costs that every study has; others are "expected NAME"."""


def open_storage(database: Database) -> RDBStorage:
    """Optuna's tables in the same database as eenas's own, with heartbeats for trials in flight."""
    try:
        with experimental():
            return _Storage(
                database.url,
                engine_kwargs=database.engine_options(),
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
            )
    except Exception as error:  # SQLAlchemy, alembic and drivers each have their own
        raise database.to_storage_error(error) from error


class _Storage(RDBStorage):
    """Optuna's storage, whose thread of heartbeats outlives a server that is away for a while.

    Optuna itself finds no silent trials in it, since it would fail those, too, whose result is on record: see `silent`.
    """

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        return []

    def silent(self, study_id: int) -> list[int]:
        """The running trials that have shown no sign of life for longer than the grace."""
        return super()._get_stale_trial_ids(study_id)

    def record_heartbeat(self, trial_id: int) -> None:
        """Show that a trial runs; where that fails, the next one may not, and the trial's own end tells of it."""
        with suppress(Exception):
            super().record_heartbeat(trial_id)


def open_study(
    storage: RDBStorage, name: str, settings: StudySpec, sampler: optuna.samplers.BaseSampler | None = None
) -> optuna.Study:
    """The study of this name, new or continued; `sampler` proposes in the place of the one that the settings name."""
    objectives = settings.search.objectives
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=["maximize" if objective == ACCURACY else "minimize" for objective in objectives],
        load_if_exists=True,
    )
    with experimental():
        study.set_metric_names([o if o == ACCURACY else METRICS.get(o, f"expected {o}") for o in objectives])
    study.sampler = sampler or build_sampler(settings.search.sampler, settings.seed)
    return study


def remaining(study: optuna.Study, total: int) -> int:
    """How many trials are still to run until `total` have ended; those that are run again do not count as ended."""
    states = (TrialState.COMPLETE, TrialState.FAIL)
    trials = study.get_trials(deepcopy=False, states=states)
    again = run_again(study)
    return max(0, total - sum(counts(trial, again) for trial in trials))


def is_surplus(study: optuna.Study, number: int, total: int) -> bool:
    """Whether the trials before this one make up the total already.

    Two workers that see one trial left in the same instant both start one; of these the later is one too many.
    """
    again = run_again(study)
    trials = study.get_trials(deepcopy=False)
    return sum(trial.number < number and counts(trial, again) for trial in trials) >= total


def silent_trials(study: optuna.Study) -> set[int]:
    """The ids of running trials that have shown no sign of life for longer than the grace."""
    storage = getattr(study._storage, "_backend", study._storage)
    return set(storage.silent(study._study_id)) if isinstance(storage, _Storage) else set()


def running(study: optuna.Study) -> int:
    """How many trials are in flight, those of other workers among them."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def origin(trial: FrozenTrial | optuna.Trial) -> str:
    """Where a trial's parameters come from, such as "known: uniform 3 fc", or "sampler"."""
    return str(trial.user_attrs.get("origin", "sampler"))


def counts(trial: FrozenTrial, again: set[int]) -> bool:
    """Whether a trial is one of the total: not one that another replaces or will replace, and not one too many."""
    failed = trial.state == TrialState.FAIL
    return not (failed and (trial.number in again or trial.user_attrs.get("cut_off") in (STOPPED, SURPLUS)))


def run_again(study: optuna.Study) -> set[int]:
    """The numbers of trials in whose place another one was queued."""
    trials = study.get_trials(deepcopy=False)
    with experimental():
        retried = {RetryHeartbeatStaleTrialCallback.retried_trial_number(trial) for trial in trials}
    queued = {trial.user_attrs.get("again_for") for trial in trials}
    return {number for number in retried | queued if number is not None}
