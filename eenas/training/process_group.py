"""The processes of a distributed training: those that torchrun started, or this one alone."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from eenas.backbones.extra_state import split_state
from eenas.errors import DeviceError, EenasError, TrainingError
from eenas.training.sharding.gloo_threads import await_gloo_threads
from eenas.training.sharding.rendezvous import fresh_store

T = TypeVar("T")
PATIENCE = timedelta(days=1)
"""The time that other processes wait while process 0 measures and reports. torchrun ends them if a process fails."""


@dataclass(frozen=True)
class ProcessGroup:
    """The rank of this process among `size` processes. Process 0 writes files and reports."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    sharded: bool = False
    """Whether the processes divide the parameters of the network that they train (`training/sharding/`)."""

    def wrap(self, network: nn.Module, device: torch.device, *, partly: bool = False) -> nn.Module:
        """Return a module that averages gradients over all processes, or the network itself for one process.

        A divided network does so itself. `partly` tells that some steps leave parameters without a gradient.
        """
        if self.size == 1 or self.sharded:
            return network
        devices = [device.index] if device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices, find_unused_parameters=partly)

    @contextmanager
    def accumulated(self, model: nn.Module, *, last: bool) -> Iterator[None]:
        """Let the backward pass inside the block add to gradients; only the `last` one of a step averages them."""
        if last or not isinstance(model, DistributedDataParallel):
            yield
            return
        with model.no_sync():
            yield

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients of parameters outside the wrapped module over all processes."""
        if self.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= self.size

    def match(self, network: nn.Module) -> None:
        """Copy the weights and buffers of process 0 to every process. Running statistics differ between processes."""
        if self.size > 1:
            for value in split_state(network.state_dict())[0].values():
                distributed.broadcast(value, 0)

    def share(self, value: T) -> T:
        """Return the value of process 0 in every process. It must be picklable."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, 0)
        return box[0]

    def wait(self) -> None:
        """Wait until every process has reached this call."""
        if self.size > 1:
            distributed.barrier()

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Run the block in process 0, then in the others, which can use its results. A failure ends all of them."""
        failure: str | None = None
        if self.rank != 0:
            failure = self.share(failure)
            if failure is not None:
                raise TrainingError(f"process 0 failed: {failure}")
            yield
            return
        try:
            yield
        except BaseException as error:
            failure = str(error) if isinstance(error, EenasError) else repr(error)
            raise
        finally:
            self.share(failure)


@contextmanager
def open_process_group(device_type: str) -> Iterator[ProcessGroup]:
    """Yield the processes that torchrun describes in the environment (NCCL on CUDA, Gloo elsewhere), or this one alone.

    Raises TrainingError for an incomplete description, and DeviceError for more processes than CUDA devices.
    """
    size, rank, local = _number("WORLD_SIZE", 1), _number("RANK", 0), _number("LOCAL_RANK", 0)
    if size == 1:
        yield ProcessGroup()
        return
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise TrainingError(f"WORLD_SIZE is {size} but {missing[0]} is not set; start eenas with torchrun")
    if device_type == "cuda":
        there = torch.cuda.device_count()
        if local >= there:
            raise DeviceError(f"process {local} has no CUDA device: there are {there}; use --nproc-per-node {there}")
        torch.cuda.set_device(local)
    backend = "nccl" if device_type == "cuda" else "gloo"
    store, _, _ = next(rendezvous("env://", timeout=PATIENCE))
    fresh = fresh_store(store, rank, size)
    distributed.init_process_group(backend, store=fresh, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield ProcessGroup(rank, size, local)
        distributed.barrier()  # a process that ends while another one still talks to it aborts
    finally:
        distributed.destroy_process_group()
        await_gloo_threads()


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise TrainingError(f"{name} must be a whole number, got {text!r}; start eenas with torchrun")
    return int(text)
