"""The training checkpoint of candidates, with separate state per branch: any subset of them can resume."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import nn

from eenas.training.checkpoints import Checkpoint
from eenas.training.schedule import BudgetClock

KEYS = ("branches", "epoch", "step", "samples", "seconds")
"""The keys of the state."""


class CandidatesCheckpoint:
    """The checkpoint of branches that are trained side by side; `names` identify them, in their order."""

    def __init__(self, checkpoint: Checkpoint, names: Sequence[str]) -> None:
        self._checkpoint, self._names = checkpoint, tuple(names)

    def resume(
        self, branches: nn.ModuleList, optimizer: torch.optim.Optimizer, clock: BudgetClock, diverged: set[int]
    ) -> int:
        """Restore the branches and return the step in the whole training, 0 without a checkpoint.

        A state that lacks one of the branches belongs to another training and is ignored.
        """
        state = self._checkpoint.load(KEYS)
        if state is None or not state["branches"].keys() >= set(self._names):
            return 0
        for index, (name, branch) in enumerate(zip(self._names, branches, strict=True)):
            kept = state["branches"][name]
            branch.load_state_dict(kept["weights"])
            for key, parameter in branch.named_parameters():
                if key in kept["optimizer"]:
                    optimizer.state[parameter] = {
                        name: value.to(parameter.device) if value.ndim else value
                        for name, value in kept["optimizer"][key].items()
                    }
            if kept["diverged"]:
                diverged.add(index)
        clock.resume(int(state["samples"]), float(state["seconds"]))
        return int(state["step"])

    def after_step(
        self,
        branches: nn.ModuleList,
        optimizer: torch.optim.Optimizer,
        clock: BudgetClock,
        diverged: Collection[int],
        at: tuple[int, int],
    ) -> None:
        """Save the state after a step if a checkpoint is due; `at` is the epoch and the step in the whole training.

        Raises TimeOverError, with the state saved, if the time is over.
        """

        def state() -> dict[str, Any]:
            return {
                "branches": {
                    name: {
                        "weights": branch.state_dict(),
                        "optimizer": {
                            key: dict(optimizer.state[parameter])
                            for key, parameter in branch.named_parameters()
                            if parameter in optimizer.state
                        },
                        "diverged": index in diverged,
                    }
                    for index, (name, branch) in enumerate(zip(self._names, branches, strict=True))
                },
                "epoch": at[0],
                "step": at[1],
                "samples": clock.samples,
                "seconds": clock.seconds,
            }

        self._checkpoint.keep(state)
        self._checkpoint.stop_in_time(state)

    def remove(self) -> None:
        """Delete the file. Call this once the result is stored elsewhere."""
        self._checkpoint.remove()
