"""Kills search, train, export and calibrate at random moments, and runs the same command again until it is through.

    python tests/benchmarks/kills.py kills/ --kills 60
    python tests/postgresql_server.py python tests/benchmarks/kills.py kills/ --kills 60 --postgresql

One cycle goes from an empty folder to a recalibrated model; each command is killed (`kill -9`) a few times after a
random part of the time that it takes uncut. After every kill all trials that had ended must be there with the same
values, every row of the branch bank must have its artifact as it was written, and a model that was there must be whole.
When a command is through, its result is held against the one of a run that nobody cut off, bit for bit: the prepared
backbone, the branches of the bank, the scores of networks that both runs trained, the fully trained weights, programs
and policy. The total of trials must be exact, and nothing half-written may be left. What is measured in milliseconds is
left out.

FOLDER holds the uncut run, the cycle that is under way and a row for each kill (`kills.csv`); the same command goes on.
Raises AssertionError at the first loss. Commands are forked from a process that has all libraries loaded, so that kills
fall into their work.
"""

import argparse
import contextlib
import csv
import json
import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import safetensors.numpy
from sqlalchemy import create_engine, make_url, select, text

from eenas import files
from eenas.errors import StorageError
from eenas.programs.manifest import checksum
from eenas.programs.model_folder import load_design
from eenas.records.artifacts import ArtifactStore
from eenas.records.bank import BankRecord, BankRecords
from eenas.records.database import Database
from eenas.records.tables import BANK
from eenas.results.read import open_results
from eenas.results.results import StudyResults
from eenas.study.trials.recovery import GIVEN_UP
from tests.optuna_counts import remaining

NAME = "killed"
TRIALS = 6
SETTINGS = (
    *("task.input_size=32", "space.branches=2", "bank.branches=4", "latency.seconds=0.02", "latency.runtime=torch"),
    *("prepare.training.epochs=2", "training.samples=1024", "baselines.static=1"),
    'search.objectives=["accuracy","macs"]',
    *(f"{name}.{value}" for name in ("training", "prepare.training", "full_training") for value in (
        "batch_size=32", "precision=float32", "channels_last=false", "small_maps=false")),
    "full_training.epochs=2",
)  # fmt: skip
VERBS = {"search": 5, "train": 3, "export": 2, "calibrate": 2}
"""How often a cycle kills each command at most."""
SERVER = "EENAS_TEST_POSTGRESQL"
LOADED = (
    *("optuna", "timm", "torchvision", "ptflops", "sklearn.linear_model", "sklearn.datasets", "scipy.stats", "onnx"),
    *("onnxruntime", "onnxscript", "torch.export", "eenas.cli.main", "eenas.study.run", "eenas.runs.full_training"),
    *(
        "eenas.deployment.export",
        "eenas.deployment.calibration",
        "eenas.reporting.dashboard.study_page",
        "plotly.graph_objects",
    ),
)
"""What the process loads that commands are forked from."""


@dataclass(frozen=True)
class Place:
    """A folder with one study, its run and its model, and where its database is."""

    folder: Path
    storage: str
    network: str = "trial 1"
    """The network that is trained fully."""

    @property
    def artifacts(self) -> Path:
        """The study's artifacts."""
        return self.folder / "artifacts"

    def command(self, verb: str) -> list[str]:
        """The command line of a verb."""
        study = ["--storage", self.storage, "--name", NAME]
        kept = [*study, "--artifacts", str(self.artifacts), "--device", "cpu"]
        settings = [word for value in SETTINGS for word in ("--set", value)]
        search = ["--backbone", "branchynet_lenet", "--task", "digits", "--space", "small", "--trials", str(TRIALS)]
        run, model = str(self.folder / "run"), str(self.folder / "model")
        return {
            "search": ["search", *search, *kept, *settings],
            "train": ["train", "--network", self.network, "--out", run, *kept],
            "export": ["export", run, model, "--format", "onnx", "--single-file", "--data", "digits", *study],
            "calibrate": ["calibrate", model, "--data", "digits", "--max-accuracy-drop", "0.05", "--threads", "1"],
        }[verb]


def run_command(words: Sequence[str], log: Path) -> None:
    """One command of `eenas` in a process of its own; its exit status is the command's."""
    os.environ |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    import torch

    from eenas.cli.main import app

    torch.set_num_threads(1)
    app(list(words))


def go(place: Place, verb: str, after: float | None = None) -> tuple[bool, float]:
    """Run a verb and kill it `after` so many seconds; whether it was through, and how long it ran."""
    place.folder.mkdir(parents=True, exist_ok=True)
    forked = multiprocessing.get_context("forkserver")
    process = forked.Process(target=run_command, args=(place.command(verb), place.folder / f"{verb}.log"))
    start = time.perf_counter()
    process.start()
    process.join(after)
    process.kill()
    process.join()
    seconds = time.perf_counter() - start
    if process.exitcode not in (0, -9):
        log = (place.folder / f"{verb}.log").read_text().splitlines()
        raise AssertionError(f"{verb} ended with status {process.exitcode}: {' / '.join(log[-3:])}")
    return process.exitcode == 0, seconds


