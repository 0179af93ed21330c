"""Many workers on one study in PostgreSQL: an exact total, nothing lost or doubled, and a flat cost of trials.

    python tests/benchmarks/cluster_load.py FOLDER [--workers 64] [--trials 5000] [--kills 20] [--real 8]

Every worker is a process that runs the search of eenas with training replaced by nothing: claims, proposals, recovery,
leases, records and scores are those of a search. Steps, each left out when FOLDER has its result already:

1. `early`: one worker alone runs the study up to 100 trials and 20 more; the seconds of the latter are kept.
2. `load`: the workers run it up to `--trials`. Some are killed by SIGKILL at random times and replaced, and the server
   is stopped for `--outage` seconds in the middle.
3. `late`: one worker alone runs 20 trials more.
4. `real`: `--real` processes of `eenas search` run a study of tiny trials, two of them are killed and replaced.

`checks` then reads the database. The seconds of a trial are those beside training and scoring: proposal, claim,
records, recovery, page and progress. FOLDER/cluster_load.json has the results; the data of the server stay in FOLDER.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState

import eenas.study.context.bank as bank
import eenas.study.trials.design_training as design_training
import eenas.study.trials.objective as objective
import eenas.study.trials.trial as trial_module
from eenas.errors import EenasError
from eenas.frozen.candidates import CandidatesReport
from eenas.progress import Notice
from eenas.records.claims import Claims
from eenas.records.database import Database
from eenas.records.tables import TRIALS
from eenas.results.search import search
from eenas.study.study import DIED, SURPLUS, open_storage, origin
from eenas.testing.smallest import smallest_backbone, smallest_task
from eenas.training.trainer import TrainingReport
from tests.postgresql_server import Server
from tests.smallest_study import SETTINGS

EARLY, ALONE = 100, 20
NAMES = ("load", "real")
FORK = multiprocessing.get_context("fork")
OVERRIDES = (*SETTINGS, "prepare.when=never", "search.prune=false", "space.branches=3")


def work(url: str, folder: Path, total: int, log: Path) -> None:
    """Search with training that does nothing; append the seconds of each trial beside its scoring to `log`."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    torch.set_num_threads(1)
    scored, last = [0.0], [time.perf_counter()]
    patch = pytest.MonkeyPatch()
    patch.setattr(design_training, "train_network", lambda *a, **k: TrainingReport(0, 0.0, (0.0,), False))
    patch.setattr(bank, "train_candidates", lambda *a, **k: CandidatesReport())
    real = trial_module.run_trial

    def timed(*arguments: Any, **options: Any) -> trial_module.Outcome:
        start = time.perf_counter()
        try:
            return real(*arguments, **options)
        finally:
            scored[0] += time.perf_counter() - start

    patch.setattr(objective, "run_trial", timed)

    def listen(event: object) -> None:
        now = time.perf_counter()
        if type(event).__name__ == "Advanced" and getattr(event, "phase", "") == "searching":
            with log.open("a") as out:
                out.write(f"{now - last[0] - scored[0]:.6f}\n")
            scored[0], last[0] = 0.0, now
        elif isinstance(event, Notice) and "storage" in event.text:
            with log.with_suffix(".notices").open("a") as out:
                out.write(f"{event.text}\n")

    torch.manual_seed(0)
    try:
        search(
            smallest_backbone(),
            task=smallest_task(),
            storage=url,
            artifacts=folder / "artifacts",
            name=NAMES[0],
            trials=total,
            device="cpu",
            space="small",
            overrides=OVERRIDES,
            listener=listen,
        )
    except EenasError as error:
        with log.with_suffix(".errors").open("a") as out:
            out.write(f"{error}\n")
        os._exit(2)
    os._exit(0)


def start(url: str, folder: Path, total: int, log: Path) -> ForkProcess:
    process = FORK.Process(target=work, args=(url, folder, total, log), daemon=True)
    process.start()
    return process


def ended(url: str, name: str) -> int:
    """The recorded trials; no connection is left open, which a forked worker would inherit."""
    database = Database(url)
    try:
        return Claims(database, name).ended()
    finally:
        database.close()


