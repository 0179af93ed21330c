"""Every key a search space may have: its type, the values it allows, its default and what it means."""

from collections.abc import Mapping
from typing import get_args

from eenas.branches.branch import POOLS
from eenas.branches.registry import FAMILIES
from eenas.designs.design import LossWeights, Optimizer, PolicyChoice, Score, Strategy, TrainingChoice
from eenas.designs.domains import Key
from eenas.designs.placement import DISTRIBUTIONS, KINDS, METRICS

PLACEMENT: Mapping[str, Key] = {
    "kind": Key(
        type=str,
        default="free",
        choices=KINDS,
        meaning="uniform: evenly over the cut points; metric: at given shares of a cost; free: each slot's own depth",
    ),
    "metric": Key(type=str, default="macs", choices=METRICS, meaning="the cost that metric placement divides"),
    "distribution": Key(
        type=str,
        default="linear",
        choices=DISTRIBUTIONS,
        meaning="the shares of that cost at which branches stand",
    ),
}

BRANCH: Mapping[str, Key] = {
    "on": Key(type=bool, default=True, meaning="whether the slot carries a branch"),
    "depth": Key(type=float, default=0.5, least=0, most=1, meaning="free placement: where in the slot's band of MACs"),
    "structure": Key(
        type=str, default="fc", choices=tuple(FAMILIES), open=True, meaning="the family of the branch's structure"
    ),
    "width": Key(type=int, default=32, least=1, meaning="channels or hidden units of the branch"),
    "layers": Key(type=int, default=1, least=1, meaning="convolutions of the branch"),
    "pool": Key(type=str, default="avg", choices=POOLS, meaning="how the branch pools"),
}

_TRAINING, _POLICY = TrainingChoice(), PolicyChoice()

TRAINING: Mapping[str, Key] = {
    "strategy": Key(
        type=str, default=_TRAINING.strategy, choices=get_args(Strategy), meaning="what is trained together"
    ),
    "loss_weights": Key(
        type=str,
        default=_TRAINING.loss_weights,
        choices=get_args(LossWeights),
        meaning="how the exits' losses are weighed",
    ),
    "gradient_equilibrium": Key(
        type=bool, default=_TRAINING.gradient_equilibrium, meaning="rescale gradients where branches join"
    ),
    "optimizer": Key(type=str, default=_TRAINING.optimizer, choices=get_args(Optimizer), meaning="the optimizer"),
    "learning_rate": Key(
        type=float, default=_TRAINING.learning_rate, least=0, above=True, meaning="the highest learning rate"
    ),
    "backbone_rate": Key(
        type=float, default=_TRAINING.backbone_rate, least=0, meaning="the backbone's learning rate over that"
    ),
    "weight_decay": Key(type=float, default=_TRAINING.weight_decay, least=0, meaning="weight decay"),
    "label_smoothing": Key(
        type=float, default=_TRAINING.label_smoothing, least=0, most=0.999, meaning="share of the label spread out"
    ),
}

POLICY: Mapping[str, Key] = {
    "score": Key(type=str, default=_POLICY.score, choices=get_args(Score), meaning="the confidence that is compared"),
    "target_macs": Key(
        type=float,
        default=_POLICY.target_macs,
        least=0,
        above=True,
        most=1,
        meaning="expected MACs to fit for, as a share of the backbone's",
    ),
    "per_exit": Key(type=bool, default=_POLICY.per_exit, meaning="a threshold of its own for each exit"),
}

SECTIONS: Mapping[str, Mapping[str, Key]] = {
    "placement": PLACEMENT,
    "branch": BRANCH,
    "training": TRAINING,
    "policy": POLICY,
}
