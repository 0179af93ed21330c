"""The training of a design, as far as it is part of the design."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from eenas.designs.checks import at_least, number, one_of, truth
from eenas.errors import DesignError
from eenas.escaping import shortened
from eenas.plugins import is_reference

Strategy = Literal["joint", "branch_wise", "two_stage", "distillation", "hybrid"]
Hybrid = Literal["mixed", "two_stage_joint", "two_stage_distillation", "joint_distillation", "alternating"]
Teacher = Literal["final", "backbone"]
LossWeights = Literal["equal", "linear", "branchy", "cost", "sdn_ramp", "uncertainty", "boosted"]
Optimizer = Literal["sgd", "adamw"]
Experts = Literal["none", "shared", "per_kind", "per_kind_tuned"]
NO_EXPERTS: Final = "none"

_FROZEN = ("two_stage", "two_stage_distillation")
"""Strategies with a frozen backbone."""
_DISTILS = ("distillation", "two_stage_distillation", "joint_distillation")
_NOT_BOOSTED = (*_FROZEN, "mixed")
"""Strategies in which the final exit does not learn with the branches, so that it cannot add to their logits."""


@dataclass(frozen=True, kw_only=True)
class TrainingChoice:
    """How a design is trained.

    `strategy` is one of: everything together (`joint`), segment after segment with its exit (`branch_wise`), branches
    on the frozen backbone (`two_stage`), everything with a teacher (`distillation`), the combination named by `hybrid`,
    or the user's own, `./file.py:function`. `teacher` provides the softened targets: the network's own final exit, or
    the backbone before training. `distillation_weight` is the teacher's share of the loss; `distillation_temperature`
    softens both outputs.

    `loss_weights` is the scheme of the joint loss. Under `boosted` the exits add up: the network's logits are `F_k =
    F_{k-1} + z_k`. `final_weight` multiplies the final exit's weight. `backbone_rate` multiplies `learning_rate` for
    the backbone's own parameters; 0 freezes it. `gradient_equilibrium` rescales the gradients that meet at a cut point
    (Li et al., ICCV 2019). `weight_average` is the decay of the moving average of the weights that training returns (0:
    the last weights). `patience` is the number of rounds without a gain on the `tune` part of train that ends a phase
    (0: no early stopping, and no samples are held out).

    With `distorted`, the share of distorted training images that the task states is used; without it, training is on
    pristine images. `experts` are those for distorted images that are trained afterwards on the frozen network: none,
    or experts with this batch normalisation of the backbone.

    The defaults train every exit on the outputs of the untouched backbone, which improves early exits. They preserve
    the final exit by its weight and a lower rate of the backbone. `tests/benchmarks/strategies.py` compares them with
    the others.
    """

    strategy: str = "distillation"
    hybrid: Hybrid = "mixed"
    teacher: Teacher = "backbone"
    distillation_temperature: float = 3.0
    distillation_weight: float = 0.9
    loss_weights: LossWeights = "equal"
    final_weight: float = 4.0
    gradient_equilibrium: bool = False
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.02
    backbone_rate: float = 0.3
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    weight_average: float = 0.0
    patience: int = 0
    experts: Experts = "none"
    distorted: bool = True

    def __post_init__(self) -> None:
        """Check every value, and convert whole numbers to floats so that digests agree."""
        if not (isinstance(self.strategy, str) and is_reference(self.strategy)):
            one_of("training.strategy", self.strategy, get_args(Strategy))
        one_of("training.hybrid", self.hybrid, get_args(Hybrid))
        one_of("training.teacher", self.teacher, get_args(Teacher))
        one_of("training.loss_weights", self.loss_weights, get_args(LossWeights))
        one_of("training.optimizer", self.optimizer, get_args(Optimizer))
        one_of("training.experts", self.experts, get_args(Experts))
        truth("training.gradient_equilibrium", self.gradient_equilibrium)
        truth("training.distorted", self.distorted)
        at_least("training.patience", self.patience, 0)
        for name in _NUMBERS:
            object.__setattr__(self, name, number(f"training.{name}", getattr(self, name)))
        for name in ("learning_rate", "distillation_temperature", "final_weight"):
            if getattr(self, name) <= 0:
                raise DesignError(f"training.{name} must be above 0, got {getattr(self, name)}")
        for name in ("backbone_rate", "weight_decay"):
            if getattr(self, name) < 0:
                raise DesignError(f"training.{name} must not be negative, got {getattr(self, name)}")
        for name in ("label_smoothing", "weight_average"):
            if not 0 <= getattr(self, name) < 1:
                raise DesignError(f"training.{name} must be in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.distillation_weight <= 1:
            raise DesignError(f"training.distillation_weight must be in [0, 1], got {self.distillation_weight}")
        contradiction = contradiction_of(
            strategy=self.strategy,
            hybrid=self.hybrid,
            loss_weights=self.loss_weights,
            frozen=self.backbone_rate == 0,
        )
        if contradiction is not None:
            raise DesignError(contradiction)

    def to_table(self) -> dict[str, Any]:
        """Return plain data. Later fields are left out at their default, so digests from before these fields hold."""
        later = {"experts": NO_EXPERTS, "distorted": True}
        return {name: value for name, value in vars(self).items() if name not in later or value != later[name]}

    @property
    def method(self) -> str:
        """The strategy, or the hybrid for the strategy "hybrid"."""
        return self.hybrid if self.strategy == "hybrid" else self.strategy

    def canonical(self, branches: int, *, static: bool = False) -> "TrainingChoice":
        """Return the same training for a network with `branches` branches, with ineffective values at their defaults.

        All strategies train a single exit alike, but the exit of a `static` network can be taught by the backbone.
        `joint` with a backbone rate of 0 is `two_stage`, and distillation with weight 0 is the training without a
        teacher. A network with a single exit has no experts.
        """
        if branches == 0 and self.experts != NO_EXPERTS:
            return replace(self, experts=NO_EXPERTS).canonical(0, static=static)
        if branches == 0:
            is_taught = self.method == "distillation" and self.teacher == "backbone" and self.distillation_weight > 0
            if static and is_taught and self.backbone_rate > 0:
                return self._with_defaults(("hybrid", "loss_weights", "final_weight", "gradient_equilibrium"))
            return replace(self._with_defaults(_STRATEGY_KEYS), strategy="joint")
        found = self
        if not found.distillation_weight:
            plain = {"distillation": "joint", "two_stage_distillation": "two_stage"}
            found = replace(found, strategy=plain.get(found.method, found.strategy))
        if found.backbone_rate == 0 and found.method in ("joint", "mixed", "alternating"):
            found = replace(found, strategy="two_stage")
        if found.backbone_rate == 0 and found.method == "distillation":
            found = replace(found, strategy="hybrid", hybrid="two_stage_distillation")
        found = found._with_defaults(unused_keys(found.strategy, found.hybrid))
        if found.backbone_rate == 0:
            found = found._with_defaults(("final_weight", "gradient_equilibrium"))
        if found.loss_weights == "uncertainty":
            found = found._with_defaults(("final_weight",))
        one_loss = found.method == "branch_wise" or (found.method in _FROZEN and branches == 1)
        if one_loss and found.loss_weights != "boosted":
            found = found._with_defaults(("loss_weights",))
        return found

    def _with_defaults(self, names: tuple[str, ...]) -> "TrainingChoice":
        defaults: dict[str, Any] = {name: getattr(_DEFAULTS, name) for name in names}
        return replace(self, **defaults)


_NUMBERS = tuple(name for name, kind in TrainingChoice.__annotations__.items() if kind is float)
_STRATEGY_KEYS = (
    *("strategy", "hybrid", "teacher", "distillation_temperature", "distillation_weight"),
    *("loss_weights", "final_weight", "gradient_equilibrium"),
)


def unused_keys(strategy: str, hybrid: str) -> tuple[str, ...]:
    """Return the keys of `[training]` without effect under a strategy.

    `hybrid` is read only for the strategy "hybrid".
    """
    method = hybrid if strategy == "hybrid" else strategy
    found: list[str] = []
    if strategy != "hybrid":
        found.append("hybrid")
    if is_reference(method):
        return tuple(found)  # the user's own may read everything else
    if method not in _DISTILS:
        found += ["teacher", "distillation_temperature", "distillation_weight"]
    if method == "branch_wise":
        found += ["final_weight", "gradient_equilibrium"]
    if method in _FROZEN:
        found += ["final_weight", "gradient_equilibrium", "backbone_rate"]
    if method == "two_stage_distillation":
        found.append("teacher")  # the final exit stays equal to the backbone
    return tuple(dict.fromkeys(found))


def contradiction_of(*, strategy: str, hybrid: str, loss_weights: str, frozen: bool) -> str | None:
    """Return one line with key and fix if these values of `[training]` contradict each other, else None.

    `frozen` means that `backbone_rate` is 0.
    """
    if loss_weights != "boosted":
        return None
    method = hybrid if strategy == "hybrid" else strategy
    fix = "set strategy to 'joint' or 'distillation', or loss_weights to 'equal'"
    if method in _NOT_BOOSTED:
        key = "hybrid" if strategy == "hybrid" else "strategy"
        return (
            f"training.loss_weights = 'boosted' adds the final exit to the branches, so it must learn with them, "
            f"which training.{key} = {shortened(method)} does not allow; {fix}"
        )
    if frozen:
        return (
            "training.loss_weights = 'boosted' adds the final exit to the branches, so it must learn with them, "
            "but training.backbone_rate = 0 freezes it; set backbone_rate above 0, or loss_weights to 'equal'"
        )
    return None


def without_contradiction(values: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Remove contradictions from drawn values of `[training]`; return the values and one line on the change, or None.

    Values that are each valid can contradict each other. Loss weights that do not suit the drawn strategy become equal.
    """
    found = dict(values)
    line = contradiction_of(
        strategy=found["strategy"],
        hybrid=found["hybrid"],
        loss_weights=found["loss_weights"],
        frozen=found["backbone_rate"] == 0,
    )
    if line is None:
        return found, None
    return {**found, "loss_weights": "equal"}, f"{line.partition(';')[0]}; loss_weights = 'equal' used"


_DEFAULTS = TrainingChoice()
