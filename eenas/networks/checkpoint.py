"""A network's weights and the state of a training run, in files that are written atomically."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from eenas.backbones.extra_state import from_text, split_state, to_text
from eenas.backbones.weights.weight_files import check_zip
from eenas.bounds import shortened_error
from eenas.errors import SpecError, StorageError, WeightsError
from eenas.files import write_atomically
from eenas.networks.network import EarlyExitNetwork, with_current_keys

_EXTRA = "extra_state"
"""The key of the extra state in a file's metadata."""


def save_weights(network: EarlyExitNetwork, path: Path) -> None:
    """Write the network's state dict as safetensors. Tied tensors are written once under each of their names."""
    write_atomically(path, lambda file: write_state(network.state_dict(), file))


def load_weights(network: EarlyExitNetwork, path: Path) -> None:
    """Load weights that `save_weights` wrote. Raises WeightsError with the keys if they do not fit the network."""
    state = with_current_keys(_readable_state(path), network.branches.names)
    _check_state(path, network.state_dict(), state)
    _load_checked(network, path, state)


def load_part(module: nn.Module, path: Path, part: Mapping[str, Any]) -> None:
    """Load the entries of a state dict with the keys and shapes of `part` that `write_state` wrote.

    The others keep their values. Raises WeightsError with the keys if they do not fit.
    """
    state = _readable_state(path)
    _check_state(path, part, state)
    _load_checked(module, path, {**module.state_dict(), **state})


def _readable_state(path: Path) -> dict[str, Any]:
    """Return the state in a file. Raises WeightsError if it cannot be read."""
    try:
        return read_state(path)
    except SpecError as error:
        raise WeightsError(f"{path}: holds {error}; export the network again") from None
    except Exception as error:  # safetensors and torch raise errors of many types for a damaged file
        reason = (
            str(error).strip().partition("\n")[0] if isinstance(error, OSError | safetensors.SafetensorError) else ""
        )
        cause = f" ({reason[:200]})" if reason else ""
        raise WeightsError(f"{path}: cannot be read as safetensors{cause}; export the network again") from None


def _check_state(path: Path, own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Raise WeightsError with the keys unless a state has the keys and shapes of `own`."""
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = [name for name in own.keys() & state.keys() if _shape(own[name]) != _shape(state[name])]
    if missing or unknown or shapes:
        raise WeightsError(
            f"{path}: does not fit the network: missing {missing[:3]}, unknown {unknown[:3]}, other shape {shapes[:3]}"
        )


def _load_checked(module: nn.Module, path: Path, state: Mapping[str, Any]) -> None:
    try:
        module.load_state_dict(state)
    except Exception as error:  # a module's own set_extra_state
        raise WeightsError(f"{path}: does not fit the network: {shortened_error(error)}") from None


def write_state(state: Mapping[str, Any], file: Path) -> None:
    """Write a state dict as safetensors, with the modules' extra state as text in the file's metadata."""
    tensors, extra = split_state(state)
    held = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    safetensors.torch.save_file(held, file, metadata={_EXTRA: to_text(extra)} if extra else None)


def read_state(path: Path, prefix: str = "") -> dict[str, Any]:
    """Return the entries that `write_state` wrote under names with `prefix`; the prefix is removed.

    Raises SpecError for invalid extra state, and the errors of safetensors.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        names = [str(name) for name in file.keys() if str(name).startswith(prefix)]  # noqa: SIM118
        state: dict[str, Any] = {name: file.get_tensor(name) for name in names}
        text = (file.metadata() or {}).get(_EXTRA)
    if text is not None:
        state |= {name: value for name, value in from_text(text).items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): value for name, value in state.items()}


def _shape(value: Any) -> Any:
    return value.shape if isinstance(value, Tensor) else None


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write the state of a training run (tensors and plain values only) atomically."""
    write_atomically(path, lambda file: torch.save(state, file))


def load_state(path: Path, keys: Collection[str]) -> dict[str, Any] | None:
    """Return the state that `save_state` wrote, or None if there is no such file.

    Raises StorageError if the file is broken or lacks one of `keys`.
    """
    if not path.exists():
        return None
    try:
        check_zip(path)  # before torch takes the memory that it claims
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of many types for a broken file
        reason = str(error).strip().partition("\n")[0]
        raise StorageError(f"{path}: not an eenas checkpoint ({reason}); delete it to start again") from None
    if not isinstance(state, dict) or not state.keys() >= set(keys):
        raise StorageError(f"{path}: not an eenas checkpoint; delete it to start again")
    return state
