"""AdaEE: a bandit that learns the common threshold of all exits without labels, from confidences alone."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.controllers.bandit import BanditKind, Steps, increasing
from eenas.policies.controllers.controlled_exits import ControlledExits, Thresholds, same_for_all
from eenas.policies.controllers.controller_kind import MOST_ARMS
from eenas.policies.values import limits_of


@dataclass(frozen=True, kw_only=True)
class AdaEE(BanditKind):
    """The bandit over thresholds of Pacheco et al. 2023 (AdaEE, ICC) and 2025 (UCBEE, TNSM), for two or more exits.

    Each of `thresholds`, increasing in [0, 1], is an arm: the common threshold of all exits. A sample that leaves at
    exit k with confidences C_1..C_k earns max(C_1..C_k) - C_1 - overhead * w_k, where w_k is the share of the way from
    the first exit to the final one by cost: 0 at the first exit, 1 at the final one. With two exits this is
    their max(C_2 - C_1, 0) - overhead. Costs such as (0, 0, 1) charge the final exit only, where a sample is sent to
    another machine. At the final exit, the answer is that of the most confident exit as in the papers, or with the
    `final_rule` "last" that of the final exit. `share` None is the original algorithm; see `BanditKind` for the other
    settings. Raises PolicyError for values out of range.
    """

    kind: ClassVar[str] = "adaee"

    final_rule: str = "most_confident"  # type: ignore[misc]  # a setting of this kind
    thresholds: tuple[float, ...] = tuple(round(0.1 * step, 1) for step in range(11))

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.final_rule not in ("last", "most_confident"):
            raise PolicyError(f"final_rule must be 'last' or 'most_confident', got {shortened(self.final_rule)}")
        found = limits_of(self.thresholds)
        numbers = tuple(each for each in found if each is not None)
        if len(numbers) != len(found) or not increasing(numbers, MOST_ARMS):
            raise PolicyError(
                f"thresholds must be 1 to {MOST_ARMS} increasing numbers in [0, 1], got {shortened(list(found))}"
            )
        object.__setattr__(self, "thresholds", numbers)

    def arms(self, exits: ControlledExits) -> tuple[Thresholds, ...]:
        """Return one arm for each threshold."""
        return tuple(same_for_all(threshold, exits) for threshold in self.thresholds)

    def observed(self, exits: ControlledExits, arm: int, confidences: Sequence[float]) -> Steps:
        """Return the rewards of the arms 0 to `arm`: those with a threshold above a confidence go on from that exit."""
        thresholds, way, overhead = self.thresholds, exits.way, self.overhead
        first = best = confidences[0]
        found, lowest = [(0, 0.0)], 0
        for k in range(1, len(confidences)):
            lowest = max(lowest, bisect_right(thresholds, confidences[k - 1]))
            if lowest > arm:
                break
            best = max(best, confidences[k])
            reward = best - first - overhead * way[k]
            if found[-1][0] == lowest:
                found[-1] = (lowest, reward)
            else:
                found.append((lowest, reward))
        return found

    def exit_rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward [N, K] of leaving at each exit."""
        best = np.maximum.accumulate(confidences, axis=1)
        return np.asarray(best - confidences[:, :1] - self.overhead * np.array(exits.way))
