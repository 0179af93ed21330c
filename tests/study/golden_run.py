"""One small study with everything fixed: digits, a seed, an amount of work, one thread, plain instructions.

    python tests/study/golden_run.py > tests/study/golden_run.json

writes the golden values anew. Do so only where a difference is intended, and name it in the commit.
"""

import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eenas.results.results import StudyResults
from eenas.results.search import search

OVERRIDES = (
    "task.input_size=16",
    "search.objectives=['accuracy', 'macs']",
    "space.branches=3",
    "prepare.when=always",
    "latency.seconds=0.01",
    "latency.min_repeats=2",
    "latency.warmup=1",
    "latency.runtime=torch",
    *(
        f"{training}.{value}"
        for training, samples in (("training", 640), ("prepare.training", 7680))
        for value in (f"samples={samples}", "batch_size=32", "precision=float32", "channels_last=false")
    ),
)
TRIALS = 16
PLAIN = {
    "OMP_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
}
"""Instructions that every x86-64 processor has: sums are then rounded alike on all of them."""


def backbone() -> nn.Module:
    """Four blocks for 16 px, with the same first weights every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        widths = (3, 8, 16, 24, 32)
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, 3, 1 + i % 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for i, (a, b) in enumerate(pairwise(widths))
        ]
        return nn.Sequential(*blocks, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)))


def golden_run(folder: Path) -> StudyResults:
    """Search from nothing in `folder`, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return search(
            backbone(),
            task="digits",
            space="small",
            storage=f"sqlite:///{folder}/golden.db",
            device="cpu",
            seed=7,
            trials=TRIALS,
            overrides=OVERRIDES,
        )
    finally:
        torch.set_num_threads(threads)


def facts(results: StudyResults) -> dict[str, Any]:
    """What must stay: every trial's design and scores, and the front by accuracy and MACs (its latencies are timed)."""
    found = {(entry.point.accuracy, entry.point.expected["macs"], entry.name) for entry in results.front}
    front = [
        one for one in sorted(found) if not any(a >= one[0] and m <= one[1] and (a, m) != one[:2] for a, m, _ in found)
    ]
    return {
        "torch": torch.__version__.partition("+")[0],
        "backbone": {"accuracy": results.backbone.accuracy, "macs": results.backbone.macs},
        "trials": [
            {
                "number": trial.number,
                "state": trial.state,
                "origin": trial.origin,
                "design": trial.design.digest if trial.design else None,
                "branches": [f"{placed.cut_point}: {placed.branch.kind}" for placed in trial.design.branches]
                if trial.design
                else [],
                "accuracy": trial.chosen.accuracy if trial.chosen else None,
                "macs": trial.chosen.expected["macs"] if trial.chosen else None,
            }
            for trial in results.trials
        ],
        "front": [{"accuracy": accuracy, "macs": macs, "network": name} for accuracy, macs, name in front],
        "hypervolume": results.hypervolumes["macs"],
    }


def in_a_process() -> dict[str, Any]:
    """The facts of a golden run in a process that uses plain instructions only; they are chosen when torch loads."""
    done = subprocess.run(
        [sys.executable, __file__], env={**os.environ, **PLAIN}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in PLAIN.items()):
        json.dump(in_a_process(), sys.stdout, indent=1)
    else:
        with tempfile.TemporaryDirectory() as folder:
            json.dump(facts(golden_run(Path(folder))), sys.stdout, indent=1)
    print()
