"""The incoming edges of each node, for selecting the edges that a few nodes need."""

from typing import final

import torch
from torch import Tensor


@final
class IncomingEdges:
    """The edges [2, E] of a graph of n nodes by target. `degree` float32 [n] counts the incoming edges of each node."""

    def __init__(self, edges: Tensor, nodes: int) -> None:
        order = torch.argsort(edges[1], stable=True)
        self.nodes = nodes
        self._sources = edges[0][order]
        self._counts = torch.bincount(edges[1], minlength=nodes)
        self._starts = torch.cumsum(self._counts, 0) - self._counts

    @property
    def degree(self) -> Tensor:
        """The number of incoming edges of each node, float32 [n]."""
        return self._counts.float()

    def into(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sources [e] of all edges into some nodes [t], and the position [e] of each target in `targets`."""
        counts = self._counts[targets]
        places = torch.repeat_interleave(torch.arange(len(targets), device=targets.device), counts)
        firsts = torch.cumsum(counts, 0) - counts
        offsets = torch.arange(len(places), device=targets.device) - firsts[places]
        return self._sources[self._starts[targets][places] + offsets], places

    def around(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nodes that some nodes [t] need for one hop, and the edges among them, [2, e].

        The nodes are the targets in their order, followed by the other sources. Edges count nodes in this order.
        """
        sources, places = self.into(targets)
        position = torch.full((self.nodes,), -1, dtype=torch.int64, device=targets.device)
        position[targets] = torch.arange(len(targets), device=targets.device)
        others = torch.unique(sources[position[sources] < 0])
        position[others] = torch.arange(len(targets), len(targets) + len(others), device=targets.device)
        return torch.cat([targets, others]), torch.stack([position[sources], places])
