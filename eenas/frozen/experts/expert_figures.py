"""The figures of a network with experts on clean and distorted test images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from eenas import specs
from eenas.frozen.experts.expert_worth import ContextWorth, KindWorth, worth_of_kinds
from eenas.percent import percent
from eenas.policies.operating_point import OperatingPoint

_WORTH = "worth"


@dataclass(frozen=True, kw_only=True)
class ExpertFigures:
    """The figures of a network with the experts `names`, the first of which is that for clean images.

    `contexts` are those of clean images and of each kind at each severity. The others refer to `samples` images: every
    test image clean, and once for each kind at a random severity. `macs` and `accuracy` [K] are those of leaving at an
    exit and of all images there, `reported` is the operating point of the policy, and `points` are those of other
    budgets. The `classifier_macs` of choosing an expert are in all MACs. The experts add `expert_weights` to the
    `weights` of the network without them; both are 0 in figures of older versions.
    """

    names: tuple[str, ...]
    samples: int
    balanced: bool
    classifier_macs: int
    backbone_macs: float
    macs: tuple[float, ...]
    accuracy: tuple[float, ...]
    reported: OperatingPoint
    points: tuple[OperatingPoint, ...]
    contexts: tuple[ContextWorth, ...]
    weights: int = 0
    expert_weights: int = 0

    @property
    def worth(self) -> tuple[KindWorth, ...]:
        """The worth of the expert of each kind, that for clean images first."""
        return worth_of_kinds(self.names, self.contexts)

    @property
    def size(self) -> str:
        """The weights that the experts add, in words, or nothing if they were not counted."""
        if not self.weights:
            return ""
        share = percent(self.expert_weights / self.weights)
        return f"the experts add {self.expert_weights:,} weights to the network's {self.weights:,} ({share})"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON, with the worth of each expert."""
        table = {name: specs.to_table(value) for name, value in vars(self).items()}
        return {**table, _WORTH: [specs.to_table(each) for each in self.worth]}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the figures that `to_table` wrote. Raises SpecError and PolicyError."""
        given = {name: value for name, value in table.items() if name != _WORTH}
        return specs.read_fields(cls, given, file=file, key=key)
