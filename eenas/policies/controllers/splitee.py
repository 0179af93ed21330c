"""SplitEE: a bandit that learns at which exit to decide between an answer here and one from the final exit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.policies.controllers.bandit import BanditKind, Steps
from eenas.policies.controllers.controlled_exits import ControlledExits, Thresholds
from eenas.policies.controllers.controller_kind import setting


@dataclass(frozen=True, kw_only=True)
class SplitEE(BanditKind):
    """The bandit over exits of Bajpai et al. 2023 (SplitEE; with `share` "below", their SplitEE-S).

    Arm i decides at exit i only: a sample leaves there if its confidence is at least `threshold`, and otherwise goes on
    to the final exit on another machine. The last arm runs everything here. A sample earns C_i - price * g_i, or
    C_K - price * g_i - overhead if it goes on; g_i is the cost of exit i as a share of that of the final exit, so
    `price`, in [0, 1], is that of the whole network in units of confidence. An earlier arm that would have gone on,
    where the sample left before the final exit, is credited the confidence of the exit that answered, because C_K
    is not known.
    """

    kind: ClassVar[str] = "splitee"

    threshold: float = 0.8
    price: float = 0.1

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        object.__setattr__(self, "threshold", setting("threshold", self.threshold, 0.0, 1.0))
        object.__setattr__(self, "price", setting("price", self.price, 0.0, 1.0))

    def arms(self, exits: ControlledExits) -> tuple[Thresholds, ...]:
        """Return one arm for each exit. That of the final exit lets nobody leave early."""
        width = exits.num_exits - 1
        return tuple(tuple(self.threshold if k == arm else None for k in range(width)) for arm in range(width + 1))

    def observed(self, exits: ControlledExits, arm: int, confidences: Sequence[float]) -> Steps:
        """Return the rewards of the arms 0 to `arm`."""
        shares, last, found = exits.shares, len(confidences) - 1, []
        for number in range(min(arm, last) + 1):
            here = confidences[number] >= self.threshold or number == len(shares) - 1
            paid = self.price * shares[number] + (0.0 if here else self.overhead)
            found.append((number, confidences[number if here else last] - paid))
        return found

    def exit_rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward [N, K] of leaving at each exit, all of them here."""
        return np.asarray(confidences - self.price * np.array(exits.shares))

    def rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward of each split on N samples, [N, K]."""
        paid = self.price * np.array(exits.shares)
        sent = confidences[:, -1:] - paid - self.overhead
        found = np.where(confidences >= self.threshold, confidences - paid, sent)
        found[:, -1] = confidences[:, -1] - paid[-1]
        return found

    def best_rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward [N] of the best split for each sample alone."""
        return np.asarray(self.rewards(exits, confidences).max(axis=1))
