"""A network divided over processes while it is trained, so each holds only its share of the training state."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of
from eenas.backbones.memory_format import PLAIN, lay_out
from eenas.designs.training_choice import TrainingChoice
from eenas.errors import TrainingError
from eenas.networks.network import EarlyExitNetwork
from eenas.progress import Listener, Notice
from eenas.training.execution import Execution
from eenas.training.process_group import ProcessGroup
from eenas.training.spec import TrainingSpec

ROOM = 0.8
"""The share of a device's memory that weights, gradients and optimiser state may take before they are divided."""
_LARGEST, _SMALLEST = 1 / 8, 1 / 200
"""The shares of the parameters between which a block is gathered alone."""


@dataclass(frozen=True)
class TrainingState:
    """The memory in bytes of the `weights`, and of everything that a training keeps (`whole`), without activations."""

    weights: int
    whole: int

    @classmethod
    def of(cls, network: EarlyExitNetwork, choice: TrainingChoice) -> "TrainingState":
        """Return the memory of training `network` on one device: weights, gradients, optimiser, average and teacher."""
        weights, backbone = (
            sum(each.numel() * each.element_size() for each in module.parameters())
            for module in (network, network.backbone)
        )
        moments = 2 if choice.optimizer == "adamw" else 1
        copies = 2 + moments + bool(choice.weight_average)
        return cls(weights, copies * weights + (backbone if choice.strategy == "distillation" else 0))


def divided_group(
    group: ProcessGroup, spec: TrainingSpec, network: EarlyExitNetwork, choice: TrainingChoice, listener: Listener
) -> ProcessGroup:
    """Return the group that trains `network`, which is divided if `spec` asks for it or the devices are too small.

    Raises TrainingError for float16 with `sharding = "fsdp"`, whose scaled gradients are not divided.
    """
    wanted = spec.sharding or "auto"
    if group.size == 1 or wanted == "none":
        return group
    device = next(network.parameters()).device
    needed, there = TrainingState.of(network, choice), memory_of(device)
    is_tight = there is not None and needed.whole > ROOM * there
    if not group.share(wanted == "fsdp" or is_tight):
        return group
    if spec.precision == "float16":
        raise TrainingError('sharding does not support precision = "float16"; set precision to "bfloat16"')
    share = needed.weights + (needed.whole - needed.weights) / group.size
    why = "sharding = fsdp" if there is None or not is_tight else f"more than {ROOM:.0%} of the device's {_size(there)}"
    listener(
        Notice(
            f"the training state of {_size(needed.whole)} ({why}) is divided over {group.size} processes: at most "
            f"{_size(share)} on each while it starts, {_size(needed.whole / group.size)} afterwards"
        )
    )
    return replace(group, sharded=True)


def memory_of(device: torch.device) -> int | None:
    """Return the memory of an accelerator in bytes, or None for a CPU, whose memory the processes share."""
    return int(torch.cuda.get_device_properties(device).total_memory) if device.type == "cuda" else None


def fitting(execution: Execution, group: ProcessGroup) -> Execution:
    """Return the execution for a group. A divided network is not channels last: its parameters are divided by rows."""
    return replace(execution, channels_last=False) if group.sharded else execution


@contextmanager
def divided(network: EarlyExitNetwork, group: ProcessGroup) -> Iterator[EarlyExitNetwork]:
    """Yield the network to train: `network` itself, or for a sharded group a divided copy of it.

    `network` lies on the CPU inside the block then. Afterwards it has the weights of the copy, on its own device.
    """
    if not group.sharded:
        yield network
        return
    device = next(network.parameters()).device
    network.to("cpu")
    copied = copy_of(network)
    lay_out(copied, PLAIN)
    divide(copied, device, group)
    yield copied
    network.load_state_dict({name: whole(value) for name, value in copied.state_dict().items()})
    network.to(device)


def divide(module: nn.Module, device: torch.device, group: ProcessGroup) -> None:
    """Divide the parameters of `module` over the processes of a sharded group, in place. Others leave it whole."""
    if not group.sharded:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (group.size,))
    for part in (*units(module), module):
        fully_shard(part, mesh=mesh)


def units(module: nn.Module) -> list[nn.Module]:
    """Return the modules that are gathered alone: blocks of lists and sequences, none inside another.

    Only members of lists and sequences are called as modules for certain. A block that contains the cut point of a
    branch stays whole, since the forward pass may end there, and so does a network with tied parameters.
    """
    names = [name for name, _ in module.named_parameters(remove_duplicate=False)]
    total = sum(each.numel() for each in module.parameters())
    if len(names) > len(list(module.parameters())):
        return []
    backbone = module.backbone if isinstance(module, EarlyExitNetwork) else module
    cuts = set(module.branches.names) if isinstance(module, EarlyExitNetwork) else set()
    found: list[nn.Module] = []

    def look(path: str, parent: nn.Module) -> None:
        for name, child in parent.named_children():
            where = f"{path}.{name}" if path else name
            share = sum(each.numel() for each in child.parameters()) / total
            inside = any(cut.startswith(f"{where}.") for cut in cuts)
            is_block = isinstance(parent, nn.Sequential | nn.ModuleList) and not inside
            is_list = isinstance(child, nn.Sequential | nn.ModuleList)
            if is_block and share >= _SMALLEST and (share <= _LARGEST or not list(child.children())) and not is_list:
                found.append(child)
            else:
                look(where, child)

    look("", backbone)
    return found


def whole(value: Any) -> Any:
    """Return a divided tensor as a whole one on the CPU; other values are returned unchanged. Every process calls."""
    return value.full_tensor().cpu() if _is_divided(value) else value


def own_part(value: Tensor) -> Tensor:
    """Return the part of a divided tensor that this process holds, in the same memory; others are their own part."""
    with torch.no_grad():
        return value.to_local() if _is_divided(value) else value  # type: ignore[attr-defined]


def forget_gathered(module: nn.Module) -> None:
    """Let the next pass gather the parameters of a divided module again, since they were changed or evaluated."""
    divided_ones = any(_is_divided(each) for each in module.parameters())
    for each in module.modules() if divided_ones else ():
        if isinstance(again := getattr(each, "reshard", None), MethodType):
            again()


def load_placed(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Load a stored state into `module`, divided as its parameters are."""
    own = module.state_dict()
    module.load_state_dict({name: placed_like(value, own.get(name)) for name, value in state.items()})


def placed_like(value: Any, example: Any) -> Any:
    """Return a stored tensor divided as `example` is, or unchanged if one of them is no tensor or both are alike."""
    if not isinstance(value, Tensor) or _is_divided(value) or not _is_divided(example):
        return value
    if value.shape != example.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    there = value.to(example.device, example.dtype)
    return distribute_tensor(there, example.device_mesh, example.placements, src_data_rank=None)


def _is_divided(value: Any) -> bool:
    return isinstance(value, Tensor) and hasattr(value, "device_mesh")


def _size(count: float) -> str:
    """Return a number of bytes as text, in the largest unit of which it is at least a tenth."""
    for unit, size in (("GB", 2**30), ("MB", 2**20)):
        if count >= size / 10:
            return f"{count / size:,.2f} {unit}"
    return f"{count / 2**10:,.2f} KB"
