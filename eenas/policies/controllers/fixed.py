"""Fixed thresholds as a controller, for a drift guard to watch over and for comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controlled_exits import ControlledExits, Thresholds, same_for_all
from eenas.policies.controllers.controller_kind import ControllerKind, Knowledge, setting
from eenas.policies.values import limits_of


@dataclass(frozen=True, kw_only=True)
class FixedThresholds(ControllerKind):
    """Thresholds that never change, rewarded as in `AdaEE`.

    `thresholds` are one for each exit except the final one, or a single one for all; empty: those of the model. None
    lets nobody leave. `overhead` is that of `AdaEE`. Raises PolicyError for numbers out of range.
    """

    kind: ClassVar[str] = "fixed"
    learns: ClassVar[bool] = False

    thresholds: Thresholds = ()
    overhead: float = 0.1

    def __post_init__(self) -> None:
        """Check the values."""
        object.__setattr__(self, "thresholds", limits_of(self.thresholds))
        object.__setattr__(self, "overhead", setting("overhead", self.overhead, 0.0, 1.0))

    def arms(self, exits: ControlledExits) -> tuple[Thresholds, ...]:
        """Return the one arm. Raises PolicyError for another number of exits, and if the model has no thresholds."""
        return (fitting_thresholds(self.thresholds, exits),)

    def start(self, exits: ControlledExits) -> Knowledge:
        """Return the empty state."""
        return {}

    def choose(self, exits: ControlledExits, state: Knowledge, random: Random) -> int:
        """Return the one arm."""
        return 0

    def learn(self, exits: ControlledExits, state: Knowledge, arm: int, confidences: Sequence[float]) -> None:
        """Learn nothing."""

    def exit_rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward [N, K] of leaving at each exit."""
        return AdaEE(overhead=self.overhead).exit_rewards(exits, confidences)


def fitting_thresholds(given: Thresholds, exits: ControlledExits) -> Thresholds:
    """Return thresholds for the exits: a single one for all, or without any those of the model.

    Raises PolicyError for another number, and if the model has none.
    """
    if len(given) == 1:
        return same_for_all(given[0], exits)
    if not given:
        if exits.thresholds is None:
            raise PolicyError("this model has no thresholds of its own; give thresholds, such as [0.8]")
        return exits.thresholds
    if len(given) != exits.num_exits - 1:
        raise PolicyError(f"{exits.num_exits} exits need {exits.num_exits - 1} thresholds or one, got {len(given)}")
    return given
