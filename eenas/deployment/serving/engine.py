"""The engine of one model: threads that run the segments on samples of all requests together.

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

SHARED = 8
"""The least samples of a part that a worker leaves to another one without work."""


class Observer(Protocol):
    """What an engine reports after each run of a segment."""

    def ran(self, k: int, samples: int, left: int, seconds: float) -> None:
        """Count a run of segment k on so many samples, of which `left` left at its exit."""


class Engine:
    """Answers jobs with the `segments` of a model, at most `batch` samples in one run.

    So many `workers` (threads) run segments at the same time. Policies decide in one of them at a time. At most `queue`
    samples wait or are in work. `submit` can be called from any thread.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        observer: Observer,
        *,
        batch: int,
        queue: int,
        workers: int = 1,
        order: str = "shallowest",
    ) -> None:
        self._segments, self._observer = segments, observer
        self._batch, self._queue = batch, queue
        self._turns = Turns(len(segments), batch, order)
        self._waiting: list[deque[Block]] = [deque() for _ in segments]
        self._jobs: dict[Job, None] = {}
        self._arrived: deque[Job] = deque()
        self._samples, self._idle = 0, 0
        self._stopping = False
        self._wake, self._deciding = threading.Condition(), threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"eenas-engine-{number}", daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def workers(self) -> int:
        """The number of segments that can run at the same time."""
        return len(self._threads)

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

    def stop(self, seconds: float) -> bool:
        """Answer what was taken, for at most so many seconds, and return whether the threads have ended then."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def drop(self) -> int:
        """Take no more, end what is not answered with a Refusal, and return the number of its requests."""
        with self._wake:
            self._stopping = True
            left = [job for job in (*self._jobs, *self._arrived) if not job.ended]
            for job in left:
                job.end(Refusal("stopping", "the server stopped before the request was answered", retry_after=1))
            self._wake.notify_all()
        return len(left)

    def _work(self) -> None:
        while (turn := self._next()) is not None:
            k, blocks = turn
            try:
                self._turn(k, blocks)
            except Exception as error:  # whatever it is, the thread answers later requests
                for job in (job for block in blocks for job, _ in block.owners):
                    job.end(Refusal("failed", f"{type(error).__name__} while samples were joined"))

    def _next(self) -> tuple[int, list[Block]] | None:
        """Wait for samples; return the segment to run next and its samples, or None if the engine stops."""
        with self._wake:
            while True:
                self._start_arrived()
                self._forget_ended()
                if any(self._waiting):
                    break
                if self._stopping and not self._jobs:
                    self._wake.notify_all()
                    return None
                self._idle += 1
                self._wake.wait()
                self._idle -= 1
            k = self._turns.next([sum(map(len, blocks)) for blocks in self._waiting])
            taken = self._taken(k)
            if any(self._waiting):
                self._wake.notify()
            return k, taken

    def _start_arrived(self) -> None:
        """Put the samples of new jobs before their first segments."""
        while self._arrived:
            job = self._arrived.popleft()
            self._jobs[job] = None
            try:
                self._waiting[job.entry.first].extend(blocks_of(job, self._batch))
            except Exception as error:  # of the state of a user's policy
                job.end(Refusal("failed", f"{type(error).__name__} while samples were joined"))

    def _taken(self, k: int) -> list[Block]:
        """Take the blocks of one run from those before segment k. Workers without work get their share."""
        waiting, most = self._waiting[k], self._batch
        if self._idle:
            share = -(-sum(map(len, waiting)) // (1 + self._idle))
            most = min(most, max(share, SHARED))
        if len(waiting[0]) > most:
            head, tail = waiting.popleft().split(most)
            waiting.appendleft(tail)
            return [head]
        taken, others = [waiting.popleft()], []
        samples = len(taken[0])
        while waiting and (not waiting[0].can_join(taken[0]) or samples + len(waiting[0]) <= most):
            block = waiting.popleft()
            if block.can_join(taken[0]):
                taken.append(block)
                samples += len(block)
            else:
                others.append(block)
        waiting.extendleft(reversed(others))
        return taken

    def _turn(self, k: int, blocks: Sequence[Block]) -> None:
        """Run segment k once on the samples of the blocks."""
        after = self._ran(k, joined(blocks))
        if after is not None:
            with self._wake:
                self._waiting[k + 1].append(after)

    def _ran(self, k: int, block: Block) -> Block | None:
        """Run a segment and hand out answers; return the samples that stay, or None. Jobs end with an error."""
        now = time.monotonic()
        for job, _ in block.owners:
            job.started = job.started or now
            if now > job.deadline:
                job.end(Refusal("late", "the request was not answered within its deadline", retry_after=1))
        block = block.without_ended()
        if not len(block):
            return None
        try:
            return self._run(k, block)
        except Exception as error:  # of a program or of a user's policy; the engine goes on with other requests
            for job, _ in block.owners:
                text = str(error) if isinstance(error, EenasError) else f"{type(error).__name__} in segment {k}"
                job.end(Refusal("failed", text))
            return None

    def _run(self, k: int, block: Block) -> Block | None:
        began = time.perf_counter()
        features, logits = self._ran_segment(k, block)
        leave, states = np.zeros(len(block), dtype=np.bool_), []
        answers, start = np.zeros(len(block), dtype=np.int64), 0
        with self._deciding:  # controllers learn from every sample, and two parts of a job can end at the same time
            for run in block.runs:
                part = slice(start, start + run.samples)
                leave[part], state = run.policy.decide(k, logits[part], run.state)
                states.append(type(run)(run.policy, state, run.samples))
                if (own := leave[part]).any():
                    answers[part][own] = run.policy.answer(state[own])
                start += run.samples
            left = int(np.count_nonzero(leave))
            self._observer.ran(k, len(block), left, time.perf_counter() - began)
            if left:
                _hand_out(block, k, leave, answers, logits)
        if left == len(block):
            return None
        assert features is not None, f"samples stayed at the final exit {k}"
        after = Block(features, logits, block.owners, states)
        return after.kept(~leave) if left else after

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