def alone(url: str, folder: Path, total: int, log: Path) -> list[float]:
    """The seconds of each trial of one worker alone, up to `total`."""
    log.unlink(missing_ok=True)
    process = start(url, folder, total, log)
    process.join()
    if process.exitcode:
        raise SystemExit(f"the worker ended with status {process.exitcode}: {log.with_suffix('.errors').read_text()}")
    return [float(line) for line in log.read_text().split()]


def load(made: Server, folder: Path, given: argparse.Namespace) -> dict[str, object]:
    """Run the workers to the total, with kills and an outage."""
    log, chance, url = folder / "load.log", random.Random(0), made.url
    log.unlink(missing_ok=True)
    begin, first = time.monotonic(), ended(url, NAMES[0])
    workers = [start(url, folder, given.trials, log) for _ in range(given.workers)]
    kills, outage = 0, 0.0
    next_kill = time.monotonic() + given.pause
    while True:
        time.sleep(0.5)
        done = ended(url, NAMES[0])
        if done >= given.trials and not any(each.is_alive() for each in workers):
            break
        if not outage and done - first >= (given.trials - first) / 2:
            made.stop("fast")
            stopped = time.monotonic()
            time.sleep(given.outage)
            made.start(f"max_connections={8 * given.workers + 40}")
            outage = time.monotonic() - stopped
        if kills < given.kills and time.monotonic() >= next_kill and done < given.trials:
            alive = [each for each in workers if each.is_alive()]
            if alive:
                victim = chance.choice(alive)
                victim.kill()
                victim.join()
                kills += 1
            next_kill = time.monotonic() + given.pause * chance.uniform(0.5, 1.5)
        gone = [each for each in workers if not each.is_alive()]
        if done < given.trials:
            workers = [each for each in workers if each.is_alive()]
            workers += [start(url, folder, given.trials, log) for _ in gone]
    seconds = [float(line) for line in log.read_text().split()]
    errors = log.with_suffix(".errors")
    return {
        "workers": given.workers,
        "kills": kills,
        "outage_seconds": round(outage, 1),
        "seconds": round(time.monotonic() - begin, 1),
        "trials_a_second": round((given.trials - first) / (time.monotonic() - begin), 2),
        "median_seconds_of_a_trial_under_load": statistics.median(seconds) if seconds else None,
        "workers_that_ended_with_an_error": len(errors.read_text().splitlines()) if errors.exists() else 0,
    }


def real(url: str, folder: Path, count: int) -> dict[str, object]:
    """Run `eenas search` in `count` processes of its own with tiny trials, and kill two of them."""
    total = 6 * count
    factory = "eenas.testing.smallest"
    command = [
        *(sys.executable, "-m", "eenas.cli.main", "search", "--backbone", f"{factory}:smallest_backbone"),
        *(
            "--task",
            f"{factory}:smallest_task",
            "--trust-code",
            "--storage",
            url,
            "--name",
            NAMES[1],
            "--device",
            "cpu",
        ),
        *("--artifacts", str(folder / "artifacts"), "--space", "small", "--trials", str(total)),
        *(part for each in SETTINGS for part in ("--set", each)),
    ]

    def run(number: int) -> subprocess.Popen[str]:
        out = (folder / f"real-{number}.out").open("w")
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, text=True)

    begin = time.monotonic()
    workers = [run(number) for number in range(count)]
    for killed in range(2):
        while ended(url, NAMES[1]) < (killed + 1) * total // 4:
            if all(each.poll() is not None for each in workers):
                raise SystemExit(f"no search runs any more: {(folder / 'real-0.out').read_text()[-2000:]}")
            time.sleep(0.5)
        workers[killed].send_signal(signal.SIGKILL)
        workers[killed].wait()
        workers[killed] = run(count + killed)
    status = [each.wait() for each in workers]
    return {"processes": count, "kills": 2, "status": status, "seconds": round(time.monotonic() - begin, 1)}


