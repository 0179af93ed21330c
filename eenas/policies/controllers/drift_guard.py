"""A guard against drift: if the confidences of the first exit shift, safe thresholds decide for a while."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controlled_exits import ControlledExits, Thresholds
from eenas.policies.controllers.controller_kind import ControllerKind, Knowledge, earned, like, setting
from eenas.policies.controllers.fixed import fitting_thresholds
from eenas.policies.values import check_whole, limits_of

_LEAST_DEVIATION = 1e-3
"""The least standard deviation of confidences, so that constant ones can be compared."""
_EMPTY: dict[str, Any] = {"samples": 0, "mean": 0.0, "squares": 0.0}
"""The sums of a reference before its first sample."""


@dataclass(frozen=True, kw_only=True)
class DriftGuard(ControllerKind):
    """A watch over another `controller` (default AdaEE) by the two-sided cumulative sum test of Page 1954.

    Every sample has a confidence at the first exit, so all are watched. The first `reference` samples give its mean and
    standard deviation s. After that, sums of the deviations in units of s beyond `allowance` are kept for each
    direction, and one above `alarm` is a drift. The next `hold` samples are decided by the `safe` thresholds: one for
    each exit except the final one, or one for all; None (the default) lets nobody leave early. They are the new
    reference. Then the controller starts anew, or, if it does not learn, such as "fixed", resumes only once the mean
    of `hold` samples is within 2 * `allowance` * s of the first reference. The memory is constant. Raises PolicyError
    for numbers out of range.
    """

    kind: ClassVar[str] = "drift_guard"

    controller: ControllerKind = field(default_factory=AdaEE)
    safe: Thresholds = (None,)
    reference: int = 1000
    allowance: float = 0.25
    alarm: float = 30.0
    hold: int = 1000

    def __post_init__(self) -> None:
        """Check the values."""
        if not isinstance(self.controller, ControllerKind) or isinstance(self.controller, DriftGuard):
            raise PolicyError(f"a drift guard needs a controller of another kind, got {shortened(self.controller)}")
        object.__setattr__(self, "safe", limits_of(self.safe) or (None,))
        check_whole("reference", self.reference, 10, 10**9)
        check_whole("hold", self.hold, 10, 10**9)
        object.__setattr__(self, "allowance", setting("allowance", self.allowance, 0.0, 10.0))
        object.__setattr__(self, "alarm", setting("alarm", self.alarm, 1.0, 1e6))

    @property
    def costs(self) -> tuple[float, ...] | None:  # type: ignore[override]
        """Those of the controller."""
        return self.controller.costs

    @property
    def final_rule(self) -> str:  # type: ignore[override]
        """That of the controller."""
        return self.controller.final_rule

    def arms(self, exits: ControlledExits) -> tuple[Thresholds, ...]:
        """Return the arms of the controller, followed by the safe thresholds."""
        return (*self.controller.arms(exits), fitting_thresholds(self.safe, exits))

    def start(self, exits: ControlledExits) -> Knowledge:
        """Return the state before the first sample."""
        watch = {"center": 0.0, "deviation": 1.0, "first_center": 0.0, "first_deviation": 1.0, "up": 0.0, "down": 0.0}
        return {**_EMPTY, **watch, "ready": 0, "held": 0, "alarms": 0, "inner": self.controller.start(exits)}

    def choose(self, exits: ControlledExits, state: Knowledge, random: Random) -> int:
        """Return the arm of the controller, or the safe one after an alarm."""
        if state["held"]:
            return len(self.controller.arms(exits))
        return self.controller.choose(exits, state["inner"], random)

    def learn(self, exits: ControlledExits, state: Knowledge, arm: int, confidences: Sequence[float]) -> None:
        """Watch the confidence of the first exit, and pass the sample on to the controller unless it was held."""
        if arm < len(self.controller.arms(exits)):
            self.controller.learn(exits, state["inner"], arm, confidences)
        if state["held"] or not state["ready"]:
            self._refer(exits, state, confidences[0])
        else:
            self._watch(state, confidences[0])

    def exit_rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return those of the controller."""
        return self.controller.exit_rewards(exits, confidences)

    def rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward [N, A] of each arm; the safe one earns that of the exit where a sample leaves."""
        safe = earned(self.exit_rewards(exits, confidences), self.arms(exits)[-1:], confidences)
        return np.hstack([self.controller.rewards(exits, confidences), safe])

    def best_rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return those of the controller."""
        return self.controller.best_rewards(exits, confidences)

    def notes(self, state: Knowledge) -> Mapping[str, float]:
        """Return the number of alarms, and of samples that the safe thresholds still decide."""
        return {"alarms": state["alarms"], "held": state["held"], **self.controller.notes(state["inner"])}

    def restore(self, exits: ControlledExits, found: Any) -> Knowledge:
        """Return the state in data from JSON. Raises PolicyError if it is not one of this kind."""
        if not isinstance(found, dict) or "inner" not in found:
            raise PolicyError(f"the state of a drift guard needs 'inner', got {shortened(found)}")
        start = self.start(exits)
        inner = self.controller.restore(exits, found["inner"])
        state: Knowledge = like({**start, "inner": {}}, {**found, "inner": {}}, "the state")
        if not (state["deviation"] > 0 and 0 <= state["held"] <= self.hold and state["samples"] >= 0):
            raise PolicyError("the state of a drift guard needs deviation > 0, held and samples from 0 up")
        return {**state, "inner": inner}

    def _refer(self, exits: ControlledExits, state: Knowledge, confidence: float) -> None:
        """Add a sample to the reference (Welford 1962), and end the reference or the hold with the last one."""
        state["samples"] += 1
        before = confidence - state["mean"]
        state["mean"] += before / state["samples"]
        state["squares"] += before * (confidence - state["mean"])
        if not state["held"]:
            if state["samples"] >= self.reference:
                self._settle(state)
                state.update(first_center=state["center"], first_deviation=state["deviation"])
            return
        state["held"] -= 1
        if state["held"]:
            return
        if self.controller.learns:
            self._settle(state)
            state["inner"] = self.controller.start(exits)
        elif abs(state["mean"] - state["first_center"]) <= 2 * self.allowance * state["first_deviation"]:
            self._settle(state)
            state.update(center=state["first_center"], deviation=state["first_deviation"])
        else:
            state.update(held=self.hold, **_EMPTY)

    def _settle(self, state: Knowledge) -> None:
        """Make the samples so far the reference."""
        deviation = math.sqrt(max(0.0, state["squares"]) / max(1, state["samples"] - 1))
        state.update(center=state["mean"], deviation=max(_LEAST_DEVIATION, deviation), ready=1, **_EMPTY)

    def _watch(self, state: Knowledge, confidence: float) -> None:
        """Add a sample to both sums, and start a hold if one of them is above the alarm."""
        far = (confidence - state["center"]) / state["deviation"]
        state["up"] = max(0.0, state["up"] + far - self.allowance)
        state["down"] = max(0.0, state["down"] - far - self.allowance)
        if max(state["up"], state["down"]) > self.alarm:
            state.update(up=0.0, down=0.0, held=self.hold)
            state["alarms"] += 1
