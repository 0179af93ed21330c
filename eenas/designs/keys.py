"""Every key a search space may have: its type, the values it allows, its default and what it means."""

from collections.abc import Mapping
from typing import get_args

from eenas.branches.branch import POOLS
from eenas.branches.registry import structures
from eenas.designs.design import PolicyChoice
from eenas.designs.domains import Key
from eenas.designs.placement import DISTRIBUTIONS, KINDS, METRICS
from eenas.designs.training_choice import Hybrid, LossWeights, Optimizer, Strategy, Teacher, TrainingChoice
from eenas.policies.kinds.registry import FITTED
from eenas.policies.rule import ENSEMBLES, FINAL_RULES
from eenas.policies.scores import SCORES

PLACEMENT: Mapping[str, Key] = {
    "kind": Key(
        type=str,
        default="free",
        choices=KINDS,
        open=True,
        meaning="uniform: evenly over the cut points; metric: by a cost or by savings; free: each slot's own depth; "
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
        meaning="metric placement: the shares of a cost at which branches stand",
    ),
    "cost_weight": Key(
        type=float,
        default=0.3,
        least=0,
        above=True,
        meaning="gating: accuracy that the backbone's whole cost is worth",
    ),
    "count": Key(type=int, default=0, least=0, meaning="gating: how many branches the gates keep; 0 leaves it to them"),
}

BRANCH: Mapping[str, Key] = {
    "on": Key(type=bool, default=True, meaning="whether the slot carries a branch"),
    "depth": Key(type=float, default=0.5, least=0, most=1, meaning="free placement: where in the slot's band of MACs"),
    "structure": Key(
        type=str, default="fc", choices=structures(), open=True, meaning="the family of the branch's structure"
    ),
    "width": Key(type=int, default=32, least=1, meaning="channels or hidden units of the branch"),
    "layers": Key(type=int, default=1, least=1, meaning="convolutions of the branch"),
    "pool": Key(type=str, default="avg", choices=POOLS, meaning="how the branch pools"),
}

_TRAINING, _POLICY = TrainingChoice(), PolicyChoice()

TRAINING: Mapping[str, Key] = {
    "strategy": Key(
        type=str,
        default=_TRAINING.strategy,
        choices=get_args(Strategy),
        open=True,
        meaning="what is trained when: all together, segment by segment, branches alone, with a teacher, or a hybrid",
    ),
    "hybrid": Key(
        type=str, default=_TRAINING.hybrid, choices=get_args(Hybrid), meaning="strategy hybrid: which one it is"
    ),
    "teacher": Key(
        type=str,
        default=_TRAINING.teacher,
        choices=get_args(Teacher),
        meaning="distillation: who teaches, the network's final exit or the backbone as it was before training",
    ),
    "distillation_temperature": Key(
        type=float,
        default=_TRAINING.distillation_temperature,
        least=0,
        above=True,
        meaning="distillation: how soft the teacher's answers are",
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
        meaning="how the exits' losses are weighed; boosted: each exit adds to those before it",
    ),
    "final_weight": Key(
        type=float,
        default=_TRAINING.final_weight,
        least=0,
        above=True,
        meaning="multiplies the weight of the final exit's loss",
    ),
    "gradient_equilibrium": Key(
        type=bool, default=_TRAINING.gradient_equilibrium, meaning="rescale gradients where branches join"
    ),
    "optimizer": Key(type=str, default=_TRAINING.optimizer, choices=get_args(Optimizer), meaning="the optimizer"),
    "learning_rate": Key(
        type=float, default=_TRAINING.learning_rate, least=0, above=True, meaning="the highest learning rate"
    ),
    "backbone_rate": Key(
        type=float,
        default=_TRAINING.backbone_rate,
        least=0,
        meaning="the backbone's learning rate over that; 0 freezes it",
    ),
    "weight_decay": Key(type=float, default=_TRAINING.weight_decay, least=0, meaning="weight decay"),
    "label_smoothing": Key(
        type=float, default=_TRAINING.label_smoothing, least=0, most=0.999, meaning="share of the label spread out"
    ),
    "weight_average": Key(
        type=float,
        default=_TRAINING.weight_average,
        least=0,
        most=0.99999,
        meaning="decay of the moving average of the weights; 0 takes the last weights",
    ),
    "patience": Key(
        type=int,
        default=_TRAINING.patience,
        least=0,
        meaning="rounds without a gain on a held-out tenth of train that end a phase; 0 holds nothing out",
    ),
}

POLICY: Mapping[str, Key] = {
    "kind": Key(
        type=str,
        default=_POLICY.kind,
        choices=tuple(FITTED),
        open=True,
        meaning="what lets a sample leave: its confidence, exits in a row that agree or are confident, or their vote",
    ),
    "score": Key(type=str, default=_POLICY.score, choices=tuple(SCORES), meaning="the confidence that is compared"),
    "target_macs": Key(
        type=float,
        default=_POLICY.target_macs,
        least=0,
        above=True,
        most=1,
        meaning="expected MACs to fit for, as a share of the backbone's",
    ),
    "per_exit": Key(type=bool, default=_POLICY.per_exit, meaning="kind threshold: one of its own for each exit"),
    "ensemble": Key(
        type=str,
        default=_POLICY.ensemble,
        choices=ENSEMBLES,
        meaning="geometric: an exit decides with those before it, where that wins on held-out samples",
    ),
    "final_rule": Key(
        type=str,
        default=_POLICY.final_rule,
        choices=FINAL_RULES,
        meaning="who answers for samples that no exit let go: the last exit or the most confident one",
    ),
}

NETWORK: Mapping[str, Key] = {
    "cascade": Key(
        type=bool, default=False, meaning="whether every branch but the first also reads the logits of the one before"
    ),
}

SECTIONS: Mapping[str, Mapping[str, Key]] = {
    "placement": PLACEMENT,
    "branch": BRANCH,
    "network": NETWORK,
    "training": TRAINING,
    "policy": POLICY,
}
