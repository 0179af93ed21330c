"""The answers of an exported model to a batch, and the counts of its exits."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError
from eenas.policies.policy import Policy
from eenas.programs.segments import Segment


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answers to a batch of N samples, in the order of the input.

    `classes` int64 [N] are the classes that the policy answers. `exits` int64 [N] are the exits where the samples left;
    0 is the first. `logits` float32 [N, num_classes] are those of that exit before temperature scaling; `temperatures`
    has one value for each exit. `exit_names` are the exits in depth order. For a model whose rest runs on a server,
    `answered` [N] says where each answer comes from: "edge", "cloud", or "edge: " and why the server did not answer.
    """

    classes: NDArray[np.int64]
    exits: NDArray[np.int64]
    logits: NDArray[np.float32]
    exit_names: tuple[str, ...]
    temperatures: tuple[float, ...]
    answered: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def confidences(self) -> NDArray[np.float64]:
        """The probability [N] of each answer at the exit where the sample left, at that exit's temperature."""
        each = np.asarray(self.temperatures)[self.exits][:, None]
        return _softmax(self.logits / each)[np.arange(len(self.classes)), self.classes]


@dataclass(frozen=True, kw_only=True)
class ExitStatistics:
    """Counts and times of one exit since the last reset.

    `reached` samples reached the exit and `left` of them left there. `seconds` is the time in its segment, `deciding`
    the time in the policy.
    """

    name: str
    reached: int
    left: int
    seconds: float
    deciding: float


class ExitCounts:
    """The counts and times of the exits called `names`, each as a tuple of the numbers of ExitStatistics."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self.reset()

    def reset(self) -> None:
        """Reset all counts and times to zero."""
        # plain numbers, because sums in an array would take longer than a decision
        self.numbers: list[tuple[int, int, float, float]] = [(0, 0, 0.0, 0.0) for _ in self._names]

    def add(self, k: int, reached: int, left: int, seconds: float, deciding: float) -> None:
        """Add one batch at exit k."""
        before = self.numbers[k]
        self.numbers[k] = (before[0] + reached, before[1] + left, before[2] + seconds, before[3] + deciding)

    def statistics(self) -> tuple[ExitStatistics, ...]:
        """Return the counts and times of every exit."""
        return tuple(
            ExitStatistics(name=name, reached=reached, left=left, seconds=seconds, deciding=deciding)
            for name, (reached, left, seconds, deciding) in zip(self._names, self.numbers, strict=True)
        )


def answer_one(
    x: NDArray[np.float32], policy: Policy, segments: Sequence[Segment], counts: ExitCounts
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return class, exit and logits of a single sample. Without sorting, small networks are a tenth faster."""
    previous, state, clock = None, policy.start(1), time.perf_counter
    for k, segment in enumerate(segments):
        began = clock()
        features, found = segment(x, previous)
        between = clock()
        leave, state = policy.decide(k, found, state)
        left = bool(leave[0])
        counts.add(k, 1, int(left), between - began, clock() - between)
        if left:
            break
        assert features is not None
        x, previous = features, found
    return policy.answer(state), np.array([k]), found


def check_finite_answers(
    logits: NDArray[np.float32], exits: Sequence[int] | NDArray[np.int64], names: Sequence[str]
) -> None:
    """Raise InputError unless the logits [N, C] of the exits where samples leave are finite."""
    finite = np.isfinite(logits)
    if not finite.all():
        bad = int(np.flatnonzero(~finite.all(axis=1))[0])
        raise InputError(
            f"the numbers of sample {bad} of {len(logits)} overflow in the network: the logits of exit "
            f"{names[exits[bad]]!r} are not finite; scale the batch as in training"
        )


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # logits may be infinite or NaN
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
