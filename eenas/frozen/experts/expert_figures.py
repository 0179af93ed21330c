"""The figures of a network with experts on clean and distorted test images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from eenas import specs
from eenas.frozen.experts.expert_worth import ContextWorth, KindWorth, worth_of_kinds
from eenas.policies.operating_point import OperatingPoint

_WORTH = "worth"


@dataclass(frozen=True, kw_only=True)
class ExpertFigures:
    """The figures of a network with the experts `names`, the first of which is that for clean images.

    `contexts` are those of clean images and of each kind at each severity. The others refer to `samples` images: every
    test image clean, and once for each kind at a random severity. `macs` and `accuracy` [K] are those of leaving at an
    exit and of all images there, `reported` is the operating point of the policy, and `points` are those of other
    budgets. The `classifier_macs` of choosing an expert are in all MACs.
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

    @property
    def worth(self) -> tuple[KindWorth, ...]:
        """The worth of the expert of each kind, that for clean images first."""
        return worth_of_kinds(self.names, self.contexts)

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON, with the worth of each expert."""
        table = {name: specs.to_table(value) for name, value in vars(self).items()}
        return {**table, _WORTH: [specs.to_table(each) for each in self.worth]}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the figures that `to_table` wrote. Raises SpecError and PolicyError."""
        given = {name: value for name, value in table.items() if name != _WORTH}
        return specs.read_fields(cls, given, file=file, key=key)
