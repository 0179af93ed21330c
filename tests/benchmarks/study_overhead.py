"""What a trial costs beside its training: proposal, storage, records, bank, scores and figures after 200 trials.

    python tests/benchmarks/study_overhead.py

Runs 200 random trials whose training does nothing, then ten with each sampler on a copy of that study, and prints the
median seconds of a trial. The exit tables have 2,500 samples on each split. Takes some minutes.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

import eenas.study.context.bank as bank
import eenas.study.trials.design_training as design_training
from eenas.frozen.candidates import CandidatesReport
from eenas.reporting.dashboard.study_page import publish
from eenas.results.search import search
from eenas.tasks.spec import SplitSpec, SplitsSpec
from eenas.tasks.task import Task
from eenas.testing.smallest import smallest_backbone
from eenas.training.trainer import TrainingReport

TRIALS, MORE, TRIAL_SECONDS = 200, 10, 20.0


def task() -> Task:
    """Random images of ten classes: nothing is learned here."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, size=(6000, 8, 8, 3), dtype=np.uint8)
    splits = SplitsSpec(
        calibration=SplitSpec(source="train", size=2500), validation=SplitSpec(source="train", size=2500)
    )
    return Task.from_arrays("random", images, np.arange(6000) % 10, flip=False, splits=splits)


def run(folder: Path, sampler: str, trials: int, times: list[float]) -> None:
    """Go on with the study in `folder` up to `trials`, appending the seconds of each trial."""
    torch.manual_seed(0)
    written: dict[str, str] = {}
    last = [time.perf_counter()]

    def clock(event: object) -> None:
        if type(event).__name__ == "Advanced" and getattr(event, "phase", "") == "searching":
            times.append(time.perf_counter() - last[0])
            last[0] = time.perf_counter()

    search(
        smallest_backbone(10),
        task=task(),
        storage=f"sqlite:///{folder}/eenas.db",
        name="overhead",
        trials=trials,
        device="cpu",
        overrides=(
            f"search.sampler={sampler}",
            "search.prune=false",
            "prepare.when=never",
            "latency.seconds=0.05",
            "space.branches=3",
            "training.epochs=1",
            "training.precision=float32",
            "training.channels_last=false",
            "training.small_maps=false",
        ),
        listener=clock,
        reporters=[lambda results, study: publish(results, study, written=written)],
    )


def main() -> None:
    """Print one line a sampler."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    untrained = TrainingReport(0, 0.0, (0.0,), False)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(design_training, "train_network", lambda *a, **k: untrained)
    monkeypatch.setattr(bank, "train_candidates", lambda *a, **k: CandidatesReport())
    with tempfile.TemporaryDirectory() as root:
        base = Path(root) / "base"
        base.mkdir()
        run(base, "random", TRIALS, [])
        for sampler in ("random", "tpe", "nsgaii", "gp"):
            folder = Path(root) / sampler
            shutil.copytree(base, folder)
            _rename_identity(folder, sampler)
            times: list[float] = []
            run(folder, sampler, TRIALS + MORE, times)
            median = statistics.median(times[1:])
            print(
                f"{sampler:8s} {median:6.2f} s a trial after {TRIALS}: {median / TRIAL_SECONDS:.1%} of a 20 s trial",
                flush=True,
            )


def _rename_identity(folder: Path, sampler: str) -> None:
    """Let the copied study go on with another sampler, which is part of its identity."""
    from eenas.records.database import Database
    from eenas.records.studies import StudyRecords
    from eenas.records.tables import STUDIES
    from eenas.specs import digest

    database = Database(f"sqlite:///{folder}/eenas.db")
    record = StudyRecords(database).get("overhead")
    assert record is not None
    identity = {**record.identity, "sampler": sampler}
    import json

    body = {"identity": identity, "settings": record.settings, "facts": record.facts}
    with database.transaction() as connection:
        values = {"body": json.dumps(body), "identity_digest": digest(identity)}
        connection.execute(STUDIES.update().where(STUDIES.c.name == "overhead").values(**values))
    database.close()


if __name__ == "__main__":
    main()
