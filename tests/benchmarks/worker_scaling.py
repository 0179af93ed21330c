"""How many more trials two workers on two cores finish than one in the same time, where trials are single-threaded.

    python tests/benchmarks/worker_scaling.py --out scaling

Prepares a study of ResNet-20 on digits once. Then, for each repeat, one and two workers continue a copy of it in turns,
in an order that changes with each repeat. The rate of a run counts the trials between the first and the last ones, in
which all workers run. A run that is finished is not repeated. Takes about half an hour.
"""

import argparse
import json
import os
import shutil
import statistics
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

from eenas.progress import Advanced, Event
from eenas.workers.parallel_search import parallel_search
from eenas.workers.places import core_count

SETTINGS = (
    "search.sampler=random",
    "search.prune=false",
    "search.known_designs=false",
    "prepare.training.epochs=2",
    "baselines.static=0",
    "baselines.published=[]",
    "bank.designs=0",
    "bank.earlier=0",
    "bank.branches=4",
    "latency.seconds=0.05",
    "training.precision=float32",
    "training.channels_last=false",
    "training.small_maps=false",
)


def run(folder: Path, trials: int, workers: int, samples: int) -> list[tuple[float, float]]:
    """Continue the study in `folder` up to `trials`; return the seconds at which each number of trials was finished."""
    times: list[tuple[float, float]] = []

    def listen(event: Event) -> None:
        if isinstance(event, Advanced) and event.phase == "searching":
            times.append((time.perf_counter(), event.done))

    parallel_search(
        "cifar_resnet20",
        task="digits",
        space="small",
        storage=f"sqlite:///{folder}/eenas.db",
        name="scaling",
        device="cpu",
        trials=trials,
        workers=workers,
        overrides=(*SETTINGS, f"training.samples={samples}"),
        listener=listen,
    )
    return times


def rate(times: list[tuple[float, float]], workers: int) -> float:
    """Return the trials per second while all workers run: without the first and the last trial of each."""
    began = times[0][1]
    first = next(at for at, done in times if done >= began + workers)
    first_done = next(done for at, done in times if at == first)
    last, last_done = [(at, done) for at, done in times if done <= times[-1][1] - workers + 1][-1]
    return (last_done - first_done) / (last - first)


def main() -> None:
    """Run what is missing, and print the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("scaling"))
    parser.add_argument("--trials", type=int, default=16, help="trials of each run")
    parser.add_argument("--samples", type=int, default=6000, help="training samples of each trial")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    base, file = given.out / "base", given.out / "rates.json"
    rates: dict[str, float] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if not (base / "prepared").exists():
        base.mkdir(exist_ok=True)
        run(base, 1, 1, given.samples)
        (base / "prepared").touch()
    for repeat in range(given.repeats):
        for workers in (1, 2) if repeat % 2 == 0 else (2, 1):
            key = f"{repeat}/{workers}"
            if key in rates:
                continue
            folder = given.out / f"run-{repeat}-{workers}"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(base, folder)
            rates[key] = rate(run(folder, 1 + given.trials, workers, given.samples), workers)
            file.write_text(json.dumps(rates, indent=1) + "\n", encoding="utf-8")
            print(f"{key}: {60 * rates[key]:.2f} trials a minute")
    ratios = [rates[f"{repeat}/2"] / rates[f"{repeat}/1"] for repeat in range(given.repeats)]
    print(f"two workers on {core_count()} cores: {statistics.median(ratios):.2f} x the trials of one", end="")
    print(f" (median of {', '.join(f'{each:.2f}' for each in ratios)})")


if __name__ == "__main__":
    main()
