"""The state of a divided training in a folder: each process writes its part, and any number of processes read it."""

import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eenas.bounds import shortened_error
from eenas.errors import StorageError
from eenas.faults import raise_shortage
from eenas.training.process_group import ProcessGroup
from eenas.training.sharding.division import own_part

_KEY, _DIVIDED = "shard", "divided"


def shard_folders(path: Path) -> list[Path]:
    """Return the folders of shards of the checkpoint `path`, whole or not."""
    return sorted(path.parent.glob(f".{path.name}-shards-*"))


def remove_shards(path: Path, keep: str = "") -> None:
    """Delete the folders of shards of the checkpoint `path`, except the one with the name `keep`."""
    for folder in shard_folders(path):
        if folder.name != keep:
            shutil.rmtree(folder, ignore_errors=True)


def write_shards(state: Mapping[str, Any], path: Path, group: ProcessGroup) -> dict[str, Any]:
    """Write the tensors of a state beside the checkpoint `path`. Return the state with their keys in their place.

    Every process calls, and each writes its part as safetensors. Tensors in the same memory are written once. The
    folder is complete when the returned state is written, which makes it the checkpoint.

    Raises StorageError in every process if one of them cannot write.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    numbers = [int(each.name.rpartition("-")[2]) for each in shard_folders(path) if each.name[-1:].isdecimal()]
    name = group.share(f".{path.name}-shards-{max(numbers, default=0) + 1}")
    tensors: dict[str, Tensor] = {}
    left = _without_tensors(state, "", tensors, {})
    folder = path.parent / name
    with _one_line(f"{folder}: cannot be written"), _quiet():
        save(tensors, storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))
        if group.rank == 0:
            _sync(folder)
    return {**left, "shards": name}


def read_shards(state: Mapping[str, Any], path: Path, group: ProcessGroup, device: torch.device) -> dict[str, Any]:
    """Return the state that `write_shards` gave for the checkpoint `path`, with its tensors.

    For a sharded group, divided tensors are divided over its processes, and every process calls. Otherwise they are
    whole, on the CPU.

    Raises StorageError if a shard is missing or damaged.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    folder = path.parent / str(state["shards"])
    with _one_line(f"{folder}: cannot be read"), _quiet():
        reader = HuggingFaceStorageReader(str(folder))
        known = reader.read_metadata().state_dict_metadata
        tensors: dict[str, Tensor] = {}
        for key, is_divided in _keys_of(state):
            each: Any = known[key]
            if is_divided and group.sharded:
                tensors[key] = _empty_divided(each.size, each.properties.dtype, device, group)
            else:
                tensors[key] = torch.empty(each.size, dtype=each.properties.dtype)
        load(tensors, storage_reader=reader, no_dist=not group.sharded)
    found: dict[str, Any] = _with_tensors({name: value for name, value in state.items() if name != "shards"}, tensors)
    return found


def _without_tensors(value: Any, key: str, tensors: dict[str, Tensor], known: dict[Any, str]) -> Any:
    if isinstance(value, Tensor):
        own = own_part(value)
        identity = (own.data_ptr(), own.shape, value.shape) if own.numel() else (key,)
        name = known.setdefault(identity, key)
        tensors.setdefault(name, value.detach())
        return {_KEY: name, _DIVIDED: own is not value}
    if isinstance(value, Mapping):
        return {name: _without_tensors(each, f"{key}/{name}", tensors, known) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(each, f"{key}/{index}", tensors, known) for index, each in enumerate(value)]
    return value


def _keys_of(value: Any) -> Iterator[tuple[str, bool]]:
    if isinstance(value, Mapping):
        if value.keys() == {_KEY, _DIVIDED}:
            yield value[_KEY], value[_DIVIDED]
        else:
            for each in value.values():
                yield from _keys_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from _keys_of(each)


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {_KEY, _DIVIDED}:
            return tensors[value[_KEY]]
        return {name: _with_tensors(each, tensors) for name, each in value.items()}
    return [_with_tensors(each, tensors) for each in value] if isinstance(value, list) else value


def _empty_divided(size: torch.Size, dtype: torch.dtype, device: torch.device, group: ProcessGroup) -> Tensor:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, zeros

    return zeros(size, dtype=dtype, device_mesh=init_device_mesh(device.type, (group.size,)), placements=[Shard(0)])


def _sync(folder: Path) -> None:
    """Let the content of the files reach the disk before a checkpoint names them."""
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        yield
    except CheckpointException as error:  # the failures of all processes
        first = next((each[0] if isinstance(each, tuple) else each for each in error.failures.values()), error)
        raise StorageError(f"{what} ({shortened_error(first)}); {_FIX}") from None
    except Exception as error:  # safetensors, torch and the file system raise errors of many types
        raise_shortage(error)
        raise StorageError(f"{what} ({shortened_error(error)}); {_FIX}") from None


_FIX = "--out must lie on a file system that all nodes share; free its disk, or delete the checkpoint to start again"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the notes and warnings of the library from the user."""
    logger = logging.getLogger("torch.distributed.checkpoint")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
