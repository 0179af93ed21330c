"""A design, as plain data: branches at named cut points of a backbone, how to train them, which policy to fit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from eenas import specs
from eenas.branches.branch import Branch
from eenas.branches.registry import branch_from_table
from eenas.errors import DesignError, nearest

Strategy = Literal["joint"]
LossWeights = Literal["equal", "linear", "branchy", "cost", "sdn_ramp", "uncertainty"]
Optimizer = Literal["sgd", "adamw"]
Score = Literal["max_softmax", "entropy", "margin"]

FORMAT = 1


@dataclass(frozen=True)
class Placed:
    """A branch at the cut point of this name."""

    cut_point: str
    branch: Branch


@dataclass(frozen=True, kw_only=True)
class TrainingChoice:
    """How a design is trained, as far as it is part of the design.

    `loss_weights` names the scheme of the joint loss; `backbone_rate` multiplies `learning_rate` for the backbone's
    own parameters; `gradient_equilibrium` rescales the gradients that meet at a cut point (Li et al., ICCV 2019).
    """

    strategy: Strategy = "joint"
    loss_weights: LossWeights = "equal"
    gradient_equilibrium: bool = False
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.02
    backbone_rate: float = 1.0
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that no training can use, and make whole numbers floats so that digests agree."""
        _one_of("training.strategy", self.strategy, get_args(Strategy))
        _one_of("training.loss_weights", self.loss_weights, get_args(LossWeights))
        _one_of("training.optimizer", self.optimizer, get_args(Optimizer))
        _truth("training.gradient_equilibrium", self.gradient_equilibrium)
        for name in ("learning_rate", "backbone_rate", "weight_decay", "label_smoothing"):
            object.__setattr__(self, name, _number(f"training.{name}", getattr(self, name)))
        if self.learning_rate <= 0:
            raise DesignError(f"training.learning_rate must be above 0, got {self.learning_rate}")
        if self.backbone_rate < 0 or self.weight_decay < 0:
            name = "backbone_rate" if self.backbone_rate < 0 else "weight_decay"
            raise DesignError(f"training.{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.label_smoothing < 1:
            raise DesignError(f"training.label_smoothing must be in [0, 1), got {self.label_smoothing}")


@dataclass(frozen=True, kw_only=True)
class PolicyChoice:
    """Which policy is fitted: the confidence score, the target for the expected MACs as a share of the backbone's,
    and whether each exit gets a threshold of its own.
    """

    score: Score = "max_softmax"
    target_macs: float = 0.5
    per_exit: bool = False

    def __post_init__(self) -> None:
        """Refuse scores and targets that no policy has."""
        _one_of("policy.score", self.score, get_args(Score))
        _truth("policy.per_exit", self.per_exit)
        object.__setattr__(self, "target_macs", _number("policy.target_macs", self.target_macs))
        if not 0 < self.target_macs <= 1:
            raise DesignError(f"policy.target_macs is a share of the backbone's MACs in (0, 1], got {self.target_macs}")


@dataclass(frozen=True, kw_only=True)
class Design:
    """A proposal resolved. `branches` stand in depth order; `provenance` (JSON data) says how the design came about.

    `digest` covers everything but the provenance, `architecture_digest` also leaves out training and policy. Both are
    taken from the canonical design, so two designs that differ only in values without effect have equal digests.
    """

    backbone: str
    num_classes: int
    input_size: int
    branches: tuple[Placed, ...] = ()
    training: TrainingChoice = field(default_factory=TrainingChoice)
    policy: PolicyChoice = field(default_factory=PolicyChoice)
    provenance: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Refuse a design that no backbone can have; copy the provenance as plain JSON data."""
        _at_least("num_classes", self.num_classes, 2)
        _at_least("input_size", self.input_size, 1)
        object.__setattr__(self, "branches", tuple(self.branches))
        names = [placed.cut_point for placed in self.branches]
        doubled = [name for index, name in enumerate(names) if name in names[:index]]
        if doubled:
            raise DesignError(f"a cut point carries one branch, got two at {doubled[0]!r}; remove one")
        try:
            copied = json.loads(json.dumps(dict(self.provenance), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise DesignError(f"provenance must be plain JSON data: {error}") from None
        object.__setattr__(self, "provenance", copied)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits; the same for equal designs on every machine and Python."""
        table = self.canonical().to_table()
        return specs.digest({name: value for name, value in table.items() if name not in ("format", "provenance")})

    @property
    def architecture_digest(self) -> str:
        """The digest of backbone, classes, input size and branches alone."""
        table = self.to_table()
        return specs.digest({name: table[name] for name in ("backbone", "num_classes", "input_size", "branches")})

    def canonical(self) -> "Design":
        """The same design with training and policy values that do nothing here at one fixed value.

        Without branches there is one loss, nobody leaves early, and no gradients meet; with one branch there is one
        threshold, common or not.
        """
        training, policy = self.training, self.policy
        if not self.branches:
            training = replace(training, loss_weights="equal", gradient_equilibrium=False)
            policy = PolicyChoice(target_macs=1.0)
        elif len(self.branches) == 1:
            policy = replace(policy, per_exit=False)
        return replace(self, training=training, policy=policy)

    def label(self) -> str:
        """Short text such as "layer1.2 fc, layer3.0 conv_fc 32", or "no branch"."""
        return ", ".join(f"{placed.cut_point} {placed.branch.label()}" for placed in self.branches) or "no branch"

    def to_table(self) -> dict[str, Any]:
        """The design as JSON data; `from_table` is the inverse."""
        placed = [{"cut_point": each.cut_point, "branch": each.branch.to_table()} for each in self.branches]
        return {
            "format": FORMAT,
            "backbone": self.backbone,
            "num_classes": self.num_classes,
            "input_size": self.input_size,
            "branches": placed,
            "training": specs.to_table(self.training),
            "policy": specs.to_table(self.policy),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_table(
        cls, table: Mapping[str, Any], *, file: str = "", key: str = "", trust_code: bool = False
    ) -> "Design":
        """Read what `to_table` wrote. Raises DesignError, SpecError or BranchError naming file, key and fix.

        A branch whose family is the user's own code (relative to `file`) raises PluginError unless it is trusted.
        """
        prefix = f"{key}." if key else ""
        if not isinstance(table, Mapping):
            raise DesignError(f"{_where(file, key)}a design must be a table, got {table!r}")
        values = dict(table)
        version = values.pop("format", FORMAT)
        if version != FORMAT:
            raise DesignError(
                f"{_where(file, key)}the design has format {version!r}, this eenas reads {FORMAT}; update"
            )
        known = ("backbone", "num_classes", "input_size", "branches", "training", "policy", "provenance")
        for name in values:
            if name not in known:
                raise DesignError(f"{_where(file, prefix + name)}unknown key; {nearest(name, known)}")
        for name in known[:3]:
            if name not in values:
                raise DesignError(f"{_where(file, key)}the key {name!r} is missing; add it")
        if not isinstance(values["backbone"], str):
            raise DesignError(f"{_where(file, prefix + 'backbone')}must be text, got {values['backbone']!r}")
        branches = values.get("branches", ())
        if not isinstance(branches, list | tuple):
            raise DesignError(f"{_where(file, prefix + 'branches')}must be a list, got {branches!r}")
        values["branches"] = tuple(
            _read_placed(item, file, f"{prefix}branches.{index}", trust_code) for index, item in enumerate(branches)
        )
        for name, spec in (("training", TrainingChoice), ("policy", PolicyChoice)):
            values[name] = specs.from_table(spec, values.get(name, {}), file=file, key=prefix + name)
        if not isinstance(values.setdefault("provenance", {}), Mapping):
            raise DesignError(f"{_where(file, prefix + 'provenance')}must be a table, got {values['provenance']!r}")
        try:
            return cls(**values)
        except DesignError as error:
            raise DesignError(f"{_where(file, key)}{error}") from None

    def to_json(self) -> str:
        """The design as a JSON text that ends in a newline."""
        return json.dumps(self.to_table(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, file: str = "", trust_code: bool = False) -> "Design":
        """Read what `to_json` wrote; `file` says where it came from."""
        try:
            table = json.loads(text)
        except ValueError as error:
            raise DesignError(f"{_where(file, '')}not valid JSON: {error}") from None
        return cls.from_table(table, file=file, trust_code=trust_code)


def _read_placed(item: Any, file: str, key: str, trust_code: bool) -> Placed:
    if not isinstance(item, Mapping):
        raise DesignError(f"{_where(file, key)}must be a table with cut_point and branch, got {item!r}")
    for name in item:
        if name not in ("cut_point", "branch"):
            raise DesignError(f"{_where(file, f'{key}.{name}')}unknown key; {nearest(name, ('cut_point', 'branch'))}")
    for name, kind in (("cut_point", str), ("branch", Mapping)):
        if not isinstance(item.get(name), kind):
            text = "text" if kind is str else "a table"
            raise DesignError(f"{_where(file, f'{key}.{name}')}must be {text}, got {item.get(name)!r}")
    folder = Path(file).parent if file else None
    branch = branch_from_table(
        item["branch"], file=file, key=f"{key}.branch", trust_code=trust_code, relative_to=folder
    )
    return Placed(cut_point=item["cut_point"], branch=branch)


def _where(file: str, key: str) -> str:
    return f"{file}: [{key}]: " if file and key else f"{file}: " if file else f"[{key}]: " if key else ""


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise DesignError(f"{name}: unknown value {value!r}; {nearest(str(value), known)}")


def _truth(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise DesignError(f"{name} must be true or false, got {value!r}")


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise DesignError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def _at_least(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DesignError(f"{name} must be a whole number of at least {least}, got {value!r}")
