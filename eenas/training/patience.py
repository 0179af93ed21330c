"""Early stopping: a phase ends if no exit has improved on held-out samples for some rounds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import batches
from eenas.tasks.split import Split

BATCH = 256


class Patience:
    """A counter of rounds without a new lowest loss of any exit in a phase (Kubaty et al. 2024)."""

    def __init__(self, rounds: int, tune: Split, exits: Sequence[int]) -> None:
        """`exits` are the indices of the monitored exits. A phase ends after `rounds` rounds without improvement."""
        self.rounds, self.tune, self.exits = rounds, tune, exits
        self.best = [math.inf] * len(exits)
        self.waited = 0

    def is_over(self, network: EarlyExitNetwork) -> bool:
        """Evaluate the network after a round. Return whether the phase is over."""
        losses = self._losses(network)
        improved = any(now < before for now, before in zip(losses, self.best, strict=True))
        self.best = [min(pair) for pair in zip(losses, self.best, strict=True)]
        self.waited = 0 if improved else self.waited + 1
        return self.waited >= self.rounds

    @torch.inference_mode()
    def _losses(self, network: EarlyExitNetwork) -> list[float]:
        """Return the mean cross-entropy of each monitored exit on the `tune` samples, in eval mode and float32."""
        was_training = network.training
        network.eval()
        device = next(network.parameters()).device
        labels = torch.tensor(self.tune.labels)
        sums: list[Tensor] = []
        start = 0
        for inputs in batches(network, self.tune, BATCH, device):
            theirs = labels[start : start + len(inputs)].to(device)
            logits = network(inputs)
            sums.append(
                torch.stack([functional.cross_entropy(logits[k].float(), theirs, reduction="sum") for k in self.exits])
            )
            start += len(inputs)
        network.train(was_training)
        return [float(value) for value in torch.stack(sums).sum(0) / start]

    def state_dict(self) -> dict[str, Any]:
        """Return the lowest losses and the number of rounds since the last improvement."""
        return {"best": list(self.best), "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of `state_dict`."""
        self.best, self.waited = [float(value) for value in state["best"]], int(state["waited"])
