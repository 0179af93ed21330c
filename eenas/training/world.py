"""The processes that train together: one by itself, or those that torchrun started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class World:
    """This process's rank among `size` processes; process 0 writes files and reports."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The module whose gradients are averaged over all processes; the network itself where there is only one."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, device_ids=[device.index] if device.type == "cuda" else None)

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.size > 1:
            torch.distributed.barrier()


@contextmanager
def open_world(device_type: str) -> Iterator[World]:
    """The world that torchrun describes in the environment (NCCL on CUDA, Gloo elsewhere), or a world of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    torch.distributed.init_process_group("nccl" if device_type == "cuda" else "gloo")
    try:
        yield World(rank, size, local)
    finally:
        torch.distributed.destroy_process_group()
