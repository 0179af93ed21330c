"""All keys of a search space: type, allowed values, default and meaning."""

from collections.abc import Mapping
from typing import get_args

from eenas.branches.branch import POOLS
from eenas.branches.registry import structures
from eenas.designs.design import PolicyChoice
from eenas.designs.domains import Key
from eenas.designs.placement import DISTRIBUTIONS, KINDS, METRICS
from eenas.designs.training_choice import (
    Experts,
    Hybrid,
    LossWeights,
    Optimizer,
    Strategy,
    Teacher,
    TrainingChoice,
)
from eenas.policies.kinds.registry import FITTED
from eenas.policies.rule import ENSEMBLES, FINAL_RULES
from eenas.policies.scores import SCORES

PLACEMENT: Mapping[str, Key] = {
    "kind": Key(
        type=str,
        default="free",
        choices=KINDS,
        open=True,
        meaning="uniform: evenly over the cut points; metric: by a cost or by savings; free: by each slot's depth; "
        "gating: by learned gates",
    ),
    "metric": Key(
        type=str,
        default="macs",
        choices=METRICS,
        meaning="metric placement: the cost that is divided, or the gain or savings of trained branches",
    ),
    "distribution": Key(
        type=str,
        default="linear",
        choices=DISTRIBUTIONS,
        meaning="metric placement: the shares of a cost at which branches are placed",
    ),
    "cost_weight": Key(
        type=float,
        default=0.3,
        least=0,
        above=True,
        meaning="gating: the accuracy that is worth the backbone's whole cost",
    ),
    "count": Key(type=int, default=0, least=0, meaning="gating: number of branches to keep; 0 lets the gates decide"),
}

BRANCH: Mapping[str, Key] = {
    "on": Key(type=bool, default=True, meaning="whether the slot carries a branch"),
    "depth": Key(
        type=float, default=0.5, least=0, most=1, meaning="free placement: position in the slot's band of MACs"
    ),
    "structure": Key(type=str, default="fc", choices=structures(), open=True, meaning="the branch family"),
    "width": Key(type=int, default=32, least=1, meaning="channels or hidden units of the branch"),
    "layers": Key(type=int, default=1, least=1, meaning="convolutions of the branch"),
    "pool": Key(type=str, default="avg", choices=POOLS, meaning="the pooling of the branch"),
}

_TRAINING, _POLICY = TrainingChoice(), PolicyChoice()

TRAINING: Mapping[str, Key] = {
    "strategy": Key(
        type=str,
        default=_TRAINING.strategy,
        choices=get_args(Strategy),
        open=True,
        meaning="training all together, segment by segment, branches alone, with a teacher, or by a hybrid",
    ),
    "hybrid": Key(
        type=str, default=_TRAINING.hybrid, choices=get_args(Hybrid), meaning="strategy hybrid: the combination"
    ),
    "teacher": Key(
        type=str,
        default=_TRAINING.teacher,
        choices=get_args(Teacher),
        meaning="distillation: the teacher, either the network's final exit or the backbone before training",
    ),
    "distillation_temperature": Key(
        type=float,
        default=_TRAINING.distillation_temperature,
        least=0,
        above=True,
        meaning="distillation: the temperature that softens the teacher's outputs",
    ),
    "distillation_weight": Key(
        type=float,
        default=_TRAINING.distillation_weight,
        least=0,
        most=1,
        meaning="distillation: the teacher's share of the loss",
    ),
    "loss_weights": Key(
        type=str,
        default=_TRAINING.loss_weights,
        choices=get_args(LossWeights),
        meaning="the weights of the exits' losses; boosted: each exit adds to those before it",
    ),
    "final_weight": Key(
        type=float,
        default=_TRAINING.final_weight,
        least=0,
        above=True,
        meaning="a factor for the weight of the final exit's loss",
    ),
    "gradient_equilibrium": Key(
        type=bool, default=_TRAINING.gradient_equilibrium, meaning="whether to rescale gradients where branches join"
    ),
    "optimizer": Key(type=str, default=_TRAINING.optimizer, choices=get_args(Optimizer), meaning="the optimizer"),
    "learning_rate": Key(
        type=float, default=_TRAINING.learning_rate, least=0, above=True, meaning="the highest learning rate"
    ),
    "backbone_rate": Key(
        type=float,
        default=_TRAINING.backbone_rate,
        least=0,
        meaning="the backbone's learning rate as a share of learning_rate; 0 freezes it",
    ),
    "weight_decay": Key(type=float, default=_TRAINING.weight_decay, least=0, meaning="weight decay"),
    "label_smoothing": Key(
        type=float,
        default=_TRAINING.label_smoothing,
        least=0,
        most=0.999,
        meaning="share of the label spread over the classes",
    ),
    "weight_average": Key(
        type=float,
        default=_TRAINING.weight_average,
        least=0,
        most=0.99999,
        meaning="the decay of the moving average of the weights; 0 takes the last weights",
    ),
    "patience": Key(
        type=int,
        default=_TRAINING.patience,
        least=0,
        meaning="rounds without a gain on a held-out tenth of train that end a phase; 0 disables early stopping",
    ),
    "experts": Key(
        type=str,
        default=_TRAINING.experts,
        choices=get_args(Experts),
        meaning="experts for distorted images with this batch normalisation of the backbone, or none",
    ),
    "distorted": Key(
        type=bool,
        default=_TRAINING.distorted,
        meaning="whether the task's share of training images is distorted, or training is on pristine images",
    ),
}
LATER = ("training.experts", "training.distorted")
"""Keys that tables of spaces leave out at their default, so that digests from before these keys hold."""

POLICY: Mapping[str, Key] = {
    "kind": Key(
        type=str,
        default=_POLICY.kind,
        choices=tuple(FITTED),
        open=True,
        meaning="the rule by which a sample leaves: confidence, exits in a row, a vote, or learned gates",
    ),
    "score": Key(type=str, default=_POLICY.score, choices=tuple(SCORES), meaning="the confidence measure"),
    "target_macs": Key(
        type=float,
        default=_POLICY.target_macs,
        least=0,
        above=True,
        most=1,
        meaning="target for the expected MACs, as a share of the backbone's",
    ),
    "per_exit": Key(type=bool, default=_POLICY.per_exit, meaning="kind threshold: whether each exit has its own"),
    "ensemble": Key(
        type=str,
        default=_POLICY.ensemble,
        choices=ENSEMBLES,
        meaning="geometric: each exit decides together with those before it if that is better on held-out samples",
    ),
    "final_rule": Key(
        type=str,
        default=_POLICY.final_rule,
        choices=FINAL_RULES,
        meaning="the exit that answers for samples that leave at none: the last or the most confident one",
    ),
}

NETWORK: Mapping[str, Key] = {
    "cascade": Key(
        type=bool,
        default=False,
        meaning="whether each branch also reads the logits of the branch before it",
    ),
}

SECTIONS: Mapping[str, Mapping[str, Key]] = {
    "placement": PLACEMENT,
    "branch": BRANCH,
    "network": NETWORK,
    "training": TRAINING,
    "policy": POLICY,
}
