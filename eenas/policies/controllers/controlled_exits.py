"""The exits that a controller decides over: their temperatures, relative costs and thresholds so far."""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.values import limits_of, numbers_of, temperatures_of

Thresholds = tuple[float | None, ...]
"""A threshold for each exit except the final one; None means that no sample leaves there."""


@dataclass(frozen=True, kw_only=True)
class ControlledExits:
    """K >= 2 exits of one model, in depth order, the final exit last.

    `temperatures` [K] divide the logits before confidences are computed. `costs` [K] are the costs of leaving at each
    exit in any unit, not decreasing, the last one above 0; the default is 1, 2, ..., K. `thresholds` [K - 1] are those
    of the model without a controller, or None. Raises PolicyError for counts that do not match and numbers out of
    range.
    """

    temperatures: tuple[float, ...]
    costs: tuple[float, ...] = ()
    thresholds: Thresholds | None = None

    def __post_init__(self) -> None:
        """Convert to plain floats and check the values."""
        temperatures = temperatures_of(self.temperatures)
        exits = len(temperatures)
        if exits < 2:
            raise PolicyError(f"a controller needs at least two exits, this model has {exits}; it never decides")
        (costs,) = numbers_of("costs of exits", (self.costs or range(1, exits + 1),))
        if len(costs) != exits:
            raise PolicyError(f"{exits} exits need {exits} costs, got {len(costs)}")
        if costs[0] < 0 or costs[-1] <= 0 or any(after < before for before, after in itertools.pairwise(costs)):
            raise PolicyError(f"costs of exits must not decrease, from 0 up, got {shortened(list(costs))}")
        if self.thresholds is not None:
            thresholds = limits_of(self.thresholds)
            if len(thresholds) != exits - 1:
                raise PolicyError(f"{exits} exits need {exits - 1} thresholds, got {len(thresholds)}")
            object.__setattr__(self, "thresholds", thresholds)
        object.__setattr__(self, "temperatures", temperatures)
        object.__setattr__(self, "costs", costs)

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return len(self.temperatures)

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """The cost of leaving at each exit as a share of that of the final exit, [K] in [0, 1]."""
        return tuple(cost / self.costs[-1] for cost in self.costs)

    @cached_property
    def way(self) -> tuple[float, ...]:
        """The cost of going on from the first exit to each exit, as a share of the whole way, [K] from 0 to 1."""
        whole = self.costs[-1] - self.costs[0]
        if math.isclose(whole, 0.0, abs_tol=1e-300):
            return (0.0,) * self.num_exits
        return tuple((cost - self.costs[0]) / whole for cost in self.costs)


def same_for_all(threshold: float | None, exits: ControlledExits) -> Thresholds:
    """Return one threshold for every exit except the final one."""
    return (threshold,) * (exits.num_exits - 1)
