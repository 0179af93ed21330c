"""A request in work: its samples, the policy that decides them, and the answers that are complete so far."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.policies.controllers.observed_policy import ObservedPolicy
from eenas.policies.policy import Policy
from eenas.programs.manifest import Manifest
from eenas.programs.segments import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """n samples `x` [n, ...] for the segment `first` and those behind it.

    `previous` [n, C] are the logits of the exit before, and `state` that of the policy (None: as it starts). `experts`
    [n] are those of a model with experts.
    """

    x: Array
    first: int = 0
    previous: Array | None = None
    state: Any = None
    experts: NDArray[np.int64] | None = None


class Job:
    """The samples of one request, which `policy` decides, until the monotonic time `deadline`.

    `finished` is called, in the thread of the engine, when all samples are answered, or with the error that ended the
    work. A controller learns from the job if `is_new` says so then. `classes` is the number of classes C. `manifest`
    has the temperatures of the confidences.
    """

    def __init__(self, entry: Entry, policy: Policy, *, classes: int, deadline: float) -> None:
        n = len(entry.x)
        self.entry, self.policy = entry, policy
        self.state = policy.start(n) if entry.state is None else entry.state
        self.deadline, self.arrived, self.started = deadline, time.monotonic(), 0.0
        self.classes, self.exits = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.logits = np.zeros((n, classes), dtype=np.float32)
        self.left = 0
        self.ended = False
        self.error: Exception | None = None
        self.finished: Callable[[Job], None] = _nobody
        self.is_new: Callable[[], bool] = _always
        self.manifest: Manifest | None = None

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.exits)

    def answer(self, rows: NDArray[np.int64], k: int, classes: NDArray[np.int64], logits: Array) -> None:
        """Keep the answers of the samples `rows`, which leave at exit k. Ends the job if they are the last."""
        self.classes[rows], self.exits[rows], self.logits[rows] = classes, k, logits
        self.left += len(rows)
        if self.left == len(self):
            if isinstance(self.policy, ObservedPolicy) and self.is_new():
                self.policy.finish()
            self.end()

    def end(self, error: Exception | None = None) -> None:
        """End the job, once, with the error if it has no answer. Its remaining samples are dropped."""
        if not self.ended:
            self.ended, self.error = True, error
            self.finished(self)


def _always() -> bool:
    """Let a controller learn."""
    return True


def _nobody(job: Job) -> None:
    """Tell nobody that a job has ended."""
