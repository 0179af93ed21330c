"""Kills a search at random moments, twenty times, and looks after each whether anything that was finished is gone.

    python tests/benchmarks/kills.py

The search is a real one in a process of its own, on the smallest task and backbone. After every `kill -9` all trials
that had ended before must be there with the same values, every row of the branch bank must have its artifact as it was
written, and no half-written file may be trusted. In the end the study has its total. Prints a line for each kill and
raises AssertionError at the first loss.
"""

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
from sqlalchemy import select

from eenas.errors import StorageError
from eenas.records.artifacts import ArtifactStore
from eenas.records.bank import BankRecord, BankRecords
from eenas.records.database import Database
from eenas.records.tables import BANK
from eenas.search.read import open_results
from eenas.search.study import remaining

SEARCH = """
import sys, optuna, torch
optuna.logging.set_verbosity(optuna.logging.ERROR)
from eenas.search.run import search
from eenas.testing.smallest import smallest_backbone, smallest_task
torch.set_num_threads(1)
torch.manual_seed(0)
search(smallest_backbone(), task=smallest_task(), storage=sys.argv[1], device="cpu", space="small",
       trials=int(sys.argv[2]), overrides=("prepare.when=always", "prepare.training.epochs=4", "training.epochs=3",
       "training.batch_size=16", "latency.seconds=0.05", "bank.feature_cache=50MB"))
"""
Ended = dict[int, tuple[float, ...]]


def ended(storage: str) -> Ended:
    """The values of the trials that have ended, as far as there is a study."""
    try:
        return {trial.number: trial.values for trial in open_results(storage).trials if trial.values is not None}
    except StorageError:
        return {}


def check_bank(storage: str) -> int:
    """Every row of the bank has a whole artifact; how many rows there are."""
    with contextlib.suppress(StorageError):
        database, store = Database(storage, create=False), ArtifactStore.beside(storage)
        with database.transaction() as connection:
            keys = list(connection.execute(select(BANK.c.key)).scalars())
        records: dict[str, BankRecord] = BankRecords(database).find(keys)
        assert all(store.holds(record.artifact) for record in records.values()), "a row without its artifact"
        return len(records)
    return 0


def main() -> None:
    """Kill, look, go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{Path(folder)}/eenas.db"
        command = [sys.executable, "-c", SEARCH, storage, str(given.trials)]
        known: Ended = {}
        for kill in range(1, given.kills + 1):
            after = chance.uniform(2.0, 14.0)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after)
            process.kill()
            process.wait()
            now = ended(storage)
            lost = [number for number, values in known.items() if now.get(number) != values]
            assert not lost, f"trials {lost} were finished before kill {kill} and are gone or changed"
            banked = check_bank(storage)
            print(f"kill {kill} after {after:.1f} s: {len(now)} trials ended, {banked} branches banked", flush=True)
            known = now
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        now = ended(storage)
        assert all(now[number] == values for number, values in known.items())
        results = open_results(storage)
        study = optuna.load_study(study_name=results.name, storage=storage)
        assert remaining(study, given.trials) == 0, f"{remaining(study, given.trials)} of {given.trials} trials lack"
        twice = given.trials - len(
            results.trials
        )  # it is not tried a third time, since it may be what ends the process
        print(
            f"nothing was lost; {len(results.trials)} trials in the end, {twice} that were killed twice "
            f"(the last {time.perf_counter() - start:.0f} s uncut)"
        )


if __name__ == "__main__":
    main()
