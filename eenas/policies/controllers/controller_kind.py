"""The contract of a kind of controller: its settings as a frozen value, and what it learns as plain data."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.controllers.controlled_exits import ControlledExits, Thresholds

Knowledge = dict[str, Any]
"""The state of a controller in one context: plain data for JSON."""
LARGEST_NUMBER = 1e15
"""The largest absolute value of a number in a state."""
MOST_ARMS = 101
"""The largest number of arms. The time of a decision grows with it."""


class ControllerKind(ABC):
    """The settings of a controller: a frozen value, `@dataclass(frozen=True, kw_only=True)`.

    An *arm* is a choice that the controller may make: thresholds for all exits except the final one. Order of calls:
    `arms` once; `start` for each context; then `choose` before each batch and `learn` after it, once per sample, with
    the temperature-scaled largest probability (the confidence) at each exit that the sample reached, in order. A
    sample that left early has fewer confidences than there are exits; labels are never needed. `eenas.policies.
    controllers.Controller` calls these methods under a lock, keeps one state per context, and saves it as JSON: the
    state is a dict of numbers, lists of numbers and such dicts. Randomness comes from the given generator only.
    """

    kind: ClassVar[str]
    """The name of the kind in tables."""
    learns: ClassVar[bool] = True
    """Whether choices depend on what was observed. False for fixed thresholds."""
    final_rule: ClassVar[str] = "last"
    """The answer at the final exit: "last", or "most_confident" for that of the most confident exit."""
    costs: tuple[float, ...] | None = None
    """The costs of the exits [K], in place of the model's own."""

    @abstractmethod
    def arms(self, exits: ControlledExits) -> tuple[Thresholds, ...]:
        """Return the A arms, at most MOST_ARMS. Raises PolicyError for exits that the settings do not fit."""

    @abstractmethod
    def start(self, exits: ControlledExits) -> Knowledge:
        """Return the state before the first sample of a context."""

    @abstractmethod
    def choose(self, exits: ControlledExits, state: Knowledge, random: Random) -> int:
        """Return the number of the next arm, 0..A-1. The state may change."""

    @abstractmethod
    def learn(self, exits: ControlledExits, state: Knowledge, arm: int, confidences: Sequence[float]) -> None:
        """Update the state with one sample: the arm that decided, and the confidences at the exits it reached."""

    @abstractmethod
    def exit_rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward [N, K] of leaving at each exit, from the confidences at all exits [N, K].

        Simulations measure regret in these units.
        """

    def rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward [N, A] of each arm. The default is that of the exit where a sample leaves."""
        return earned(self.exit_rewards(exits, confidences), self.arms(exits), confidences)

    def best_rewards(self, exits: ControlledExits, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward [N] of the best choice for each sample alone. The default is that of the best exit."""
        return np.asarray(self.exit_rewards(exits, confidences).max(axis=1))

    def notes(self, state: Knowledge) -> Mapping[str, float]:
        """Return further numbers on a state for statistics, such as the number of alarms."""
        return {}

    def restore(self, exits: ControlledExits, found: Any) -> Knowledge:
        """Return the state in data from JSON. Raises PolicyError if it is not of the form that `start` returns."""
        state: Knowledge = like(self.start(exits), found, "the state")
        return state

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON, with the key "kind"."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # every kind is a dataclass by this contract
        return {"kind": self.kind, **{field.name: as_data(getattr(self, field.name)) for field in fields}}


def as_data(value: Any) -> Any:
    """Return a setting as plain data: a kind of controller as its table, a tuple as a list."""
    if isinstance(value, ControllerKind):
        return value.to_table()
    return [as_data(each) for each in value] if isinstance(value, tuple) else value


def like(known: Any, found: Any, place: str) -> Any:
    """Return data from JSON if they have the form of `known`: its keys, lengths of lists and finite numbers.

    Raises PolicyError that names the place.
    """
    if isinstance(known, dict):
        if not isinstance(found, dict) or set(found) != set(known):
            raise PolicyError(f"{place} must have the keys {', '.join(sorted(known))}, got {shortened(found)}")
        return {name: like(value, found[name], f"{place}.{name}") for name, value in known.items()}
    if isinstance(known, list):
        if not isinstance(found, list) or len(found) != len(known):
            raise PolicyError(f"{place} must be a list of {len(known)}, got {shortened(found)}")
        return [like(value, each, place) for value, each in zip(known, found, strict=True)]
    return finite_number(place, found, whole=isinstance(known, int))


def finite_number(place: str, found: Any, *, whole: bool = False) -> Any:
    """Return a number from JSON, at most LARGEST_NUMBER; `whole` asks for an integer. Raises PolicyError."""
    good = isinstance(found, int) if whole else isinstance(found, int | float)
    if isinstance(found, bool) or not good or not abs(found) <= LARGEST_NUMBER:
        raise PolicyError(f"{place} must be a finite {'whole ' * whole}number, got {shortened(found)}")
    return found


def setting(name: str, value: object, least: float, most: float) -> float:
    """Return a setting as a float. Raises PolicyError unless it is a number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise PolicyError(f"{name} must be a number from {least:g} to {most:g}, got {shortened(value)}")
    return float(value)


def arms_of(kind: ControllerKind, exits: ControlledExits) -> tuple[Thresholds, ...]:
    """Return the arms of a kind as tuples. Raises PolicyError for something else, and for too many or none."""
    given = kind.arms(exits)
    if not isinstance(given, list | tuple) or not all(isinstance(each, list | tuple) for each in given):
        raise PolicyError(
            f"{kind.kind}: arms() must return a tuple of thresholds for each arm, such as ((0.5,), (0.9,)), got "
            f"{shortened(given)}"
        )
    if not 1 <= len(given) <= MOST_ARMS:
        raise PolicyError(f"a controller needs 1 to {MOST_ARMS} arms, {kind.kind} has {len(given)}")
    return tuple(map(tuple, given))


def chosen_arm(kind: ControllerKind, arm: Any, count: int) -> int:
    """Return the arm that a kind chose. Raises PolicyError unless it is the number of one of `count` arms."""
    if isinstance(arm, bool) or not isinstance(arm, int | np.integer) or not 0 <= arm < count:
        raise PolicyError(
            f"{kind.kind}: choose() must return the number of an arm, 0 to {count - 1}, got {shortened(arm)}"
        )
    return int(arm)


def earned(
    of_exit: NDArray[np.float64], arms: Sequence[Thresholds], confidences: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the rewards [N, A] of arms that earn the reward [N, K] of the exit where a sample leaves."""
    return np.take_along_axis(of_exit, exits_taken(arms, confidences), axis=1)


def exits_taken(arms: Sequence[Thresholds], confidences: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the exit at which each of N samples leaves under each of A arms, [N, A], from confidences [N, K]."""
    taken = np.empty((len(confidences), len(arms)), dtype=np.int64)
    reached = np.ones(confidences.shape, dtype=np.bool_)
    for number, thresholds in enumerate(arms):
        limits = np.array([np.inf if each is None else each for each in thresholds])
        np.greater_equal(confidences[:, :-1], limits, out=reached[:, :-1])
        taken[:, number] = reached.argmax(axis=1)
    return taken