def results_of(place: Place) -> StudyResults | None:
    """The study, as far as there is one."""
    try:
        return open_results(place.storage, NAME)
    except Exception as error:
        if isinstance(error, StorageError) or "no study" in str(error):
            return None
        raise


def ended(place: Place) -> dict[int, tuple[float, ...]]:
    """The values of the trials that have ended."""
    results = results_of(place)
    return {} if results is None else {each.number: each.values for each in results.trials if each.values is not None}


def check_kept(place: Place) -> None:
    """Every row of the bank has a whole artifact, and the model that is there is whole."""
    keys: list[str] = []
    with contextlib.suppress(StorageError):  # killed before there was a bank
        database = Database(place.storage, create=False)
        with database.transaction() as connection:
            keys = list(connection.execute(select(BANK.c.key)).scalars())
    if keys:
        records: dict[str, BankRecord] = BankRecords(database).find(keys)
        store = ArtifactStore(place.artifacts)
        assert all(store.holds(record.artifact) for record in records.values()), "a row without its artifact"
    model = place.folder / "model"
    if model.exists():
        table = json.loads((model / "eenas.json").read_text())
        for part in (*table["program"]["segments"], table["program"]["single_file"]):
            assert checksum(model / part["file"]) == part["sha256"], f"{part['file']} is not the manifest's"


def tensors(folder: Path, pattern: str) -> dict[str, dict[str, Any]]:
    """The tensors of the artifacts of a kind, by kind and key; what follows is drawn at random."""
    found = {}
    for path in folder.glob(pattern):
        name = "-".join(path.stem.split("-")[:2])
        found[name] = {key: value.tobytes() for key, value in safetensors.numpy.load_file(path).items()}
    return found


def scores(place: Place) -> dict[str, Any]:
    """What networks reached, by what was trained; the latency is left out."""
    results = results_of(place)
    assert results is not None
    found: dict[str, Any] = {}
    for trial in results.trials:
        if trial.state in ("complete", "copied") and trial.design is not None:
            points = [(point.accuracy, point.expected["macs"]) for point in trial.points]
            found[trial.design.digest] = (trial.exit_accuracy, points)
    return found


def same_network(place: Place, reference: Place) -> Place:
    """The place with the trial that has the design of the reference's network: a killed trial runs again as another."""
    results, whole = results_of(place), results_of(reference)
    assert results is not None
    assert whole is not None
    design = next(trial.design for trial in whole.trials if f"trial {trial.number}" == reference.network)
    assert design is not None
    ended = (trial for trial in results.trials if trial.values is not None and trial.design is not None)
    number = next(trial.number for trial in ended if trial.design and trial.design.digest == design.digest)
    return replace(place, network=f"trial {number}")


def without_times(table: Any) -> Any:
    """A manifest without what is timed."""
    timed = (
        *("latency", "latency_ms", "end_to_end", "end_to_end_ms", "seconds", "predicted_ms", "measured_ms", "sha256"),
        *("expected_latency_ms", "worst_latency_ms", "parity", "device"),
    )
    if isinstance(table, dict):
        return {key: without_times(value) for key, value in table.items() if key not in timed}
    return [without_times(each) for each in table] if isinstance(table, list) else table


def check_through(place: Place, reference: Place, verb: str) -> None:
    """The result of a command that is through is that of the run that nobody cut off, and nothing else is left."""
    if verb == "search":
        study = optuna.load_study(study_name=NAME, storage=Database(place.storage).url)
        assert remaining(study, TRIALS) == 0
        whole_results = results_of(place)
        assert whole_results is not None
        given_up = sum(trial.reason == GIVEN_UP for trial in whole_results.trials)
        complete = sum(trial.state.name == "COMPLETE" for trial in study.trials)
        assert complete + given_up == TRIALS, "the total is not exact"
        for kind in ("backbone-*", "branch-*"):
            mine, whole = tensors(place.artifacts, kind), tensors(reference.artifacts, kind)
            assert mine.keys() & whole.keys(), kind
            assert all(mine[name] == whole[name] for name in mine.keys() & whole.keys()), kind
        assert tensors(place.artifacts, "backbone-*").keys() == tensors(reference.artifacts, "backbone-*").keys()
        mine, whole = scores(place), scores(reference)
        assert len(mine.keys() & whole.keys()) >= TRIALS // 2
        assert all(mine[name] == whole[name] for name in mine.keys() & whole.keys()), "a network has another score"
    elif verb == "train":
        weights = [(each.folder / "run" / "weights.safetensors").read_bytes() for each in (place, reference)]
        assert weights[0] == weights[1], "the fully trained weights differ"
    else:
        home = reference.folder if verb == "calibrate" else reference.folder.parent / "uncut-export"
        models = [place.folder / "model", home / "model"]
        assert {path.name for path in models[0].iterdir()} == {path.name for path in models[1].iterdir()}
        if verb == "export":
            for path in models[0].glob("segment_*"):
                assert path.read_bytes() == (models[1] / path.name).read_bytes(), path.name
        tables = [without_times(json.loads((model / "eenas.json").read_text())) for model in models]
        designs = [load_design(model / "design.json") for model in models]
        assert designs[0].digest == designs[1].digest  # the files also hold how the placement came about
        for table in tables:
            table["files"].pop("design.json")
        assert tables[0] == tables[1], "the manifests differ"
    left = [
        *place.folder.rglob("*.checkpoint.pt"),
        *place.folder.rglob("checkpoint.pt"),
        *place.folder.rglob("prepare-*"),
    ]
    left += [path for path in place.folder.rglob(".*") if files.is_temporary(path.name)]
    assert not left, f"left behind: {[path.name for path in left]}"


