"""What people look at, timed: the report of a study of 200 trials, and the live page's share of that study's search.

    python tests/benchmarks/report.py [FOLDER]

Searches on the smallest task with a tiny backbone, every trial trained and scored as usual, and refreshes the live page
as `eenas search` does; then makes the report in a process of its own, as `eenas report` is. Both are printed against
their limits: 20 s, and 2 % of the search. A search that was cut off goes on in FOLDER (default: a new one, thrown
away); the share is then that of the trials that were left. Takes some minutes.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import optuna

from eenas.cli.terminal.failures import quiet_storage
from eenas.reporting.dashboard.study_page import publish
from eenas.results.results import StudyResults
from eenas.results.search import Reporting
from eenas.results.search import search as run_search
from eenas.testing.smallest import smallest_task

TRIALS, REPORT_SECONDS, PAGE_SHARE, LARGEST = 200, 20.0, 0.02, 8_000_000
SETTINGS = (
    "training.epochs=3",
    "training.precision=float32",
    "training.channels_last=false",
    "prepare.when=always",
    "prepare.training.epochs=3",
    "latency.seconds=0.05",
    "space.branches=3",
)


def main() -> int:
    """Print three lines; the exit status is 1 where a limit is not kept."""
    quiet_storage()
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        return measure(folder)
    with tempfile.TemporaryDirectory() as root:
        return measure(Path(root))


def measure(folder: Path) -> int:
    """Search, refresh and report in `folder`."""
    seconds, refreshed, last = search(folder)
    share = (refreshed - last) / seconds
    made, size = report(folder)
    rows = (
        ("live page, of the search's time", f"{share:.2%}", f"{PAGE_SHARE:.0%}", share <= PAGE_SHARE),
        ("report, seconds", f"{made:.1f}", f"{REPORT_SECONDS:g}", made <= REPORT_SECONDS),
        ("report, MB", f"{size / 1e6:.1f}", f"{LARGEST / 1e6:g}", size <= LARGEST),
    )
    print(f"{TRIALS} trials in {seconds:.0f} s; the page's last state, after the search, took {last:.1f} s more")
    for name, value, limit, is_kept in rows:
        print(f"{name:32s} {value:>8s}, at most {limit:>4s}: {'kept' if is_kept else 'NOT KEPT'}")
    return 0 if all(is_kept for *_, is_kept in rows) else 1


def search(folder: Path) -> tuple[float, float, float]:
    """Seconds of the search up to its last trial, of all refreshing, and of the last one, which comes after it."""
    times: list[float] = []
    refresh = Reporting.last  # reading the study for the page is the page's time, too

    def timed(reporting: Reporting, study: optuna.Study) -> StudyResults:
        start = time.perf_counter()
        try:
            return refresh(reporting, study)
        finally:
            times.append(time.perf_counter() - start)

    Reporting.last = timed  # type: ignore[assignment,method-assign]
    reporter: Callable[..., None] = partial(publish, written={})
    start = time.perf_counter()
    run_search(
        "eenas.testing.smallest:smallest_backbone",
        task=f"npz:{data(folder)}",
        storage=f"sqlite:///{folder}/eenas.db",
        name="report",
        trials=TRIALS,
        device="cpu",
        overrides=SETTINGS,
        trust_code=True,
        reporters=[reporter],
    )
    return time.perf_counter() - start - times[-1], sum(times), times[-1]


def data(folder: Path) -> Path:
    """The smallest task as a file, so that the report finds its pictures again."""
    file = folder / "smallest.npz"
    if not file.exists():
        task = smallest_task()
        parts = [task.split(name) for name in ("train", "calibration", "validation", "test")]
        images = np.concatenate([part.images(8, 3)[np.arange(len(part))].numpy() for part in parts])
        np.savez(file, train_x=np.moveaxis(images, 1, 3), train_y=np.concatenate([part.labels for part in parts]))
    return file


def report(folder: Path) -> tuple[float, int]:
    """Seconds of `eenas report`, from the start of its process, and the bytes of its page."""
    page = folder / "report.html"
    words = ("report", "--storage", f"sqlite:///{folder}/eenas.db", "--trust-code", "--out", str(page))
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "eenas", *words], check=True, capture_output=True)
    return time.perf_counter() - start, page.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
