"""Where a training keeps its state: after each round or as often as that is cheap, and when its time is over."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eenas.errors import TimeOverError
from eenas.networks.checkpoint import load_state, save_state
from eenas.pace import Pace

STATE = (
    *("network", "teacher", "loss", "optimizer", "scaler", "average", "count", "patience"),
    *("position", "samples", "seconds", "ended", "losses"),
)
"""What the state of a training run holds at least."""


@dataclass
class Position:
    """Where a run is: in the order of the batches, in its rounds, and before which phase, with what that took."""

    epoch: int = 0
    step: int = 0
    round: int = 0
    phase: int = 0
    samples: int = 0
    seconds: float = 0.0
    owed: float = 0.0


class Checkpoint:
    """A file with the state of one training, from which the same training goes on where it was cut off.

    `paced` keeps it as often as that takes a small part of the time, otherwise it is kept at every chance. `check` is
    called after every step, and raises TimeOverError where the training is to stop; its state is kept then.
    """

    def __init__(self, path: Path, *, paced: bool = False, check: Callable[[], object] | None = None) -> None:
        self.path, self._check = path, check
        self._pace = Pace() if paced else None

    def load(self, keys: Collection[str]) -> dict[str, Any] | None:
        """The state that was kept, which has `keys`; None where there is none. Raises StorageError for another file."""
        return load_state(self.path, keys)

    def keep(self, state: Callable[[], dict[str, Any]]) -> None:
        """Keep the state, where it is time to. Raises StorageError."""
        if self._pace is None:
            save_state(state(), self.path)
        elif self._pace.is_due():
            self._pace.save(lambda: save_state(state(), self.path))

    def stop_in_time(self, state: Callable[[], dict[str, Any]]) -> None:
        """Keep the state and raise TimeOverError where the time is over."""
        if self._check is None:
            return
        try:
            self._check()
        except TimeOverError:
            save_state(state(), self.path)
            raise

    def remove(self) -> None:
        """Delete the file, when what it led to is kept elsewhere."""
        self.path.unlink(missing_ok=True)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of torch's generators that a computation on `device` draws from."""
    state = {"cpu": torch.get_rng_state()}
    return {**state, "cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def restore_random_state(state: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Let torch draw on from what `random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
