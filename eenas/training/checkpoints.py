"""The checkpoint of a training, written after rounds, at a limited cost, and when the time is over."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eenas.errors import TimeOverError
from eenas.networks.checkpoint import load_state, save_state
from eenas.training.pace import Pace
from eenas.training.process_group import ProcessGroup
from eenas.training.sharding.shards import read_shards, remove_shards, write_shards

STATE = (
    *("network", "teacher", "loss", "optimizer", "scaler", "average", "count", "patience"),
    *("position", "samples", "seconds", "ended", "losses"),
)
"""The required keys of a training state."""
ALONE, _CPU = ProcessGroup(), torch.device("cpu")


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

    The tensors of a divided training lie in a folder beside the file, whose name the file holds: a new folder counts
    from the moment at which the file is replaced. Every process calls then, otherwise only process 0 writes.
    With `paced`, it is written only as often as this takes a small part of the time; otherwise at every opportunity.
    `check` is called after every step and raises TimeOverError to stop the training; the state is written then.
    """

    def __init__(self, path: Path, *, paced: bool = False, check: Callable[[], object] | None = None) -> None:
        self.path, self._check = path, check
        self._pace = Pace() if paced else None

    def load(
        self, keys: Collection[str], group: ProcessGroup = ALONE, device: torch.device = _CPU
    ) -> dict[str, Any] | None:
        """Return the stored state, which has `keys`, or None if there is no file. `group` may have any size.

        Raises StorageError for another file.
        """
        state = load_state(self.path, keys)
        return state if state is None or "shards" not in state else read_shards(state, self.path, group, device)

    def keep(self, state: Callable[[], dict[str, Any]], group: ProcessGroup = ALONE) -> None:
        """Write the state if it is due.

        Raises StorageError.
        """
        if group.sharded:
            left = write_shards(state(), self.path, group)
            with group.first_alone():
                if group.rank == 0:
                    save_state(left, self.path)
                    remove_shards(self.path, keep=left["shards"])
        elif group.rank > 0:
            return
        elif self._pace is None:
            save_state(state(), self.path)
            remove_shards(self.path)
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
        """Delete the file and its shards, once the result of the training is stored elsewhere."""
        self.path.unlink(missing_ok=True)
        remove_shards(self.path)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of torch's random generators for computations on `device`."""
    state = {"cpu": torch.get_rng_state()}
    return {**state, "cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def restore_random_state(state: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Restore the states of `random_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
