"""The time of a decision with a controller, one sample at a time, one thread: run it alone on the machine.

    OMP_NUM_THREADS=1 python tests/benchmarks/decisions.py --out decisions.csv

A decision is everything that `predict` does for a sample beside running the segments: choosing the arm, the confidence
and comparison at each exit that the sample reaches, the answer, and learning. Two exits; half of the samples go on. The
time is the median over rounds of the mean of a round. Rows are printed in microseconds; the bound for each controller
is 20 at 10 classes.
"""

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eenas.policies.controllers.controlled_exits import ControlledExits
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.controller_text import controller_from_text
from eenas.policies.controllers.observed_policy import ObservedPolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.policy import Policy

CONTROLLERS = (
    *("adaee", "adaee,share=none", "adaee,discount=0.999", "adaee,window=2000", "adaee,index=ucb_v"),
    *("adaee,index=ucb_tuned", "adaee,index=bayes_ucb", "adaee,index=thompson", "splitee", "drift_guard"),
)
PLAIN = "thresholds without a controller"
BOUND = 20.0
Logits = list[NDArray[np.float32]]
"""The logits of one sample at both exits, float32 [1, classes] each."""


def made_up(classes: int, samples: int) -> list[Logits]:
    """Samples whose confidence at the first exit is spread over [1 / classes, 1]."""
    generator = np.random.default_rng(0)
    found = []
    for scale in generator.uniform(0.0, 12.0, size=samples):
        row = generator.normal(size=(2, 1, classes)).astype(np.float32)
        row[:, 0, generator.integers(classes)] += (scale, scale + 3.0)
        found.append([row[0], row[1]])
    return found


def decide(policy: Policy, logits: Logits) -> None:
    """The part of `predict` that is not a segment."""
    state = policy.start(1)
    for k, found in enumerate(logits):
        leave, state = policy.decide(k, found, state)
        if leave[0]:
            break
    policy.answer(state)


def with_controller(controller: Controller) -> Callable[[Logits], None]:
    """One sample after `adapt`."""

    def run(logits: Logits) -> None:
        observed = ObservedPolicy(controller, None)
        decide(observed, logits)
        observed.finish()

    return run


def microseconds(run: Callable[[Logits], None], samples: list[Logits], rounds: int) -> float:
    """The median over rounds of the mean time of a sample."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for logits in samples:
            run(logits)
        found.append((time.perf_counter() - began) / len(samples) * 1e6)
    return statistics.median(found)


def main() -> None:
    """Time every controller and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the CSV")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--samples", type=int, default=1000)
    given = parser.parse_args()
    exits, rows = ControlledExits(temperatures=(1.2, 0.9), thresholds=(0.8,)), []
    for classes in (10, 1000):
        samples = made_up(classes, given.samples)
        plain = ThresholdPolicy(score="max_softmax", temperatures=exits.temperatures, thresholds=(0.8,))
        runs: dict[str, Callable[[Logits], None]] = {PLAIN: lambda logits, policy=plain: decide(policy, logits)}  # type: ignore[misc]
        runs |= {name: with_controller(Controller(controller_from_text(name), exits)) for name in CONTROLLERS}
        for name, run in runs.items():
            value = microseconds(run, samples, given.rounds)
            rows.append({"controller": name, "classes": classes, "microseconds": f"{value:.1f}"})
            print(f"{name}, {classes} classes: {value:.1f} us{' > 20' * (classes == 10 and value > BOUND)}", flush=True)
    with given.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
