"""The exponential moving average of the weights that a phase trains."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from eenas.networks.network import EarlyExitNetwork
from eenas.training.sharding.division import forget_gathered, own_part, placed_like


class WeightAverage:
    """The moving average of a network's trained parameters and of its buffers.

    `average <- d average + (1 - d) weights` after every step (Polyak and Juditsky 1992; Tarvainen and Valpola 2017),
    where `d = min(decay, (1 + t) / (10 + t))` at step t, so the initial weights are soon forgotten. Parameters without
    a gradient, buffers of modules in permanent eval mode and integer buffers (counts) are left out.
    """

    def __init__(self, network: EarlyExitNetwork, decay: float) -> None:
        self.network, self.decay, self.steps = network, decay, 0
        self._names: list[str] = []
        self._weights: list[Tensor] = []
        fixed = {id(module) for module in network.kept_in_eval}
        parameters = {name: each for name, each in network.named_parameters() if each.requires_grad}
        buffers = {
            f"{path}.{name}" if path else name: buffer
            for path, module in network.named_modules()
            if id(module) not in fixed
            for name, buffer in module.named_buffers(recurse=False)
            if buffer.is_floating_point()
        }
        for name, value in {**parameters, **buffers}.items():
            self._names.append(name)
            self._weights.append(value.detach())
        self._averages = [value.clone() for value in self._weights]
        self._own_averages, self._own_weights = ([own_part(each) for each in kind] for kind in self._both)

    @property
    def _both(self) -> tuple[list[Tensor], list[Tensor]]:
        return self._averages, self._weights

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the average. Called after each step."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._own_averages, self._own_weights, 1.0 - decay)
        self.steps += 1

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights of the network and the average. A second call restores them."""
        for mine, theirs in zip(self._own_averages, self._own_weights, strict=True):
            kept = theirs.clone()
            theirs.copy_(mine)
            mine.copy_(kept)
        forget_gathered(self.network)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use the averaged weights in the network inside the block."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def state_dict(self) -> dict[str, Any]:
        """Return the averages by the names of their weights, and the number of steps."""
        return {"steps": self.steps, "averages": dict(zip(self._names, self._averages, strict=True))}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of `state_dict`."""
        self.steps = int(state["steps"])
        for name, mine in zip(self._names, self._averages, strict=True):
            mine.copy_(placed_like(state["averages"][name], mine))
