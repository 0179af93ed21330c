"""A controller: it chooses the policy of a running model and learns from feedback, in one state for each context."""

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.controllers.controlled_exits import ControlledExits, Thresholds
from eenas.policies.controllers.controller_kind import (
    ControllerKind,
    Knowledge,
    arms_of,
    chosen_arm,
    finite_number,
    like,
)
from eenas.policies.controllers.state_file import STAMP, read_state, write_state
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.policy import Policy

STATE_FORMAT = 1
SCORE_OF_CONFIDENCES = "max_softmax"
"""The confidence that controllers learn from: the largest probability after temperature scaling."""
LONGEST_CONTEXT = 200
"""The largest number of characters in the name of a context."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Feedback:
    """What was observed of samples that one `policy` of a controller decided, in one `context`.

    `confidences` holds a row for each sample: the temperature-scaled largest probability at the exits that it reached,
    in order. A sample that left at exit k has k + 1 of them, and its later ones are unknown. NaN and infinity count as
    0, the confidence at which no threshold above 0 is reached.
    """

    policy: Policy
    confidences: Sequence[Sequence[float]]
    context: str | None = None


@dataclass(frozen=True, kw_only=True)
class ControlStatistics:
    """What a controller did in one context (None: samples without one).

    `samples` were learned from. `chosen` [A] of them were decided by each arm, whose thresholds are in
    `Controller.arms`; `left` [K] of them left at each exit. `notes` are further numbers of the kind.
    """

    context: str | None
    samples: int
    chosen: tuple[int, ...]
    left: tuple[int, ...]
    notes: Mapping[str, float]


@dataclass(eq=False)
class _Context:
    """The state in one context, and counts of samples by arm and by exit."""

    state: Knowledge
    chosen: list[int]
    left: list[int]


@dataclass(eq=False)
class Controller:
    """A running controller of some `kind` for the exits of one model. Threads may share it.

    `policy(context)` returns the policy for the next batch, `update(feedback)` learns from what was observed. Each
    context has a state of its own; a context that was never seen starts with a fresh one. At most `most_contexts` are
    kept, and the one that was not used for longest is forgotten first, so memory is bounded. Choices are a function of
    `seed` and the order of calls. `model` identifies the model: the state of another one is refused.
    """

    kind: ControllerKind
    exits: ControlledExits
    seed: int = 0
    model: str = ""
    most_contexts: int = 64
    arms: tuple[Thresholds, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Prepare a policy for each arm. Raises PolicyError for settings that do not fit the exits."""
        finite_number("seed", self.seed, whole=True)
        if finite_number("most_contexts", self.most_contexts, whole=True) < 1:
            raise PolicyError(f"most_contexts must be at least 1, got {self.most_contexts}")
        if self.kind.costs is not None:
            old = self.exits
            self.exits = ControlledExits(
                temperatures=old.temperatures, costs=self.kind.costs, thresholds=old.thresholds
            )
        self.arms = arms_of(self.kind, self.exits)
        self.policies = tuple(map(self._policy_of, self.arms))
        self._numbers = {id(policy): number for number, policy in enumerate(self.policies)}
        self._random = Random(self.seed)
        self._contexts: OrderedDict[str | None, _Context] = OrderedDict()
        self._lock, self._saving = threading.Lock(), threading.Lock()
        self._stamps: dict[Path, str] = {}

    def policy(self, context: str | None = None) -> Policy:
        """Return the policy for the next batch of a context. Raises PolicyError for a name that is not a context."""
        return self.policies[self.choose(context)]

    def choose(self, context: str | None = None) -> int:
        """Return the number of the arm for the next batch of a context; `policy` returns its policy."""
        with self._lock:
            found = self.kind.choose(self.exits, self._of(context).state, self._random)
        return chosen_arm(self.kind, found, len(self.arms))

    def update(self, feedback: Feedback) -> None:
        """Learn from feedback. Raises PolicyError for another controller's policy, and confidences out of range."""
        number = self._numbers.get(id(feedback.policy))
        if number is None:
            known = [arm for arm, policy in enumerate(self.policies) if policy == feedback.policy]
            if not known:
                raise PolicyError("the feedback is on a policy of another controller; use the one of `policy()`")
            number = known[0]
        self.learn(number, feedback.confidences, feedback.context)

    def learn(self, arm: int, confidences: Sequence[Sequence[float]], context: str | None = None) -> None:
        """Learn from samples that one arm decided, as `update` does."""
        if isinstance(arm, bool) or not isinstance(arm, int) or not 0 <= arm < len(self.arms):
            raise PolicyError(f"arms are numbered from 0 to {len(self.arms) - 1}, got {shortened(arm)}")
        try:
            given = [[*map(float, row)] for row in confidences]
        except (TypeError, ValueError, OverflowError):
            raise PolicyError(
                "confidences must be a list of numbers for each sample, such as [[0.7, 0.9], [0.95]], got "
                f"{shortened(confidences)}"
            ) from None
        self.learn_checked(arm, [row if self._is_plain(row) else self._checked(row) for row in given], context)

    def learn_checked(self, arm: int, rows: Sequence[Sequence[float]], context: str | None = None) -> None:
        """Learn from rows that are known to be 1 to K floats in [0, 1]."""
        with self._lock:
            found = self._of(context)
            for row in rows:
                self.kind.learn(self.exits, found.state, arm, row)
                found.left[len(row) - 1] += 1
            found.chosen[arm] += len(rows)

    @property
    def statistics(self) -> tuple[ControlStatistics, ...]:
        """What happened in each context, the one used last at the end."""
        with self._lock:
            return tuple(
                ControlStatistics(
                    context=name,
                    samples=sum(each.chosen),
                    chosen=tuple(each.chosen),
                    left=tuple(each.left),
                    notes=dict(self.kind.notes(each.state)),
                )
                for name, each in self._contexts.items()
            )

    def to_table(self) -> dict[str, Any]:
        """Return everything that was learned as plain data for JSON."""
        with self._lock:
            version, numbers, gauss = self._random.getstate()
            contexts = [
                {"name": name, "state": _copy(each.state), "chosen": list(each.chosen), "left": list(each.left)}
                for name, each in self._contexts.items()
            ]
        random = [version, list(numbers), gauss]
        facts = {"format": STATE_FORMAT, "controller": self.kind.to_table(), "model": self.model, "seed": self.seed}
        return {**facts, "random": random, "contexts": contexts}

    def restore(self, table: Mapping[str, Any]) -> None:
        """Continue from the data of `to_table`; nothing changes if they are refused.

        Raises PolicyError for another format, model, controller or settings, and for damaged data.
        """
        if table.get("format") != STATE_FORMAT:
            got = shortened(table.get("format"))
            raise PolicyError(f"the state has format {got}, this eenas reads format {STATE_FORMAT}; start a new one")
        if table.get("model") != self.model:
            raise PolicyError(
                "the state belongs to another model or to another version of this one (its exits, classes, "
                "temperatures or programs differ); start a new one"
            )
        own, other = self.kind.to_table(), table.get("controller")
        if other != own:
            given = other if isinstance(other, dict) else {}
            changed = sorted((name for name in {*own, *given} if own.get(name) != given.get(name)), key=str)
            raise PolicyError(
                f"the state belongs to a controller with other settings ({shortened(', '.join(map(str, changed)))}); "
                "use these settings, or start a new one"
            )
        contexts, random = self._contexts_from(table.get("contexts")), Random(self.seed)
        try:
            version, numbers, gauss = table["random"]
            random.setstate((version, tuple(numbers), gauss))
            if gauss is not None:  # `setstate` takes anything
                finite_number("the next normal number", gauss)
        except (KeyError, TypeError, ValueError, OverflowError, PolicyError):
            raise PolicyError("the state's random generator is damaged; start a new one") from None
        with self._lock:
            self._contexts, self._random = contexts, random

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the state to a JSON file, atomically and under a lock of the file.

        Raises PolicyError if another controller wrote the file since this one read or wrote it: two processes that
        share a file get this error instead of losing what one of them learned. With `overwrite` the last writer wins.
        """
        file = Path(path).absolute()
        with self._saving:  # threads that save at once must not take each other for another process
            self._stamps[file] = write_state(file, self.to_table(), self._stamps.get(file), overwrite=overwrite)

    def load(self, path: str | Path) -> None:
        """Continue from a file that `save` wrote. Raises PolicyError, with the file, as `restore` does."""
        file = Path(path).absolute()
        with self._saving:
            table = read_state(file)
            stamp = table.pop(STAMP)
            try:
                self.restore(table)
            except PolicyError as error:
                raise PolicyError(f"{file}: {error}") from None
            self._stamps[file] = stamp

    def _of(self, context: str | None) -> _Context:
        """Return the state of a context, a fresh one if it was never seen or is forgotten."""
        if context is not None and not isinstance(context, str):  # perhaps not hashable
            _check_context(context)
        found = self._contexts.get(context)
        if found is None:
            _check_context(context)
            found = _Context(self.kind.start(self.exits), [0] * len(self.arms), [0] * self.exits.num_exits)
            self._contexts[context] = found
            if len(self._contexts) > self.most_contexts:
                self._contexts.popitem(last=False)
        elif len(self._contexts) > 1:
            self._contexts.move_to_end(context)
        return found

    def _policy_of(self, thresholds: Thresholds) -> Policy:
        temperatures, score = self.exits.temperatures, SCORE_OF_CONFIDENCES
        policy = ThresholdPolicy(score=score, temperatures=temperatures, thresholds=thresholds)
        if self.kind.final_rule == "last":
            return policy
        return MostConfidentPolicy(score=score, temperatures=temperatures, policy=policy)

    def _is_plain(self, row: list[float]) -> bool:
        """Whether a row has confidences in [0, 1] for 1 to K exits. NaN fails the comparison."""
        return 1 <= len(row) <= len(self.exits.temperatures) and all(0.0 <= value <= 1.0 for value in row)

    def _checked(self, row: list[float]) -> list[float]:
        """Return a row with 0 for what is not finite. Raises PolicyError for other numbers out of range."""
        if not 1 <= len(row) <= self.exits.num_exits:
            raise PolicyError(f"a sample needs 1 to {self.exits.num_exits} confidences, got {len(row)}")
        found = [value if math.isfinite(value) else 0.0 for value in row]
        if bad := [value for value in found if not 0 <= value <= 1]:
            raise PolicyError(f"a confidence must be in [0, 1], got {bad[0]}")
        return found

    def _contexts_from(self, tables: Any) -> "OrderedDict[str | None, _Context]":
        """Return the contexts in a table. Raises PolicyError."""
        if not isinstance(tables, list) or len(tables) > self.most_contexts:
            raise PolicyError(f"a state has at most {self.most_contexts} contexts; raise most_contexts")
        found: OrderedDict[str | None, _Context] = OrderedDict()
        for each in tables:
            if not isinstance(each, dict) or set(each) != {"name", "state", "chosen", "left"}:
                raise PolicyError(f"a context of the state is damaged: {shortened(each)}; start a new one")
            _check_context(each["name"])
            if each["name"] in found:
                raise PolicyError(f"the state has the context {shortened(each['name'])} twice; start a new one")
            found[each["name"]] = _Context(
                self.kind.restore(self.exits, each["state"]),
                like([0] * len(self.arms), each["chosen"], "chosen"),
                like([0] * self.exits.num_exits, each["left"], "left"),
            )
        return found


def _check_context(context: object) -> None:
    """Raise PolicyError unless a value is the name of a context or None."""
    if context is not None and not (isinstance(context, str) and 0 < len(context) <= LONGEST_CONTEXT):
        raise PolicyError(
            f"a context must be a name of at most {LONGEST_CONTEXT} characters, such as 'blur:3', got "
            f"{shortened(context)}"
        )


def _copy(value: Any) -> Any:
    """Return a copy of plain data."""
    if isinstance(value, dict):
        return {name: _copy(each) for name, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value
