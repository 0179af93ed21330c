"""Time from logits to the full curve of operating points: `python tests/benchmarks/scoring.py [samples exits classes]`.

One core (NumPy uses one here); the best and the median of several runs, temperatures included, on random logits. Then
how fast choices of banked branches are scored: three structures at eight cut points, 2,500 samples, every choice at
every threshold. eenas must be installed, and nothing else should run.
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.subsets import SubsetObjective
from eenas.policies.costs import Costs
from eenas.policies.curve import common_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import operating_points
from eenas.policies.temperatures import fit_temperatures
from eenas.study.rivals.subset_front import find_front

LIMIT_SECONDS = 0.2


def random_table(samples: int, exits: int, classes: int) -> ExitTable:
    """Exits that are right more often the later they are; one sample in ten is hard for all."""
    generator = np.random.default_rng(0)
    labels = generator.integers(classes, size=samples)
    logits = generator.normal(size=(samples, exits, classes)).astype(np.float32)
    easy = np.where(generator.random(samples) < 0.9, 1.5, 0.0)
    for k in range(exits):
        logits[np.arange(samples), k, labels] += easy * (k + 1)
    macs = np.linspace(0.2, 1.0, exits) * 4e7
    return ExitTable(
        logits=logits, labels=labels, exits=tuple(f"exit{k}" for k in range(exits)), costs=Costs.of(macs=macs)
    )


def seconds(run: Callable[[], object], repeats: int = 9) -> tuple[float, float]:
    """The least and the median time of a call."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times), statistics.median(times)


def random_candidates(places: int = 8, structures: int = 3, samples: int = 2500) -> CandidateTable:
    """As many candidates as a study's bank has at its beginning; the costs are those of a small network."""
    table = random_table(samples, places * structures + 1, 10)
    backbone = np.linspace(0.1, 0.9, places) * 4e7
    return CandidateTable(
        names=tuple(f"block{place}" for place in range(places) for _ in range(structures)),
        logits=table.logits,
        labels=table.labels,
        backbone_macs=np.append(np.repeat(backbone, structures), 4e7),
        branch_macs=np.tile(np.linspace(1e5, 1e6, structures), places),
    )


def main(samples: int = 10_000, exits: int = 6, classes: int = 10) -> None:
    """Print the time of every step."""
    table = random_table(samples, exits, classes)
    temperatures = fit_temperatures(table)
    points = len(common_curve(table, temperatures))
    print(f"{samples} samples x {exits} exits x {classes} classes, {points} points, NumPy {np.__version__}")
    steps: dict[str, Callable[[], object]] = {"temperatures": lambda: fit_temperatures(table)}
    for score in ("max_softmax", "entropy", "margin"):
        steps[f"curve, {score}"] = lambda score=score: common_curve(table, temperatures, score)  # type: ignore[misc]
    for score in ("max_softmax", "entropy", "margin"):
        steps[f"logits to curve, {score}"] = lambda score=score: common_curve(table, None, score)  # type: ignore[misc]
    steps["64 operating points"] = lambda: operating_points(table, table)
    for name, run in steps.items():
        least, median = seconds(run)
        limit = f"  (limit {LIMIT_SECONDS} s)" if name.startswith("logits") else ""
        print(f"{name:30s} {least:7.3f} s, median {median:.3f} s{limit}")
    objective = SubsetObjective(table=random_candidates(), cost_weight=0.0)
    start = time.perf_counter()
    front = find_front(objective)
    took = time.perf_counter() - start
    count = len(objective.thresholds)
    rate = front.scored * count / took * 60 / 1e6
    print(f"{front.method} at {count} thresholds: {took:.1f} s, {rate:.0f} M pairs a minute")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
