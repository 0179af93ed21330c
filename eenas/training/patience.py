"""Early stopping: a phase ends when no exit has gained on held-out samples for some rounds."""

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
    """Counts the rounds in which no exit of a phase had a lower loss than ever before in it (Kubaty et al. 2024)."""

    def __init__(self, rounds: int, tune: Split, exits: Sequence[int]) -> None:
        """`exits` are the indices of those that are watched; a phase ends after `rounds` rounds without a gain."""
        self.rounds, self.tune, self.exits = rounds, tune, exits
        self.best = [math.inf] * len(exits)
        self.waited = 0

    def is_over(self, network: EarlyExitNetwork) -> bool:
        """Look at the network after a round; whether it has been waited for long enough."""
        losses = self._losses(network)
        gained = any(now < before for now, before in zip(losses, self.best, strict=True))
        self.best = [min(pair) for pair in zip(losses, self.best, strict=True)]
        self.waited = 0 if gained else self.waited + 1
        return self.waited >= self.rounds

    @torch.inference_mode()
    def _losses(self, network: EarlyExitNetwork) -> list[float]:
        """The mean cross-entropy of each watched exit on the `tune` samples, in eval mode and float32."""
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
        """The best losses so far and the rounds since the last gain."""
        return {"best": list(self.best), "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.best, self.waited = [float(value) for value in state["best"]], int(state["waited"])
