"""What is no design's fault uses up no trial: the study stops with the reason, and the same search goes on."""

import optuna
import pytest

from eenas.errors import MachineError, StorageError
from eenas.progress import silent
from eenas.records.database import Database
from eenas.records.in_flight import InFlight
from eenas.results.read import open_results
from eenas.results.results import StudyResults
from eenas.study.study import open_storage
from eenas.study.trials.recovery import Recovery
from tests.optuna_counts import remaining
from tests.smallest_study import SETTINGS, run_search, url
from tests.study.machine_faults import FAULTS

TOTAL = 40
QUICK = (*SETTINGS, "training.epochs=0.1", "bank.designs=0", "baselines.static=0")
SOME = (
    "training: MemoryError",
    "training: the allocator of torch",
    "tables: no temporary folder",
    "artifacts: the folder is away",
    "records: full",
    "Optuna: values, read-only",
    "database: moved away",
    "limit: open files",
)
"""The others are tried by `tests/benchmarks/machine_faults.py`."""


def go(folder, trials=TOTAL) -> StudyResults:
    return run_search(folder, name="s", overrides=QUICK, trials=trials)


def used_up(folder) -> int:
    """The trials that count for the study's total and came to nothing, once what was cut off is queued again."""
    database = Database(url(folder))
    study = optuna.load_study(study_name="s", storage=open_storage(database))
    Recovery(study, database, InFlight(folder / "eenas.artifacts"), silent).run()
    counted = TOTAL - remaining(study, TOTAL)
    return counted - len([trial for trial in open_results(url(folder)).trials if trial.values is not None])


def befall(folder, name: str) -> str:
    """Run the search into a fault; what it says in the end."""
    with FAULTS[name](folder), pytest.raises((MachineError, StorageError)) as caught:
        go(folder)
    return str(caught.value)


def test_faults_one_after_another_in_the_same_study_use_up_no_trial(tmp_path):
    go(tmp_path, trials=1)
    for name in SOME:
        assert "\n" not in befall(tmp_path, name), name
    ended = len(open_results(url(tmp_path)).trials)
    whole = go(tmp_path, trials=ended + 1)
    assert len(whole.trials) == ended + 1
    assert {trial.state for trial in whole.trials} <= {"complete", "copied", "stopped"}
    assert used_up(tmp_path) == 0
