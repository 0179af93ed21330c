"""What each way of training is worth: one architecture, equal training samples, three seeds, accuracy at four budgets.

    python tests/benchmarks/strategies.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out strategies.csv

Each row is one arm with one seed. Thresholds come from the calibration split; `validation_*` is what a default is
chosen by, `test_*` what is reported. SDN (Kaya et al. 2019; its six placements on the frozen backbone) and ZTW (Wolczyk
et al. 2021; the same places, its heads, cascade and ensemble) are arms of their own. Bounded by samples, not seconds.
"""

from itertools import product

import numpy as np
from cifar import SHARES, Rows, arguments, context, design_of, tables, train

from eenas.branches.branch import Branch
from eenas.branches.cascade import Cascade
from eenas.branches.conv_fc import ConvFc
from eenas.branches.pool_fc import PoolFc
from eenas.branches.presets import SDN_SHARES
from eenas.branches.registry import branch_from_sizes
from eenas.designs.design import Design, Placed, PolicyChoice, TrainingChoice
from eenas.designs.placement import at_shares, candidates, shares
from eenas.policies.fit import fit_at_shares
from eenas.study.context.study_context import StudyContext

SAME = {
    "strategy": "joint",
    "learning_rate": 0.05,
    "backbone_rate": 0.3,
    "final_weight": 1.0,
    "distillation_weight": 0.9,
}
"""What all arms share unless they say otherwise."""
ARMS: dict[str, dict[str, object]] = {
    "default": {**vars(TrainingChoice()), "learning_rate": 0.05},
    "joint": {},
    "joint, final weight 4": {"final_weight": 4.0},
    "joint, equilibrium": {"gradient_equilibrium": True},
    "joint, boosted": {"loss_weights": "boosted"},
    "branch_wise": {"strategy": "branch_wise"},
    "two_stage": {"strategy": "two_stage"},
    "distillation, final exit": {"strategy": "distillation", "teacher": "final"},
    "distillation, backbone": {"strategy": "distillation"},
    "mixed": {"strategy": "hybrid", "hybrid": "mixed"},
    "two_stage_joint": {"strategy": "hybrid", "hybrid": "two_stage_joint"},
    "two_stage_distillation": {"strategy": "hybrid", "hybrid": "two_stage_distillation"},
    "joint_distillation": {"strategy": "hybrid", "hybrid": "joint_distillation"},
    "alternating": {"strategy": "hybrid", "hybrid": "alternating"},
    "default, averaged": {**vars(TrainingChoice()), "learning_rate": 0.05, "weight_average": 0.99},
}
PRESETS = ("sdn", "ztw")


HEADS: dict[str, Branch] = {
    "layer1.0": ConvFc(width=32),
    "layer2.0": ConvFc(width=32),
    "layer2.1": ConvFc(width=32),
    "layer3.0": PoolFc(pool="mixed"),
    "layer3.1": ConvFc(width=32),
}
"""The architecture of all arms but the presets: one that a study of `cifar_resnet20` put on its front."""


def arm_design(on: StudyContext, arm: str) -> Design:
    """The design of one arm."""
    if arm not in PRESETS:
        return design_of(
            on,
            [Placed(name, head) for name, head in HEADS.items()],
            TrainingChoice(**{**SAME, **ARMS[arm]}),  # type: ignore[arg-type]
        )
    profile = on.profile
    places = [candidates(profile)[i] for i in at_shares(SDN_SHARES, shares(profile, "macs"))]
    head = branch_from_sizes("sdn" if arm == "sdn" else "ztw_conv", width=1, layers=1, pool="avg")
    placed = [Placed(profile.cut_points[index].name, head) for index in places]
    training = TrainingChoice(strategy="two_stage", optimizer="adamw", learning_rate=1e-3)
    if arm == "sdn":
        return design_of(on, placed, training)
    cascaded = [
        each if k == 0 else Placed(each.cut_point, Cascade(branch=each.branch)) for k, each in enumerate(placed)
    ]
    return design_of(on, cascaded, training, PolicyChoice(ensemble="geometric"))


def main() -> None:
    """Run every arm that the CSV has no row for."""
    given = arguments(__doc__ or "", samples=250_000, arms=(*ARMS, *PRESETS))
    on = context(given)
    rows = Rows(given.out, ("arm", "seed", "samples"))
    wanted = ((arm, seed, given.samples) for seed, arm in product(range(given.seeds), given.arm or (*ARMS, *PRESETS)))
    for arm, seed, samples in rows.missing(wanted):
        design = arm_design(on, str(arm))
        network = train(on, design, samples=int(str(samples)), seed=int(str(seed)))
        found = tables(on, network)
        row: dict[str, object] = {"arm": arm, "seed": seed, "samples": samples}
        for split in ("validation", "test"):
            points = fit_at_shares(found["calibration"], found[split], on.profile.total_macs, SHARES, design.policy)
            for share, point in zip(SHARES, points, strict=True):
                row[f"{split}_{share:.0%}"] = "" if point is None else f"{point.accuracy:.4f}"
        exits = np.asarray(found["test"].exit_accuracy())
        row["test_exits"] = " ".join(f"{value:.4f}" for value in exits)
        rows.add(row)


if __name__ == "__main__":
    main()
