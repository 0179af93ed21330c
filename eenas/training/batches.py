"""Training batches: shuffled by seed and epoch, divided among processes and into micro-batches, and prefetched."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.backbones.transforms.transform import Transform
from eenas.errors import TrainingError
from eenas.measurement.pauses import pause_point
from eenas.seeding import derive
from eenas.tasks.split import Split
from eenas.tasks.task import Task
from eenas.training.process_group import ProcessGroup
from eenas.training.spec import TrainingSpec


class Batches:
    """The batches of one split, in a new order each epoch. The same seed and epoch give the same batches.

    A batch is one step of all processes: it has the same samples whatever the number of processes is, and each process
    gets its share of it. A share is divided into `parts` micro-batches of nearly equal size.
    """

    def __init__(
        self,
        split: Split,
        transform: Transform,
        *,
        batch_size: int,
        seed: int,
        flip: bool | None,
        device: torch.device,
        group: ProcessGroup | None = None,
    ) -> None:
        """`flip` None disables augmentation. Each of the n processes of `group` gets an n-th of every batch."""
        rank, processes = (0, 1) if group is None else (group.rank, group.size)
        self._source = split.reader(transform.inputs)
        self._samples = split.samples
        self._labels = torch.tensor(split.labels)
        self._transform, self._device, self._seed, self._flip = transform, device, seed, flip
        self._rank, self._processes = rank, processes
        self.batch_size = min(batch_size, len(split))
        """The number of samples of a step in all processes."""
        self.parts = 1
        """The number of micro-batches in each step of a process."""
        self.key = (seed, flip, self.batch_size, rank, processes, len(split))
        """The values that, with epoch and step, determine the samples of a batch."""

    def in_micro_batches(self, size: int | None) -> Self:
        """Divide each step of a process into micro-batches of at most `size` samples (None: one), from now on."""
        share = math.ceil(self.batch_size / self._processes)
        self.parts = 1 if size is None else math.ceil(share / size)
        return self

    def epoch(self, number: int, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield micro-batches `([n, *transform.shape] floats, [n] labels)` on the device, `parts` for each step.

        The first `skip` steps are left out. The last incomplete batch of an epoch is dropped.
        """
        parts = self._order(number)
        generator = torch.Generator()
        with _reader() as reader:
            first = skip * self.parts
            ahead = reader.submit(self._source.__getitem__, parts[first]) if first < len(parts) else None
            for index in range(first, len(parts)):
                assert ahead is not None
                samples = ahead.result().to(self._device, non_blocking=True)
                if index + 1 < len(parts):
                    ahead = reader.submit(self._source.__getitem__, parts[index + 1])
                if self._flip is not None:
                    step, part = divmod(index, self.parts)
                    drawn = (number, step, self._rank, *((part,) if part else ()))
                    generator.manual_seed(derive(self._seed, "augment", *drawn))
                    samples = self._samples.augmented(samples, flip=self._flip, generator=generator)
                labels = self._labels[torch.from_numpy(parts[index])].to(self._device, non_blocking=True)
                pause_point()
                yield self._transform(samples), labels

    def labels(self, number: int) -> Iterator[Tensor]:
        """Yield the labels `[n]` of the micro-batches of `epoch`, without their samples."""
        for part in self._order(number):
            yield self._labels[torch.from_numpy(part)].to(self._device)

    def _order(self, number: int) -> list[NDArray[np.int64]]:
        """Return the indices of this process's micro-batches in an epoch, each [n]."""
        order = np.random.default_rng(derive(self._seed, "order", number)).permutation(len(self._labels))
        steps = order[: self.samples].reshape(-1, self.batch_size)
        shares = (np.array_split(step, self._processes)[self._rank] for step in steps)
        return [part for share in shares for part in np.array_split(share, self.parts)]

    def steps(self) -> int:
        """Return the number of steps per epoch."""
        return len(self._labels) // self.batch_size

    @property
    def samples(self) -> int:
        """The number of samples per epoch in all processes."""
        return self.steps() * self.batch_size

    @property
    def smallest(self) -> int:
        """The number of samples in the smallest micro-batch of any process."""
        return self.batch_size // self._processes // self.parts


@contextmanager
def _reader() -> Iterator[ThreadPoolExecutor]:
    """Yield a thread for prefetching, in which tensor operations use one thread.

    With its own OpenMP threads, there would be more threads than cores. OpenMP then suspends all threads between
    parallel loops, including those of the training.
    """
    with ThreadPoolExecutor(1) as reader:
        reader.submit(torch.set_num_threads, 1).result()
        reader.submit(torch.get_num_threads).result()  # a thread adopts the global number at its first query
        torch.set_num_threads(torch.get_num_threads())  # restore the global number, which the reader changed
        yield reader


def training_batches(
    split: Split,
    task: Task,
    transform: Transform,
    spec: TrainingSpec,
    seed: int,
    device: torch.device,
    group: ProcessGroup,
) -> Batches:
    """Return the batches for training by `spec` on `split`, all or a part of a task's train split.

    Raises TrainingError if a process or a micro-batch would get a single sample of a batch, or for a budget in seconds
    with several processes.
    """
    size = spec.batch_for(len(split))
    flip = task.flip if spec.augment else None
    batches = Batches(split, transform, batch_size=size, seed=seed, flip=flip, device=device, group=group)
    batches.in_micro_batches(spec.micro_batch_size)
    if batches.smallest < 2 <= size:
        micro = "" if batches.parts == 1 else f" in {batches.parts} micro-batches"
        raise TrainingError(
            f"a batch of {size} over {group.size} process{'es' if group.size > 1 else ''}{micro} has parts of fewer "
            f"than 2 samples (batch normalisation); set batch_size to {2 * group.size * batches.parts} or more, or use "
            "fewer processes"
        )
    if spec.seconds is not None and group.size > 1:
        raise TrainingError("a budget in seconds differs between processes; give epochs or samples")
    return batches