@contextlib.contextmanager
def cycle_place(folder: Path, name: str, *, postgresql: bool) -> Iterator[Place]:
    """The place of a cycle, which goes on where it is there; with a database of its own."""
    folder = folder.absolute() / name
    if not postgresql:
        yield Place(folder, f"sqlite:///{folder}/eenas.db")
        return
    server = make_url(os.environ[SERVER])
    database = f"eenas_{name}".replace("-", "_")
    admin = create_engine(server.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        there = connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": database}).first()
        if there is None:
            connection.execute(text(f'CREATE DATABASE "{database}"'))
            shutil.rmtree(folder, ignore_errors=True)
    admin.dispose()
    yield Place(folder, server.set(database=database).render_as_string(hide_password=False))


def cycle(
    place: Place, reference: Place, durations: dict[str, float], chance: random.Random, most: int
) -> Iterator[Any]:
    """Kill and go on through all verbs, at most `most` times; gives a row for each kill."""
    known: dict[int, tuple[float, ...]] = {}
    for verb, kills in VERBS.items():
        through = False
        for _ in range(kills):
            if most == 0 or through:
                break
            after = chance.uniform(0.05, 0.7) * durations[verb]
            through, seconds = go(place, verb, after)
            check_kept(place)
            now = ended(place)
            lost = [number for number, values in known.items() if now.get(number) != values]
            assert not lost, f"trials {lost} had ended before and are gone or changed"
            known = now
            if not through:
                most -= 1
                yield verb, f"{seconds:.2f}", len(now)
        if not through:
            through, _ = go(place, verb)
        assert through, f"{verb} did not come to an end"
        check_kept(place)
        check_through(place, reference, verb)
        if verb == "search":
            known = ended(place)
            place = same_network(place, reference)


def main(arguments: Sequence[str] | None = None) -> None:
    """Cycles until there are as many kills as are wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--postgresql", action="store_true", help=f"in the server that {SERVER} names")
    given = parser.parse_args(arguments)
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(LOADED))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kind = "postgresql" if given.postgresql else "sqlite"
    given.folder.mkdir(parents=True, exist_ok=True)
    log, timed = given.folder / f"{kind}.csv", given.folder / "uncut.json"
    reference = Place(given.folder.absolute() / "uncut", f"sqlite:///{given.folder.absolute()}/uncut/eenas.db")
    durations = json.loads(timed.read_text()) if timed.exists() else {}
    for verb in VERBS:
        if verb not in durations:
            through, durations[verb] = go(reference, verb)
            assert through, f"{verb} did not come to an end uncut"
            if verb == "export":
                shutil.rmtree(given.folder / "uncut-export", ignore_errors=True)
                shutil.copytree(reference.folder / "model", given.folder / "uncut-export" / "model")
            files.write_atomically(timed, lambda path: path.write_text(json.dumps(durations)))
    done = list(csv.reader(log.open())) if log.exists() else []
    while len(done) < given.kills:
        number = int(done[-1][0]) + 1 if done else 0
        chance = random.Random(f"{kind} {number} {len(done)}")
        with cycle_place(given.folder, f"{kind}-{number}", postgresql=given.postgresql) as place:
            rows = []
            for row in cycle(place, reference, durations, chance, given.kills - len(done)):
                rows.append([str(number), *map(str, row)])
                print(f"{kind}, kill {len(done) + len(rows)}: {row[0]} after {row[1]} s, {row[2]} trials", flush=True)
            done += rows or [[str(number), "none", "0", "0"]]
        with log.open("w", newline="") as stream:
            csv.writer(stream).writerows(done)
        shutil.rmtree(given.folder / f"{kind}-{number}")
    print(f"{kind}: {len(done)} kills, nothing that was finished was lost, all results as uncut")


if __name__ == "__main__":
    main()
