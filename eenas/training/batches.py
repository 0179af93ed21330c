"""Training batches: shuffled by seed and epoch, divided among processes, and prefetched."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.backbones.transforms.transform import Transform
from eenas.errors import TrainingError
from eenas.seeding import derive
from eenas.tasks.split import Split
from eenas.tasks.task import Task
from eenas.training.process_group import ProcessGroup
from eenas.training.spec import TrainingSpec


class Batches:
    """The batches of one split, in a new order each epoch. The same seed and epoch give the same batches."""

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
        """`flip` None disables augmentation. Each of the n processes of `group` gets every n-th batch."""
        rank, processes = (0, 1) if group is None else (group.rank, group.size)
        self._source = split.reader(transform.inputs)
        self._samples = split.samples
        self._labels = torch.tensor(split.labels)
        self._transform, self._device, self._seed, self._flip = transform, device, seed, flip
        self._rank, self._processes = rank, processes
        self._batch_size = min(batch_size, len(split))
        self.key = (seed, flip, self._batch_size, rank, processes, len(split))
        """The values that, with epoch and step, determine the samples of a batch."""

    def epoch(self, number: int, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches `([n, *transform.shape] floats, [n] labels)` on the device, without the first `skip`.

        The last incomplete batch of an epoch is dropped.
        """
        parts = self._order(number)
        generator = torch.Generator()
        with _reader() as reader:
            ahead = reader.submit(self._source.__getitem__, parts[skip]) if skip < len(parts) else None
            for index in range(skip, len(parts)):
                assert ahead is not None
                samples = ahead.result().to(self._device, non_blocking=True)
                if index + 1 < len(parts):
                    ahead = reader.submit(self._source.__getitem__, parts[index + 1])
                if self._flip is not None:
                    generator.manual_seed(derive(self._seed, "augment", number, index, self._rank))
                    samples = self._samples.augmented(samples, flip=self._flip, generator=generator)
                labels = self._labels[torch.from_numpy(parts[index])].to(self._device, non_blocking=True)
                yield self._transform(samples), labels

    def labels(self, number: int) -> Iterator[Tensor]:
        """Yield the labels `[n]` of the batches of `epoch`, without their samples."""
        for part in self._order(number):
            yield self._labels[torch.from_numpy(part)].to(self._device)

    def _order(self, number: int) -> NDArray[np.int64]:
        """Return the indices of this process's batches in an epoch, [steps, n]."""
        order = np.random.default_rng(derive(self._seed, "order", number)).permutation(len(self._labels))
        full = len(order) // self._batch_size * self._batch_size
        parts = order[:full].reshape(-1, self._batch_size)
        if self._processes > 1:
            parts = parts[: len(parts) // self._processes * self._processes][self._rank :: self._processes]
        return np.asarray(parts)

    def steps(self) -> int:
        """Return the number of batches per epoch in this process."""
        return len(self._labels) // self._batch_size // self._processes

    @property
    def samples(self) -> int:
        """The number of samples per epoch in all processes."""
        return self.steps() * self._batch_size * self._processes


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

    Raises TrainingError if the samples do not fill a batch per process, or for a budget in seconds with several
    processes.
    """
    size = spec.batch_for(len(split))
    flip = task.flip if spec.augment else None
    batches = Batches(split, transform, batch_size=size, seed=seed, flip=flip, device=device, group=group)
    if batches.samples == 0:
        raise TrainingError(
            f"{len(split)} training samples do not fill a batch of {size} on each of {group.size} processes; "
            "set a smaller batch_size"
        )
    if spec.seconds is not None and group.size > 1:
        raise TrainingError("a budget in seconds differs between processes; give epochs or samples")
    return batches
