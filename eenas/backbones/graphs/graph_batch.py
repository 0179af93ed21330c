"""A batch of padded graphs as one joined graph, and back: the form in which message-passing layers compute."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True, eq=False)
class GraphBatch:
    """The graphs of a packed batch [N, M, D + c] joined to one graph.

    `x` [n, D] holds the features of all nodes, `edges` int64 [2, E] the edges and `graph_of` int64 [n] the graph of
    each node, as torch_geometric's `Batch` does. `graphs` is the number of graphs that `graph_of` counts.

    There are two forms with the same results. The sparse form has the real nodes and edges only, so that batch
    normalisation in training sees no padding. The static form, for exporters and for counting without values, has all
    N M rows and one more: the padding is a further graph N, whose nodes no real node hears. Its sizes depend on the
    shape of the input only.
    """

    x: Tensor
    edges: Tensor
    graph_of: Tensor
    graphs: int
    packed: Tensor
    mask: Tensor
    is_static: bool

    @classmethod
    def of(cls, packed: Tensor, features: int) -> "GraphBatch":
        """Return the batch of a packed tensor [N, M, D + c], whose first D columns are `features`."""
        if packed.device.type == "meta" or torch.compiler.is_exporting():
            return cls._static(packed, features)
        return cls._sparse(packed, features)

    @classmethod
    def _sparse(cls, packed: Tensor, features: int) -> "GraphBatch":
        count, rows = packed.shape[:2]
        mask, source, target, used = _columns(packed, features)
        places = torch.cumsum(mask.flatten(), 0) - 1
        edges = torch.stack([places[source[used]], places[target[used]]])
        graph_of = torch.arange(count, device=packed.device).repeat_interleave(rows)[mask.flatten()]
        return cls(packed[..., :features][mask], edges, graph_of, count, packed, mask, False)

    @classmethod
    def _static(cls, packed: Tensor, features: int) -> "GraphBatch":
        count, rows = packed.shape[:2]
        mask, source, target, used = _columns(packed, features)
        spare = count * rows
        edges = torch.stack([torch.where(used, source, spare), torch.where(used, target, spare)])
        x = packed[..., :features].reshape(spare, features)
        x = torch.cat([x, torch.zeros_like(x[:1])])
        graphs = torch.arange(count, device=packed.device)[:, None].expand(count, rows)
        graph_of = torch.where(mask, graphs, count).reshape(-1)
        graph_of = torch.cat([graph_of, torch.full_like(graph_of[:1], count)])
        return cls(x, edges, graph_of, count + 1, packed, mask, True)

    def repacked(self, x: Tensor) -> Tensor:
        """Return new features [n, D'] of the same nodes as a packed tensor [N, M, D' + c], 0 in the padding."""
        count, rows = self.packed.shape[:2]
        carried = self.packed[..., self.x.shape[1] :]
        if self.is_static:
            padded = x[:-1].reshape(count, rows, x.shape[1]) * self.mask[..., None]
        else:
            padded = x.new_zeros(count, rows, x.shape[1])
            padded = padded.masked_scatter(self.mask[..., None], x)
        return torch.cat([padded, carried.to(x.dtype)], dim=2)

    def of_graphs(self, pooled: Tensor) -> Tensor:
        """Return what was computed for each graph, [graphs, ...], for the N real ones only."""
        return pooled[:-1] if self.is_static else pooled


def _columns(packed: Tensor, features: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the mask [N, M], and source, target (rows of all graphs) and use of all N M S edge slots."""
    count, rows, columns = packed.shape
    mask = packed[..., features] > 0.5
    slots = packed[..., features + 1 :].reshape(count, rows * ((columns - features - 1) // 2), 2)
    first = torch.arange(count, device=packed.device)[:, None] * rows
    used = (slots[..., 1] > 0.5).reshape(-1)
    source, target = ((slots[..., side].round().long() - 1 + first).reshape(-1) for side in (0, 1))
    return mask, source, target, used
