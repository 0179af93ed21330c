"""A policy that an arm of a controller decides, and that remembers the confidences of one batch as feedback."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.policies.controllers.controller import Controller
from eenas.policies.policy import NEAR, Policy, same_samples
from eenas.policies.scores import confident_classes


class ObservedPolicy(Policy):
    """The policy of a controller for one batch: decisions as of `controller.policy(context)`, each score taken once.

    After the batch, `finish` passes the confidences on to the controller. A state holds the numbers of the samples.
    """

    kind: ClassVar[str] = "observed"

    def __init__(self, controller: Controller, context: str | None) -> None:
        self._controller, self._context = controller, context
        self._arm = controller.choose(context)
        self._thresholds = controller.arms[self._arm]
        self._temperatures = controller.exits.temperatures
        self._by_confidence = controller.kind.final_rule == "most_confident"
        self._rows: list[list[float]] = []
        self._answers: list[int] = []
        self._best: list[float] = []

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return len(self._temperatures)

    def start(self, n: int) -> NDArray[np.int64]:
        """Return the numbers of n samples, [n]."""
        self._rows, self._answers, self._best = [[] for _ in range(n)], [-1] * n, [-1.0] * n
        return np.arange(n)

    def decide(
        self, k: int, logits: NDArray[Any], state: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which of n samples leave at exit k, [n], and the next state, from its logits [n, C] and the state."""
        same_samples(logits, state)
        values, classes = confident_classes(logits, self._temperatures[k])
        is_last = k == len(self._thresholds)
        threshold = 0.0 if is_last else self._thresholds[k]
        leaving, answers, best = [], self._answers, self._best
        for sample, value, found in zip(state.tolist(), values, classes, strict=True):
            self._rows[sample].append(value)
            leaves = threshold is not None and value >= threshold
            leaving.append(leaves)
            if value >= best[sample]:
                best[sample], answers[sample] = value, found
            elif leaves and not (is_last and self._by_confidence):
                answers[sample] = found
        return np.array(leaving, dtype=np.bool_), state

    def answer(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the classes [n] of samples that leave."""
        return np.array([self._answers[sample] for sample in state.tolist()], dtype=np.int64)

    def near(self, k: int, logits: NDArray[Any], state: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the logits [n, C] at exit k have a confidence within NEAR of its threshold."""
        threshold = None if k == len(self._thresholds) else self._thresholds[k]
        if not threshold:
            return np.zeros(len(logits), dtype=np.bool_)
        values, _ = confident_classes(logits, self._temperatures[k])
        return np.abs(np.array(values) - threshold) <= NEAR

    def label(self) -> str:
        """Return the label of the controller's policy."""
        return self._controller.policies[self._arm].label()

    def to_table(self) -> dict[str, Any]:
        """Return the controller's policy as plain data."""
        return self._controller.policies[self._arm].to_table()

    def finish(self) -> None:
        """Pass the confidences of the batch on to the controller."""
        self._controller.learn_checked(self._arm, self._rows, self._context)
