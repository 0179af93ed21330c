"""What each recipe is worth for each budget: one architecture, equal training samples, accuracy at four budgets.

    python tests/benchmarks/recipes.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out recipes.csv

A recipe is what moves between a network for a low budget and one for a high budget: who teaches, the backbone's rate,
the weights of the exits. Each row is one recipe on one architecture with one seed. Thresholds come from the calibration
split. Which recipe wins depends on how long is trained: give `--samples`.
"""

import time
from itertools import product

import numpy as np
from cifar import SHARES, Rows, arguments, design_of, ground, tables, train
from strategies import HEADS

from eenas.branches.branch import Branch
from eenas.branches.conv_fc import ConvFc
from eenas.branches.conv_stack import ConvStack
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed, TrainingChoice
from eenas.policies.fit import fit_at_shares

RECIPES: dict[str, dict[str, object]] = {
    "kept aside, rate 0.3, final 4": {},
    "kept aside, rate 1, final 1": {"backbone_rate": 1.0, "final_weight": 1.0},
    "kept aside, rate 1, final 1, branchy": {"backbone_rate": 1.0, "final_weight": 1.0, "loss_weights": "branchy"},
    "final exit, rate 1, final 1": {"teacher": "final", "backbone_rate": 1.0, "final_weight": 1.0},
    "final exit, rate 1, final 1, branchy": {
        "teacher": "final",
        "backbone_rate": 1.0,
        "final_weight": 1.0,
        "loss_weights": "branchy",
    },
    "no teacher, rate 1, final 1": {"strategy": "joint", "backbone_rate": 1.0, "final_weight": 1.0},
}
"""By name, what differs from the default training."""
ARCHITECTURES: dict[str, dict[str, Branch]] = {
    "five": HEADS,
    "strong start": {
        "layer1.0": ConvStack(width=32, layers=2),
        "layer1.1": ConvStack(width=32, layers=2),
        "layer2.0": ConvStack(width=32, layers=2),
        "layer2.1": ConvFc(width=32),
        "layer3.0": PoolFc(pool="mixed"),
    },
}
"""Branches by cut point: a network that a study put on its front, and one with deeper branches at its start."""


def main() -> None:
    """Run every pair of recipe and architecture that the CSV has no row for."""
    names = [f"{recipe} | {architecture}" for recipe, architecture in product(RECIPES, ARCHITECTURES)]
    given = arguments(__doc__ or "", samples=50_000, arms=names)
    on = ground(given)
    rows = Rows(given.out, ("arm", "seed", "samples"))
    wanted = ((arm, seed, given.samples) for seed, arm in product(range(given.seeds), given.arm or names))
    for arm, seed, samples in rows.missing(wanted):
        recipe, _, architecture = str(arm).partition(" | ")
        training = TrainingChoice(**{"learning_rate": 0.05, **RECIPES[recipe]})  # type: ignore[arg-type]
        placed = [Placed(name, branch) for name, branch in ARCHITECTURES[architecture].items()]
        design = design_of(on, placed, training)
        start = time.process_time()
        network = train(on, design, samples=int(str(samples)), seed=int(str(seed)))
        seconds = time.process_time() - start
        found = tables(on, network)
        row: dict[str, object] = {"arm": arm, "seed": seed, "samples": samples}
        for split in ("validation", "test"):
            points = fit_at_shares(found["calibration"], found[split], on.profile.total_macs, SHARES, design.policy)
            for share, point in zip(SHARES, points, strict=True):
                row[f"{split}_{share:.0%}"] = "" if point is None else f"{point.accuracy:.4f}"
        costs = on.costs(design).macs / on.profile.total_macs
        row["test_exits"] = " ".join(f"{value:.4f}" for value in np.asarray(found["test"].exit_accuracy()))
        row["costs"] = " ".join(f"{value:.3f}" for value in costs)
        rows.add({**row, "processor_seconds": round(seconds)})


if __name__ == "__main__":
    main()
