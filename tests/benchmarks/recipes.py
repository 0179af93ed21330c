"""What each recipe is worth for each budget: one architecture, equal training samples, accuracy at four budgets.

    python tests/benchmarks/recipes.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out recipes.csv

A recipe is what moves between a network for a low budget and one for a high budget: who teaches, the backbone's rate,
the weights of the exits. Each row is one recipe with one seed. Thresholds come from the calibration split. Which recipe
wins depends on how long is trained: give `--samples`.
"""

import time
from itertools import product

import numpy as np
from cifar import SHARES, Rows, arguments, context, design_of, tables, train
from strategies import HEADS

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


def main() -> None:
    """Run every recipe that the CSV has no row for."""
    given = arguments(__doc__ or "", samples=50_000, arms=tuple(RECIPES))
    on = context(given)
    rows = Rows(given.out, ("arm", "seed", "samples"))
    wanted = ((arm, seed, given.samples) for seed, arm in product(range(given.seeds), given.arm or RECIPES))
    for arm, seed, samples in rows.missing(wanted):
        training = TrainingChoice(**{"learning_rate": 0.05, **RECIPES[str(arm)]})  # type: ignore[arg-type]
        design = design_of(on, [Placed(name, branch) for name, branch in HEADS.items()], training)
        start = time.process_time()
        network = train(on, design, samples=int(str(samples)), seed=int(str(seed)))
        seconds = time.process_time() - start
        found = tables(on, network)
        row: dict[str, object] = {"arm": arm, "seed": seed, "samples": samples}
        for split in ("validation", "test"):
            points = fit_at_shares(found["calibration"], found[split], on.profile.total_macs, SHARES, design.policy)
            for share, point in zip(SHARES, points, strict=True):
                row[f"{split}_{share:.0%}"] = "" if point is None else f"{point.accuracy:.4f}"
        costs = on.costs(design).costs["macs"] / on.profile.total_macs
        row["test_exits"] = " ".join(f"{value:.4f}" for value in np.asarray(found["test"].exit_accuracy()))
        row["costs"] = " ".join(f"{value:.3f}" for value in costs)
        rows.add({**row, "processor_seconds": round(seconds)})


if __name__ == "__main__":
    main()
