"""The engine of one model: a thread that runs the segments on samples of all requests together.

Samples that leave are taken out after every segment, and a request is answered as soon as all its samples have left.
Requests that arrive meanwhile start between two segments (continuous batching, as Orca, Yu et al. 2022, does it for the
iterations of text generation).
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.serving.block import Block, blocks_of, joined
from eenas.deployment.serving.job import Job
from eenas.deployment.serving.refusal import Refusal
from eenas.deployment.serving.turns import Turns
from eenas.errors import EenasError
from eenas.policies.experts.expert_policy import ExpertState
from eenas.programs.experts.routing import ExpertSegment
from eenas.programs.segments import Array, Segment


class Observer(Protocol):
    """What an engine reports after each run of a segment."""

    def ran(self, k: int, samples: int, left: int, seconds: float) -> None:
        """Count a run of segment k on so many samples, of which `left` left at its exit."""


class Engine:
    """Answers jobs with the `segments` of a model, at most `batch` samples in one run.

    At most `queue` samples wait or are in work. `submit` can be called from any thread.
    """

    def __init__(
        self, segments: Sequence[Segment], observer: Observer, *, batch: int, queue: int, order: str = "fullest"
    ) -> None:
        self._segments, self._observer = segments, observer
        self._batch, self._queue = batch, queue
        self._turns = Turns(len(segments), batch, order)
        self._waiting: list[deque[Block]] = [deque() for _ in segments]
        self._jobs: dict[Job, None] = {}
        self._arrived: deque[Job] = deque()
        self._samples = 0
        self._stopping = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="eenas-engine", daemon=True)
        self._thread.start()

    @property
    def samples(self) -> int:
        """The number of samples that wait or are in work."""
        return self._samples

    def submit(self, job: Job) -> None:
        """Take a job. Raises Refusal if the queue is full or the engine stops."""
        with self._wake:
            if self._stopping:
                raise Refusal("stopping", "the server is stopping; send the request to another one", retry_after=1)
            if self._samples and self._samples + len(job) > self._queue:
                text = f"the queue holds {self._samples:,} of at most {self._queue:,} samples; try again later"
                raise Refusal("queue_full", text, retry_after=1)
            self._samples += len(job)
            self._arrived.append(job)
            self._wake.notify()

    def stop(self, seconds: float) -> None:
        """Answer what was taken, for at most so many seconds, and end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._arrived and not self._jobs:
                    if self._stopping:
                        return
                    self._wake.wait()
                arrived = list(self._arrived)
                self._arrived.clear()
            for job in arrived:
                self._jobs[job] = None
                self._waiting[job.entry.first].extend(blocks_of(job, self._batch))
            if any(self._waiting):
                try:
                    self._turn()
                except Exception as error:  # whatever it is, the thread answers later requests
                    for job in self._jobs:
                        job.end(Refusal("failed", f"{type(error).__name__} while samples were joined"))
            self._forget_ended()

    def _turn(self) -> None:
        """Run one segment once."""
        k = self._turns.next([sum(map(len, blocks)) for blocks in self._waiting])
        block, now = self._taken(k), time.monotonic()
        for job, _ in block.owners:
            job.started = job.started or now
            if now > job.deadline:
                job.end(Refusal("late", "the request was not answered within its deadline", retry_after=1))
        block = block.without_ended()
        if not len(block):
            return
        try:
            self._run(k, block)
        except Exception as error:  # of a program or of a user's policy; the engine goes on with other requests
            for job, _ in block.owners:
                text = str(error) if isinstance(error, EenasError) else f"{type(error).__name__} in segment {k}"
                job.end(Refusal("failed", text))

    def _taken(self, k: int) -> Block:
        """Take the blocks of one run from those before segment k."""
        waiting = self._waiting[k]
        taken = [waiting.popleft()]
        samples = len(taken[0])
        while waiting and samples + len(waiting[0]) <= self._batch:
            taken.append(waiting.popleft())
            samples += len(taken[-1])
        return joined(taken)

    def _run(self, k: int, block: Block) -> None:
        began = time.perf_counter()
        features, logits = self._ran_segment(k, block)
        leave, states = np.zeros(len(block), dtype=np.bool_), []
        answers, start = np.zeros(len(block), dtype=np.int64), 0
        for run in block.runs:
            part = slice(start, start + run.samples)
            leave[part], state = run.policy.decide(k, logits[part], run.state)
            states.append(type(run)(run.policy, state, run.samples))
            if (own := leave[part]).any():
                answers[part][own] = run.policy.answer(state[own])
            start += run.samples
        left = int(np.count_nonzero(leave))
        self._observer.ran(k, len(block), left, time.perf_counter() - began)
        if left < len(block):
            assert features is not None, f"samples stayed at the final exit {k}"
            after = Block(features, logits, block.owners, states)
            self._waiting[k + 1].append(after.kept(~leave) if left else after)
        if left:
            _hand_out(block, k, leave, answers, logits)

    def _ran_segment(self, k: int, block: Block) -> tuple[Array | None, Array]:
        segment = self._segments[k]
        if isinstance(segment, ExpertSegment):
            experts = [run.state.chosen for run in block.runs if isinstance(run.state, ExpertState)]
            return segment.routed(block.x, block.previous, np.concatenate(experts))
        return segment(block.x, block.previous)

    def _forget_ended(self) -> None:
        """Free the places of jobs that have ended."""
        ended = [job for job in self._jobs if job.ended]
        for job in ended:
            del self._jobs[job]
        if ended:
            if not self._jobs:  # what is left belongs to ended jobs
                for blocks in self._waiting:
                    blocks.clear()
            with self._wake:
                self._samples -= sum(map(len, ended))


def _hand_out(block: Block, k: int, leave: NDArray[np.bool_], answers: NDArray[np.int64], logits: Array) -> None:
    """Give each job the answers of its samples that leave at exit k."""
    start = 0
    for job, numbers in block.owners:
        part = slice(start, start + len(numbers))
        own = leave[part]
        if own.any():
            job.answer(numbers[own], k, answers[part][own], logits[part][own])
        start += len(numbers)
