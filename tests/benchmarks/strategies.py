"""What each way of training is worth: one architecture, equal training samples, three seeds, accuracy at four budgets.

    python tests/benchmarks/strategies.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out strategies.csv

Each row is one arm with one seed. Thresholds come from the calibration split; `validation_*` is what a default is
chosen by, `test_*` what is reported. SDN (Kaya et al. 2019; its six placements on the frozen backbone) and ZTW (Wolczyk
et al. 2021; the same places, its heads, cascade and ensemble) are arms of their own. Bounded by samples, not seconds.
"""

from itertools import product

import numpy as np
from cifar import SHARES, Rows, arguments, design_of, ground, tables, train

from eenas.branches.cascade import Cascade
from eenas.branches.conv_pool_fc import ConvPoolFc
from eenas.branches.pool_fc import PoolFc
from eenas.branches.presets import SDN_SHARES
from eenas.branches.registry import branch_from_sizes
from eenas.designs.design import Design, Placed, PolicyChoice, TrainingChoice
from eenas.designs.placement import at_shares, candidates, shares
from eenas.policies.fit import fit_at_shares
from eenas.search.preparation import Ground

RATES = {"learning_rate": 0.05, "backbone_rate": 0.1}
ARMS: dict[str, dict[str, object]] = {
    "joint": {},
    "joint, equilibrium": {"gradient_equilibrium": True},
    "joint, boosted": {"loss_weights": "boosted"},
    "branch_wise": {"strategy": "branch_wise"},
    "two_stage": {"strategy": "two_stage"},
    "distillation, final exit": {"strategy": "distillation", "teacher": "final"},
    "distillation, backbone": {"strategy": "distillation", "teacher": "backbone"},
    "mixed": {"strategy": "hybrid", "hybrid": "mixed"},
    "two_stage_joint": {"strategy": "hybrid", "hybrid": "two_stage_joint"},
    "two_stage_distillation": {"strategy": "hybrid", "hybrid": "two_stage_distillation"},
    "joint_distillation": {"strategy": "hybrid", "hybrid": "joint_distillation"},
    "alternating": {"strategy": "hybrid", "hybrid": "alternating"},
    "averaged weights": {"strategy": "distillation", "weight_average": 0.999},
}
PRESETS = ("sdn", "ztw")


def hand(on: Ground) -> list[Placed]:
    """The architecture of all arms: convolutions where maps are large, pooled features behind, at five cut points."""
    early, late = ConvPoolFc(width=32, layers=2), PoolFc(pool="mixed")
    names = [point.name for point in on.profile.cut_points]
    return [Placed(names[i], early if i < 4 else late) for i in candidates(on.profile) if names[i] in PLACES]


PLACES = ("layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0")


def arm_design(on: Ground, arm: str) -> Design:
    """The design of one arm."""
    if arm not in PRESETS:
        return design_of(on, hand(on), TrainingChoice(**{**RATES, **ARMS[arm]}))  # type: ignore[arg-type]
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
    given = arguments(__doc__ or "", samples=250_000)
    on = ground(given)
    rows = Rows(given.out, ("arm", "seed", "samples"))
    wanted = ((arm, seed, given.samples) for seed, arm in product(range(given.seeds), (*ARMS, *PRESETS)))
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
