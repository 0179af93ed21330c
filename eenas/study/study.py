"""The Optuna study: its storage, and counting its trials."""

from collections.abc import Sequence
from contextlib import suppress

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from eenas.policies.contexts.robustness import MEASURES
from eenas.policies.costs import LATENCY, MACS
from eenas.records.database import Database
from eenas.study.experimental import experimental
from eenas.study.interrupts import held_interrupts
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
                engine_kwargs=database.optuna_options(),
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
            )
    except Exception as error:  # SQLAlchemy, alembic and the drivers have different errors
        raise database.to_storage_error(error) from error


class _HeartbeatStorage(RDBStorage):
    """Optuna's storage with a heartbeat thread that survives a temporary outage of the server.

    Optuna gets no stale trials from it, since it would also fail trials with a recorded result. See `silent`.
    """

    begun: int | None = None
    """The id of the trial that this process last marked as running, also if the answer of the server was lost."""

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Set the state and values of a trial, and note one that begins."""
        if state == TrialState.RUNNING:
            self.begun = trial_id
        return super().set_trial_state_values(trial_id, state, values)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        """Create a trial, and note one that begins. Ctrl-C between the two would leave a trial that nobody knows."""
        with held_interrupts():
            trial = super()._create_new_trial(study_id, template_trial)
            if template_trial is None:
                self.begun = trial._trial_id
        return trial

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


def silent_trials(study: optuna.Study) -> set[int]:
    """Return the ids of running trials without a heartbeat for longer than the grace period."""
    storage = _heartbeat_storage(study)
    return set() if storage is None else set(storage.silent(study._study_id))


def begun_here(study: optuna.Study) -> int | None:
    """Return the id of the trial that this process last marked as running, or None."""
    storage = _heartbeat_storage(study)
    return None if storage is None else storage.begun


def _heartbeat_storage(study: optuna.Study) -> _HeartbeatStorage | None:
    storage = getattr(study._storage, "_backend", study._storage)
    return storage if isinstance(storage, _HeartbeatStorage) else None


def origin(trial: FrozenTrial | optuna.Trial) -> str:
    """Return the source of a trial's parameters, such as "known: uniform 3 fc" or "sampler"."""
    return str(trial.user_attrs.get("origin", "sampler"))


class RunAgain:
    """The numbers of a study's trials that were queued again. Each trial is looked at once."""

    def __init__(self, study: optuna.Study) -> None:
        self._study, self._looked, self._numbers = study, 0, set[int]()

    def numbers(self) -> set[int]:
        """Return the numbers known now."""
        trials = self._study.get_trials(deepcopy=False)
        fresh = trials[self._looked :]  # by number, and what a trial runs again is fixed when it is queued
        self._looked = len(trials)
        self._numbers.update(number for trial in fresh if (number := first_run_of(trial)) is not None)
        return self._numbers


def first_run_of(trial: FrozenTrial) -> int | None:
    """Return the number of the trial that this one runs again, or None."""
    number = trial.user_attrs.get("again_for", trial.system_attrs.get("failed_trial"))  # the second is Optuna's own
    return None if number is None else int(number)
