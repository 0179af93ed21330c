"""What the bandits over exits share: one index per arm, side observations, discounting, sliding windows."""

import itertools
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul, truediv
from random import Random
from typing import Any

from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened
from eenas.policies.controllers.controlled_exits import ControlledExits
from eenas.policies.controllers.controller_kind import (
    ControllerKind,
    Knowledge,
    finite_number,
    like,
    setting,
)
from eenas.policies.controllers.indices import INDICES
from eenas.policies.values import check_whole, numbers_of

WIDEST_WINDOW = 10_000
"""The largest number of samples in a sliding window."""
SHARES = ("below", None)
Steps = list[tuple[int, float]]
"""Arms at which the reward of a sample changes, in order, with the reward from there on."""


@dataclass(frozen=True, kw_only=True)
class BanditKind(ControllerKind):
    """A bandit over arms that are ordered from the cheapest to the dearest.

    `index` is one of INDICES and `c` scales its bonus. With `share` "below", a sample updates every cheaper arm too,
    because it tells what those arms would have earned, and the first `warm_up` samples play the dearest arm, which
    informs all. The mean of an arm is then the sum of the mean differences between neighbours up to it, each over all
    samples that tell it, which varies less than the mean of its own samples. With `share` None, only the played arm is
    updated, and each arm is played once first. The default of `c` for "ucb1" is 0.05, or 0.1 with `share` None; for the
    others it is 1. `overhead`, in [0, 1], is the price of the way to the final exit in units of confidence. `costs`
    [K] of the exits replace those of the model. At most one of: `discount` in (0, 1), which multiplies the weight of
    earlier samples at each sample (Kocsis and Szepesvári 2006, Garivier and Moulines 2011), and `window`, the number
    of latest samples that count. Raises PolicyError for other values.
    """

    index: str = "ucb1"
    c: float | None = None
    share: str | None = "below"
    warm_up: int = 50
    overhead: float = 0.1
    costs: tuple[float, ...] | None = None
    discount: float | None = None
    window: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if not isinstance(self.index, str) or self.index not in INDICES:
            raise PolicyError(f"index: unknown value {shortened(self.index)}; {nearest(str(self.index), INDICES)}")
        if self.share not in SHARES:
            raise PolicyError(f"share must be 'below' or none, got {shortened(self.share)}")
        check_whole("warm_up", self.warm_up, 0, 10**9)
        object.__setattr__(self, "overhead", setting("overhead", self.overhead, 0.0, 1.0))
        if self.c is not None:
            object.__setattr__(self, "c", setting("c", self.c, 0.0, 100.0))
        if self.costs is not None:
            object.__setattr__(self, "costs", numbers_of("costs of exits", (self.costs,))[0])
        if self.discount is not None:
            object.__setattr__(self, "discount", setting("discount", self.discount, 0.5, 1 - 1e-9))
        if self.window is not None:
            check_whole("window", self.window, 10, WIDEST_WINDOW)
        if self.discount is not None and self.window is not None:
            raise PolicyError("discount and window are mutually exclusive; give one of them")

    @abstractmethod
    def observed(self, exits: ControlledExits, arm: int, confidences: Sequence[float]) -> Steps:
        """Return the rewards of the arms 0 to `arm` on a sample that `arm` decided, from what it reached, as steps.

        A step is an arm and its reward, which the arms above share up to the next step; the first one is arm 0.
        """

    @property
    def scale(self) -> float:
        """The scale of the bonus: `c` or its default."""
        if self.c is not None:
            return self.c
        return 1.0 if self.index != "ucb1" else 0.05 if self.share is not None else 0.1

    def start(self, exits: ControlledExits) -> Knowledge:
        """Return the state before the first sample.

        `plays` counts the samples that each arm decided. `sums` and `squares` are those of its rewards; with `share`,
        of the differences to the arm below, over all samples that tell them.
        """
        arms = len(self.arms(exits))
        state: Knowledge = {name: [0.0] * arms for name in ("plays", "sums", "squares")}
        return {**state, "rounds": 0.0, "samples": 0, "recent": []}

    def choose(self, exits: ControlledExits, state: Knowledge, random: Random) -> int:
        """Return the arm with the highest index; first the dearest, or without `share` each one once."""
        plays, means, squares = self.estimates(state)
        is_shared = self.share is not None
        if 0.0 in plays or (is_shared and state["samples"] < self.warm_up):
            return len(plays) - 1 if is_shared else plays.index(0.0)
        values = INDICES[self.index](plays, means, squares, state["rounds"], self.scale, random)
        return values.index(max(values))

    def estimates(self, state: Knowledge) -> tuple[list[float], list[float], list[float]]:
        """Return for each arm the samples that tell its reward, the mean and the sum of squares, [A] each."""
        plays: list[float] = state["plays"]
        if self.share is not None:
            plays = list(accumulate(reversed(plays)))
            plays.reverse()
        if 0.0 in plays:
            return plays, plays, plays
        means = list(map(truediv, state["sums"], plays))
        if self.share is None:
            return plays, means, state["squares"]
        squares: list[float] = state["squares"]
        if self.index != "ucb1":
            squares = list(map(mul, accumulate(map(truediv, squares, plays)), plays))
        return plays, list(accumulate(means)), squares

    def learn(self, exits: ControlledExits, state: Knowledge, arm: int, confidences: Sequence[float]) -> None:
        """Update the played arm and, with `share`, every cheaper one."""
        if (discount := self.discount) is not None:
            for name in ("plays", "sums", "squares"):
                state[name] = [discount * value for value in state[name]]
            state["rounds"] *= discount
        self._add(exits, state, arm, confidences, 1.0)
        state["samples"] += 1
        if self.window is not None:
            recent: list[list[float]] = state["recent"]
            recent.append([arm, *confidences])
            if len(recent) > self.window:
                first, *earlier = recent.pop(0)
                self._add(exits, state, int(first), earlier, -1.0)

    def restore(self, exits: ControlledExits, found: Any) -> Knowledge:
        """Return the state in data from JSON. Raises PolicyError if it is not one of this kind."""
        start = self.start(exits)
        recent = found.get("recent") if isinstance(found, dict) else None
        most = self.window or 0
        if not isinstance(recent, list) or len(recent) > most:
            raise PolicyError(f"the state needs a list 'recent' of at most {most} samples, got {shortened(recent)}")
        state: Knowledge = like(start, {**found, "recent": []}, "the state")
        if min(state["plays"]) < 0 or state["samples"] < 0 or state["rounds"] < 0:
            raise PolicyError("plays, rounds and samples of a state must be at least 0")
        for each in recent:
            if not isinstance(each, list) or not 2 <= len(each) <= exits.num_exits + 1:
                raise PolicyError(f"a sample of 'recent' must be an arm and confidences, got {shortened(each)}")
            arm = finite_number("an arm", each[0], whole=True)
            if not 0 <= arm < len(state["plays"]) or any(not 0 <= finite_number("it", one) <= 1 for one in each[1:]):
                raise PolicyError(f"a sample of 'recent' must be an arm and confidences, got {shortened(each)}")
        if self.window is not None:  # each sample of 'recent' is subtracted once; no other one may be
            counts = [0] * len(state["plays"])
            for each in recent:
                counts[each[0]] += 1
            if state["plays"] != counts or state["rounds"] != len(recent):
                raise PolicyError("plays and rounds of a state must be those of its 'recent' samples; start a new one")
        return {**state, "recent": recent}

    def _add(
        self, exits: ControlledExits, state: Knowledge, arm: int, confidences: Sequence[float], weight: float
    ) -> None:
        """Add a sample with the weight 1, or remove it with -1."""
        steps = self.observed(exits, arm, confidences)
        sums, squares = state["sums"], state["squares"]
        state["plays"][arm] += weight
        state["rounds"] += weight
        if self.share is None:
            reward = steps[-1][1]
            sums[arm] += weight * reward
            squares[arm] += weight * reward * reward
            return
        before = 0.0
        for number, reward in steps:  # only where the reward changes, the difference to the arm below is not 0
            sums[number] += weight * (reward - before)
            squares[number] += weight * (reward * reward - before * before)
            before = reward


def increasing(thresholds: Sequence[float], most: int) -> bool:
    """Whether thresholds strictly increase, and there are 1 to `most` of them."""
    pairs = itertools.pairwise(thresholds)
    return (
        1 <= len(thresholds) <= most
        and all(before < after for before, after in pairs)
        and not math.isnan(thresholds[0])
    )
