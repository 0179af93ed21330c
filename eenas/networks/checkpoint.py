"""A network's weights, and the state of a training run, in files that are whole or absent."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from eenas.errors import StorageError, WeightsError
from eenas.files import write_atomically
from eenas.networks.network import EarlyExitNetwork, renamed


def save_weights(network: EarlyExitNetwork, path: Path) -> None:
    """Write the network's state as safetensors (tied tensors are written once for each name)."""
    state = {name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}
    write_atomically(path, lambda file: safetensors.torch.save_file(state, file))


def load_weights(network: EarlyExitNetwork, path: Path) -> None:
    """Load weights that `save_weights` wrote. Raises WeightsError when they do not fit, naming the keys."""
    try:
        state = safetensors.torch.load_file(path)
    except Exception as error:  # safetensors and torch raise many kinds for a damaged file
        reason = (
            str(error).strip().partition("\n")[0] if isinstance(error, OSError | safetensors.SafetensorError) else ""
        )
        said = f" ({reason[:200]})" if reason else ""
        raise WeightsError(f"{path}: cannot be read as safetensors{said}; export the network again") from None
    state = renamed(state, network.branches.names)
    own = network.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    if missing or unknown or shapes:
        raise WeightsError(
            f"{path}: does not fit the network: missing {missing[:3]}, unknown {unknown[:3]}, other shape {shapes[:3]}"
        )
    network.load_state_dict(state)


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write the state of a training run (tensors and plain values only)."""
    write_atomically(path, lambda file: torch.save(state, file))


def load_state(path: Path, keys: Collection[str]) -> dict[str, Any] | None:
    """The state with at least `keys` that `save_state` wrote, or None when there is no such file."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        reason = str(error).strip().partition("\n")[0]
        raise StorageError(f"{path}: not a checkpoint of eenas ({reason}); delete it to start again") from None
    if not isinstance(state, dict) or not state.keys() >= set(keys):
        raise StorageError(f"{path}: not a checkpoint of eenas; delete it to start again")
    return state
