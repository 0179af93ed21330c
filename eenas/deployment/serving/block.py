"""Samples of several requests that run through a segment together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.serving.job import Job
from eenas.policies.policy import Policy
from eenas.programs.segments import Array


@dataclass(frozen=True, eq=False)
class Run:
    """Neighbouring samples of a block that one policy decides: their number and their state."""

    policy: Policy
    state: Any
    samples: int


@dataclass(frozen=True, eq=False)
class Block:
    """n samples before the same segment: `x` [n, ...] and the logits `previous` [n, C] of the exit before.

    `owners` are the jobs of the samples in order, each with the numbers of its samples. `runs` are the policies of the
    samples in the same order.
    """

    x: Array
    previous: Array | None
    owners: Sequence[tuple[Job, NDArray[np.int64]]]
    runs: Sequence[Run]

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.x)

    def can_join(self, other: "Block") -> bool:
        """Whether the samples of both have the same shape and type; texts and series differ in their lengths."""
        return self.x.shape[1:] == other.x.shape[1:] and self.x.dtype == other.x.dtype

    def kept(self, stay: NDArray[np.bool_]) -> "Block":
        """Return the samples in the mask `stay` [n]."""
        rows = np.flatnonzero(stay)  # copying whole samples is faster by index than by mask
        owners, runs, start = [], [], 0
        for job, numbers in self.owners:
            if len(own := numbers[stay[start : start + len(numbers)]]):
                owners.append((job, own))
            start += len(numbers)
        start = 0
        for run in self.runs:
            mask = stay[start : start + run.samples]
            if count := int(np.count_nonzero(mask)):
                runs.append(run if count == run.samples else Run(run.policy, run.state[mask], count))
            start += run.samples
        previous = None if self.previous is None else self.previous[rows]
        return Block(self.x.take(rows, axis=0), previous, owners, runs)

    def split(self, at: int) -> tuple["Block", "Block"]:
        """Return the first `at` samples, and the others."""
        owners: tuple[list[Any], list[Any]] = [], []
        runs: tuple[list[Run], list[Run]] = [], []
        start = 0
        for job, numbers in self.owners:
            cut = at - start
            for side, part in zip(owners, (numbers[: max(cut, 0)], numbers[max(cut, 0) :]), strict=True):
                if len(part):
                    side.append((job, part))
            start += len(numbers)
        start = 0
        for run in self.runs:
            first = np.arange(run.samples) < at - start
            for side, mask in zip(runs, (first, ~first), strict=True):
                if count := int(np.count_nonzero(mask)):
                    side.append(run if count == run.samples else Run(run.policy, run.state[mask], count))
            start += run.samples
        before = (None, None) if self.previous is None else (self.previous[:at], self.previous[at:])
        return Block(self.x[:at], before[0], owners[0], runs[0]), Block(self.x[at:], before[1], owners[1], runs[1])

    def without_ended(self) -> "Block":
        """Return the samples of jobs that have not ended."""
        if not any(job.ended for job, _ in self.owners):
            return self
        counts = [len(numbers) for _, numbers in self.owners]
        return self.kept(np.repeat([not job.ended for job, _ in self.owners], counts))


def blocks_of(job: Job, most: int) -> list[Block]:
    """Return the samples of a job in blocks of at most `most`."""
    n, numbers, x, before = len(job), np.arange(len(job)), job.entry.x, job.entry.previous
    if n <= most:
        return [Block(x, before, [(job, numbers)], [Run(job.policy, job.state, n)])]
    found = []
    for start in range(0, n, most):
        part = slice(start, start + most)
        mask = np.zeros(n, dtype=np.bool_)
        mask[part] = True
        rows = numbers[part]
        previous = None if before is None else before[part]
        found.append(Block(x[part], previous, [(job, rows)], [Run(job.policy, job.state[mask], len(rows))]))
    return found


def joined(blocks: Sequence[Block]) -> Block:
    """Return the samples of blocks before the same segment in one block.

    Neighbouring runs of the same policy become one if their states are arrays. Others are decided apart.
    """
    if len(blocks) == 1:
        return blocks[0]
    blocks = sorted(blocks, key=lambda block: id(block.runs[0].policy))
    runs: list[list[Run]] = []
    for run in (run for block in blocks for run in block.runs):
        if runs and runs[-1][0].policy is run.policy and _can_join(runs[-1][0].state, run.state):
            runs[-1].append(run)
        else:
            runs.append([run])
    before = [block.previous for block in blocks if block.previous is not None]  # some may send what is not needed
    return Block(
        np.concatenate([block.x for block in blocks]),
        np.concatenate(before) if len(before) == len(blocks) else None,
        [owner for block in blocks for owner in block.owners],
        [_one(each) for each in runs],
    )


def _can_join(one: Any, other: Any) -> bool:
    """Whether two states are arrays that can be joined along the samples."""
    arrays = isinstance(one, np.ndarray) and isinstance(other, np.ndarray)
    return arrays and one.dtype == other.dtype and one.ndim > 0 and one.shape[1:] == other.shape[1:]


def _one(runs: Sequence[Run]) -> Run:
    if len(runs) == 1:
        return runs[0]
    return Run(runs[0].policy, np.concatenate([run.state for run in runs]), sum(run.samples for run in runs))
