"""One series as its points come: blocks run as soon as their points are there, and the answer needs no future."""

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError, PolicyError
from eenas.policies.policy import Policy
from eenas.programs.manifest import Manifest
from eenas.programs.prediction import ExitCounts, check_finite_answers
from eenas.programs.preprocessing.series_preprocessing import SeriesPreprocessing
from eenas.programs.segments import Segment


@dataclass(frozen=True, kw_only=True)
class StreamAnswer:
    """The answer to a series: its class number and name, the exit, and the `points` of the series that it waited for.

    `earliness` is their share of the longest series. `confidence` is the probability of the answer at that exit's
    temperature.
    """

    number: int
    label: str
    exit: str
    points: int
    earliness: float
    confidence: float


class StreamedModel(Protocol):
    """What a stream needs of an exported model."""

    manifest: Manifest
    segments: tuple[Segment, ...]

    @property
    def policy(self) -> Policy | None:
        """The policy that decides."""


class ModelStream:
    """A series of which `push` takes the points as they come, and returns the answer once there is one.

    Each block of points runs once, when its last point has come; what was computed stays in the state. Points after the
    answer are ignored. Raises InputError for a model without exits in time, PolicyError for one without a policy.
    """

    def __init__(self, model: StreamedModel, counts: ExitCounts) -> None:
        manifest = model.manifest
        if not manifest.seen_points or not isinstance(manifest.preprocessing, SeriesPreprocessing):
            raise InputError("this model has no exits in time; export a network such as series_gru_in_time")
        if len(model.segments) != len(manifest.exits) or manifest.experts is not None:
            raise InputError("a stream needs all segments of a model and no experts; load the whole model here")
        if model.policy is None:
            raise PolicyError("this model was exported without a policy; train it, or set one with `set_policy`")
        self._manifest, self._segments, self._policy = manifest, model.segments, model.policy
        self._preprocessing, self._counts = manifest.preprocessing, counts
        channels, length = manifest.preprocessing.shape
        self._points = np.zeros((length, channels), dtype=np.float32)
        self._state = self._policy.start(1)
        self._features: NDArray[np.float32] | None = None
        self._logits: NDArray[np.float32] | None = None
        self._next = 0
        self.seen = 0
        """The points that have come, up to the answer."""
        self.answer: StreamAnswer | None = None
        """The answer, or None before it."""

    def push(self, points: Any) -> StreamAnswer | None:
        """Take the next points, floats [channels, n], or [n] of one channel, as they are; return the answer or None.

        Raises InputError for other shapes, NaN, infinity, and more points than a series has.
        """
        if self.answer is not None:
            return self.answer
        given = self._preprocessing.of_stream(points)
        end = self.seen + given.shape[1]
        if end > len(self._points):
            raise InputError(f"a series of this model has at most {len(self._points)} points, got {end}")
        self._points[self.seen : end] = given.T
        self.seen = end
        ends = self._manifest.seen_points
        while self.answer is None and self._next < len(ends) and ends[self._next] <= self.seen:
            self._step(ends[self._next])
        return self.answer

    def finish(self) -> StreamAnswer:
        """Return the answer for a series that ends here: that of the last exit that it has reached.

        A model of series of different length reads on to its end, with padding in place of the points to come. Raises
        InputError if no exit was reached.
        """
        if self.answer is None and self._preprocessing.masked:
            last = max(self.seen, 1)
            for end in self._manifest.seen_points[self._next :]:
                if self.answer is None:
                    self._step(min(end, last))
        if self.answer is None and self._next == 0:
            first = self._manifest.seen_points[0]
            raise InputError(f"the first exit of this model waits for {first} points, got {self.seen}; push more")
        if self.answer is None:
            self._leave(self._next - 1, self.seen)
        assert self.answer is not None
        return self.answer

    def _step(self, seen: int) -> None:
        """Run the next segment, and answer if the policy lets the sample leave."""
        began, k = time.perf_counter(), self._next
        if self._features is None:
            x = np.ascontiguousarray(self._points.T[None])
        else:
            x, known = self._features, self._manifest.seen_points[k - 1]
            coming = self._points[known:].reshape(1, -1)
            x = np.concatenate([x[:, : x.shape[1] - coming.shape[1]], coming], axis=1)
        self._features, self._logits = self._segments[k](x, self._logits)
        between = time.perf_counter()
        leave, self._state = self._policy.decide(k, self._logits, self._state)
        self._next += 1
        left = bool(leave[0])
        self._counts.add(k, 1, int(left), between - began, time.perf_counter() - between)
        if left:
            self._leave(k, seen)

    def _leave(self, k: int, seen: int) -> None:
        logits, manifest = self._logits, self._manifest
        assert logits is not None
        check_finite_answers(logits, [k], manifest.exits)
        number = int(self._policy.answer(self._state)[0])
        scaled = logits[0].astype(np.float64) / manifest.temperatures[k]
        weights = np.exp(scaled - scaled.max())
        self.answer = StreamAnswer(
            number=number,
            label=manifest.classes[number],
            exit=manifest.exits[k],
            points=seen,
            earliness=seen / len(self._points),
            confidence=float(weights[number] / weights.sum()),
        )
