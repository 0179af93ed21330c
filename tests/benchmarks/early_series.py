"""Early classification of series: eenas, TEASER, and a threshold on probabilities, on the sets that aeon carries.

    OMP_NUM_THREADS=1 python tests/benchmarks/early_series.py run --out early_series.csv [--sets GunPoint ...]
    python tests/benchmarks/early_series.py table --out early_series.csv

All classifiers are fitted on aeon's train split and answer its test split as a stream: at each point where a classifier
can answer, it gets all points so far of the series that it has not yet answered. A row holds accuracy, earliness, their
harmonic mean, the processor time of answering per series (the least of the rounds, in which classifiers alternate), the
time of fitting, and for eenas the MACs per answered series. TEASER has its defaults, eenas its own; the threshold
classifier has the classifiers and points of TEASER, since its own default takes hours. A set that is in the file is not
run again. Times are of the processor, so that other programs on the machine count little, with one thread: numba, which
aeon's classifiers run in, sets the number of threads of PyTorch, too, and threads that wait count as busy.
"""

import argparse
import csv
import os
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["NUMBA_NUM_THREADS"] = "1"

import aeon
import numpy as np
import torch
from aeon.classification.dictionary_based import MUSE, WEASEL
from aeon.classification.early_classification import TEASER, ProbabilityThresholdEarlyClassifier
from aeon.datasets import load_from_ts_file
from numpy.typing import NDArray

import eenas
from eenas.frozen.in_time.harmonic_mean import harmonic_mean
from eenas.networks.network_stream import exit_points

SETS = (
    *("UnitTest", "GunPoint", "BasicMotions", "ArrowHead", "ItalyPowerDemand"),
    *("PickupGestureWiimoteZ", "JapaneseVowels", "OSULeaf", "ACSF1"),
)
"""All sets with classes that aeon carries, but for Covid3Month_disc, on which TEASER finds no feature."""
FIELDS = ("set", "method", "accuracy", "earliness", "harmonic_mean", "ms_per_series", "fit_seconds", "macs_per_series")
NAMES = ("eenas", "teaser", "threshold")


def split(name: str, part: str) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """A split of a set, of series of one length; aeon carries those of different lengths padded, too."""
    folder = Path(aeon.__file__).parent / "datasets" / "data" / name
    path = folder / f"{name}_eq_{part}.ts"
    series, labels = load_from_ts_file(str(path if path.exists() else folder / f"{name}_{part}.ts"))
    return np.asarray(series), np.asarray(labels)


def points_of(classifier: Any) -> tuple[int, ...]:
    """The points at which a classifier can answer."""
    if isinstance(classifier, eenas.EarlyClassifier):
        return exit_points(classifier.network_)
    return tuple(int(point) for point in classifier._classification_points)


def answered(classifier: Any, series: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.int64], float]:
    """The labels, the points at which each was given, and the seconds of processor time."""
    rows, labels, points = np.arange(len(series)), np.empty(len(series), dtype=object), np.zeros(len(series), int)
    classifier.reset_state_info()
    torch.set_num_threads(1)
    spent = 0.0
    for point in points_of(classifier):
        given = series[rows][:, :, :point]
        start = time.process_time()
        found, decided = classifier.update_predict(given)
        spent += time.process_time() - start
        labels[rows[decided]], points[rows[decided]] = found[decided], point
        rows = rows[~decided]
        if not len(rows):
            break
    return labels.astype(str), points, spent


def run(name: str, rounds: int) -> list[dict[str, Any]]:
    """The rows of one set."""
    series, labels = split(name, "TRAIN")
    others, truth = split(name, "TEST")
    others = others[:, :, : series.shape[2]]
    fitted: dict[str, Any] = {}
    seconds = {}
    base = MUSE if series.shape[1] > 1 else WEASEL
    for method in NAMES:
        start = time.perf_counter()
        if method == "eenas":
            made: Any = eenas.EarlyClassifier(random_state=0)
        elif method == "teaser":
            made = TEASER(random_state=0)
        else:
            made = ProbabilityThresholdEarlyClassifier(
                base(support_probabilities=True, alphabet_size=4),
                classification_points=list(points_of(fitted["teaser"])),
                random_state=0,
            )
        fitted[method] = made.fit(series, labels)
        seconds[method] = time.perf_counter() - start
        print(f"{name}: {method} fitted in {seconds[method]:.1f} s", flush=True)
    answers: dict[str, tuple[NDArray[Any], NDArray[np.int64], float]] = {}
    for _ in range(rounds):
        for method, classifier in fitted.items():
            found = answered(classifier, others)
            if method not in answers or found[2] < answers[method][2]:
                answers[method] = found
    rows = []
    for method, (given, points, spent) in answers.items():
        accuracy, earliness = float((given == truth.astype(str)).mean()), float(points.mean() / series.shape[2])
        macs = ""
        if method == "eenas":
            costs = fitted[method].held_out_.costs
            exits = np.searchsorted(points_of(fitted[method]), points)
            macs = f"{costs['macs'][exits].mean():.0f}"
        values = (accuracy, earliness, float(harmonic_mean(accuracy, earliness)), 1e3 * spent / len(others))
        rows.append(
            dict(
                zip(FIELDS, (name, method, *(f"{v:.4f}" for v in values), f"{seconds[method]:.1f}", macs), strict=True)
            )
        )
    return rows


def read(path: Path) -> list[dict[str, str]]:
    """The rows so far."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Run what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.action == "table":
        print_table(read(given.out))
        return
    warnings.filterwarnings("ignore", module=r"(aeon|sklearn|numba)")
    for name in given.sets:
        before = read(given.out)
        if any(row["set"] == name for row in before):
            continue
        found = [*before, *run(name, given.rounds)]
        partial = given.out.with_suffix(".part")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(found)
        partial.replace(given.out)
        print_table([row for row in found if row["set"] == name])


def print_table(rows: list[dict[str, str]]) -> None:
    """Print the rows in Markdown, and the means over sets; of times, the mean of the ratios to eenas."""
    print("| set | method | accuracy | earliness | harmonic mean | ms per series |\n|---|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row[field] for field in FIELDS[:6]) + " |")
    own = {row["set"]: float(row["ms_per_series"]) for row in rows if row["method"] == "eenas"}
    for method in NAMES:
        of = [row for row in rows if row["method"] == method]
        means = [f"{np.mean([float(row[field]) for row in of]):.4f}" for field in FIELDS[2:5]]
        ratio = np.exp(np.mean([np.log(float(row["ms_per_series"]) / own[row["set"]]) for row in of]))
        print("| " + " | ".join(("mean", method, *means, f"{ratio:.2f} times eenas")) + " |")


if __name__ == "__main__":
    main()
