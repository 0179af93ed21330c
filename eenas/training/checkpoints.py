"""The checkpoint of a training, written after rounds, at a limited cost, and when the time is over."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eenas.errors import TimeOverError
from eenas.networks.checkpoint import load_state, save_state
from eenas.training.pace import Pace

STATE = (
    *("network", "teacher", "loss", "optimizer", "scaler", "average", "count", "patience"),
    *("position", "samples", "seconds", "ended", "losses"),
)
"""The required keys of a training state."""


@dataclass
class Position:
    """The position of a run: epoch and step in the order of batches, round and phase, with the budget used so far."""

    epoch: int = 0
    step: int = 0
    round: int = 0
    phase: int = 0
    samples: int = 0
    seconds: float = 0.0
    owed: float = 0.0


class Checkpoint:
    """A file with the state of one training, from which an interrupted training is resumed.

    With `paced`, it is written only as often as this takes a small part of the time; otherwise at every opportunity.
    `check` is called after every step and raises TimeOverError to stop the training; the state is written then.
    """

    def __init__(self, path: Path, *, paced: bool = False, check: Callable[[], object] | None = None) -> None:
        self.path, self._check = path, check
        self._pace = Pace() if paced else None

    def load(self, keys: Collection[str]) -> dict[str, Any] | None:
        """Return the stored state, which has `keys`, or None if there is no file.

        Raises StorageError for another file.
        """
        return load_state(self.path, keys)

    def keep(self, state: Callable[[], dict[str, Any]]) -> None:
        """Write the state if it is due.

        Raises StorageError.
        """
        if self._pace is None:
            save_state(state(), self.path)
        elif self._pace.is_due():
            self._pace.save(lambda: save_state(state(), self.path))

    def stop_in_time(self, state: Callable[[], dict[str, Any]]) -> None:
        """Write the state and raise TimeOverError if the time is over."""
        if self._check is None:
            return
        try:
            self._check()
        except TimeOverError:
            save_state(state(), self.path)
            raise

    def remove(self) -> None:
        """Delete the file, once the result of the training is stored elsewhere."""
        self.path.unlink(missing_ok=True)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of torch's random generators for computations on `device`."""
    state = {"cpu": torch.get_rng_state()}
    return {**state, "cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def restore_random_state(state: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Restore the states of `random_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
