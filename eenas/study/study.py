"""The Optuna study: its storage, and counting its trials."""

from contextlib import suppress

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from eenas.policies.contexts.robustness import MEASURES
from eenas.policies.costs import LATENCY, MACS
from eenas.records.database import Database
from eenas.study.experimental import experimental
from eenas.study.samplers import build_sampler
from eenas.study.settings.search_spec import ACCURACY
from eenas.study.settings.study_spec import StudySpec

HEARTBEAT = 10
GRACE = 40
"""The seconds between heartbeats of a running trial, and without a heartbeat until it counts as dead."""

DIED, STOPPED, SURPLUS = "died", "stopped", "surplus"
"""How a trial was cut off: its process died, Ctrl-C or the machine stopped it, or it was beyond the total."""

METRICS = {MACS: "expected MACs", LATENCY: "expected ms"}
"""The metric names in Optuna for the costs of every study. Other costs are "expected NAME"."""


def open_storage(database: Database) -> RDBStorage:
    """Open Optuna's tables in the database of eenas, with heartbeats for running trials. Raises StorageError."""
    try:
        with experimental():
            return _HeartbeatStorage(
                database.url,
                engine_kwargs=database.engine_options(),
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
            )
    except Exception as error:  # SQLAlchemy, alembic and the drivers have different errors
        raise database.to_storage_error(error) from error


class _HeartbeatStorage(RDBStorage):
    """Optuna's storage with a heartbeat thread that survives a temporary outage of the server.

    Optuna gets no stale trials from it, since it would also fail trials with a recorded result. See `silent`.
    """

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        return []

    def silent(self, study_id: int) -> list[int]:
        """Return the ids of running trials without a heartbeat for longer than the grace period."""
        return super()._get_stale_trial_ids(study_id)

    def record_heartbeat(self, trial_id: int) -> None:
        """Record a heartbeat. Errors are ignored: the next one may succeed, and the end of the trial reports them."""
        with suppress(Exception):
            super().record_heartbeat(trial_id)


def open_study(
    storage: RDBStorage, name: str, settings: StudySpec, sampler: optuna.samplers.BaseSampler | None = None
) -> optuna.Study:
    """Create the study with this name, or continue it. `sampler` replaces the one in the settings."""
    objectives = settings.search.objectives
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=["maximize" if each in (ACCURACY, *MEASURES) else "minimize" for each in objectives],
        load_if_exists=True,
    )
    with experimental():
        study.set_metric_names([_metric(objective) for objective in objectives])
    study.sampler = sampler or build_sampler(settings.search.sampler, settings.seed)
    return study


def _metric(objective: str) -> str:
    """Return the name of an objective in Optuna's figures."""
    if objective in (ACCURACY, *MEASURES):
        return objective.replace("_", " ")
    return METRICS.get(objective, f"expected {objective}")


def remaining(study: optuna.Study, total: int) -> int:
    """Return the number of trials to run until `total` have ended. Trials that are run again do not count as ended."""
    states = (TrialState.COMPLETE, TrialState.FAIL)
    trials = study.get_trials(deepcopy=False, states=states)
    again = run_again(study)
    return max(0, total - sum(counts(trial, again) for trial in trials))


def is_surplus(study: optuna.Study, number: int, total: int) -> bool:
    """Whether the trials before this one already reach the total.

    Two workers that see the last trial left at the same time both start it; the later one is surplus.
    """
    again = run_again(study)
    trials = study.get_trials(deepcopy=False)
    return sum(trial.number < number and counts(trial, again) for trial in trials) >= total


def silent_trials(study: optuna.Study) -> set[int]:
    """Return the ids of running trials without a heartbeat for longer than the grace period."""
    storage = getattr(study._storage, "_backend", study._storage)
    return set(storage.silent(study._study_id)) if isinstance(storage, _HeartbeatStorage) else set()


def running(study: optuna.Study) -> int:
    """Return the number of running trials of all workers."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def origin(trial: FrozenTrial | optuna.Trial) -> str:
    """Return the source of a trial's parameters, such as "known: uniform 3 fc" or "sampler"."""
    return str(trial.user_attrs.get("origin", "sampler"))


def counts(trial: FrozenTrial, again: set[int]) -> bool:
    """Whether a trial counts towards the total. Trials that are run again and surplus ones do not."""
    failed = trial.state == TrialState.FAIL
    return not (failed and (trial.number in again or trial.user_attrs.get("cut_off") in (STOPPED, SURPLUS)))


def run_again(study: optuna.Study) -> set[int]:
    """Return the numbers of trials that were queued again."""
    trials = study.get_trials(deepcopy=False)
    with experimental():
        retried = {RetryHeartbeatStaleTrialCallback.retried_trial_number(trial) for trial in trials}
    queued = {trial.user_attrs.get("again_for") for trial in trials}
    return {number for number in retried | queued if number is not None}