def checks(url: str, name: str, total: int) -> dict[str, object]:
    """What the tables say at the end; `faults` is empty if every guarantee held."""
    database = Database(url)
    study = optuna.load_study(study_name=name, storage=open_storage(database))
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    with database.transaction() as connection:
        records = set(
            connection.execute(
                TRIALS.select().with_only_columns(TRIALS.c.number).where(TRIALS.c.study == name)
            ).scalars()
        )
    claims = Claims(database, name)
    states = Counter(trial.state.name for trial in trials.values())
    reruns: dict[int, list[int]] = {}
    for trial in trials.values():
        if (first := trial.user_attrs.get("again_for")) is not None and trial.user_attrs.get("cut_off") != SURPLUS:
            reruns.setdefault(first, []).append(trial.number)
    faults = []
    if len(records) != total or claims.ended() != total or claims.list():
        faults.append(f"{len(records)} records, {claims.ended()} counted, {len(claims.list())} claims left, of {total}")
    if states["RUNNING"] or states["WAITING"]:
        faults.append(f"trials that never ended: {states}")
    cut_off = 0
    for number, trial in trials.items():
        if trial.state == TrialState.COMPLETE and number not in records:
            faults.append(f"trial {number} is complete without a record")
        if trial.state != TrialState.FAIL or number in records or trial.user_attrs.get("cut_off") == SURPLUS:
            if number in reruns:
                faults.append(f"trial {number} was recorded and run again")
            continue
        cut_off += 1
        if len(reruns.get(number, ())) != 1:
            faults.append(f"trial {number} was cut off and run again {len(reruns.get(number, ()))} times")
            continue
        again = trials[reruns[number][0]]
        if any(again.params.get(key, value) != value for key, value in trial.params.items()):
            faults.append(f"trial {again.number} runs trial {number} again with other parameters")
    drawn = [
        tuple(sorted(trial.params.items()))
        for trial in trials.values()
        if origin(trial) == "sampler" and trial.state == TrialState.COMPLETE
    ]
    return {
        "trials": total,
        "faults": faults,
        "states": dict(states),
        "cut_off_and_run_again": cut_off,
        "died": sum(trial.user_attrs.get("cut_off") == DIED for trial in trials.values()),
        "drawn": len(drawn),
        "duplicates_percent": round(100 * (1 - len(set(drawn)) / max(1, len(drawn))), 3),
    }


def main() -> int:
    """Run the steps that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pause", type=float, default=10.0, help="seconds between two kills")
    parser.add_argument("--outage", type=float, default=30.0, help="seconds without the server")
    parser.add_argument("--real", type=int, default=8)
    given = parser.parse_args()
    folder: Path = given.folder.absolute()
    (folder / "server").mkdir(parents=True, exist_ok=True)
    (folder / "artifacts").mkdir(exist_ok=True)
    results = folder / "cluster_load.json"
    found = json.loads(results.read_text()) if results.exists() else {}

    def keep(step: str, make: Callable[[], object]) -> None:
        if step not in found:
            found[step] = make()
            results.write_text(json.dumps(found, indent=2))
        print(step, json.dumps(found[step]), flush=True)

    made = Server(folder / "server")
    if (folder / "server" / "data" / "postmaster.pid").exists():  # of a run that was cut off
        with contextlib.suppress(SystemExit):  # it has ended already
            made.stop("fast")
    made.start(f"max_connections={8 * given.workers + 40}")
    try:
        url = made.url
        early = min(EARLY, given.trials // 4)

        def first() -> list[float]:
            alone(url, folder, early, folder / "before.log")
            return alone(url, folder, early + ALONE, folder / "early.log")[-ALONE:]

        keep("early", first)
        keep("load", lambda: load(made, folder, given))
        keep("late", lambda: alone(url, folder, given.trials + ALONE, folder / "late.log")[-ALONE:])
        keep("checks", lambda: checks(url, NAMES[0], given.trials + ALONE))
        if given.real:
            keep("real", lambda: real(url, folder, given.real))
            keep("real_checks", lambda: checks(url, NAMES[1], 6 * given.real))
        before, after = (float(np.median(found[step])) for step in ("early", "late"))
        print(f"a trial beside training and scoring: {before:.3f} s at {early}, {after:.3f} s at {given.trials}: "
              f"{after / before:.2f} times")  # fmt: skip
    finally:
        made.stop("fast")
    return int(any(found.get(step, {}).get("faults") for step in ("checks", "real_checks")))


if __name__ == "__main__":
    sys.exit(main())
