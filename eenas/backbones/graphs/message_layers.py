"""Message-passing layers in plain torch: GCN, GIN, GAT, GraphSAGE and a propagation without weights.

A layer maps node features `x` [n, D] and `edges` int64 [2, E] (a message passes from `edges[0, e]` to `edges[1, e]`) to
new features [n, D'], as the layers of torch_geometric do. A node's own features are not a message: self-loops are added
by none of them, and those of the data count as edges.

With `targets` T only the first T nodes are computed, [T, D']; all edges then lead to them. `degree` float [n] is the
number of incoming edges of each node in the whole graph, where `edges` holds a part of it only.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eenas.errors import BackboneError


class MessageLayer(nn.Module, ABC):
    """A layer with the signature `forward(x, edges, targets=None, degree=None)`, described in this file."""

    @abstractmethod
    def forward(self, x: Tensor, edges: Tensor, targets: int | None = None, degree: Tensor | None = None) -> Tensor:
        """Return the new features [T or n, D']."""


class PropagationLayer(MessageLayer):
    """The product with the normalised adjacency (Wu et al. 2019, "Simplifying graph convolutional networks").

    A node weighs its own features with 1 / (d + 1) and those of a neighbour with 1 / sqrt((d + 1) (d' + 1)), where d
    and d' are the numbers of incoming edges.
    """

    def forward(self, x: Tensor, edges: Tensor, targets: int | None = None, degree: Tensor | None = None) -> Tensor:
        """Return the propagated features [T or n, D]."""
        count = x.shape[0] if targets is None else targets
        if degree is None:
            degree = incoming(edges, x.shape[0], x.dtype)
        scale = (degree + 1).rsqrt()
        sums = added((x * scale[:, None])[edges[0]], edges[1], count) + x[:count] * scale[:count, None]
        return sums * scale[:count, None]


class GCNLayer(MessageLayer):
    """A graph convolution (Kipf and Welling 2017, equation 2): a linear map, then `PropagationLayer`, then a bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.propagation = PropagationLayer()
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, edges: Tensor, targets: int | None = None, degree: Tensor | None = None) -> Tensor:
        """Return the new features [T or n, D']."""
        propagated: Tensor = self.propagation(self.linear(x), edges, targets, degree)
        return propagated + self.bias


class GINLayer(MessageLayer):
    """A graph isomorphism layer (Xu et al. 2019, equation 4.1): an MLP of (1 + epsilon) x plus the neighbours' sum."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(()))
        self.mlp = nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs))

    def forward(self, x: Tensor, edges: Tensor, targets: int | None = None, degree: Tensor | None = None) -> Tensor:
        """Return the new features [T or n, D']."""
        count = x.shape[0] if targets is None else targets
        mixed: Tensor = self.mlp((1 + self.epsilon) * x[:count] + added(x[edges[0]], edges[1], count))
        return mixed


class SAGELayer(MessageLayer):
    """GraphSAGE with the mean over neighbours (Hamilton et al. 2017): W1 x plus W2 times the mean of the messages."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.own = nn.Linear(inputs, outputs)
        self.neighbours = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, edges: Tensor, targets: int | None = None, degree: Tensor | None = None) -> Tensor:
        """Return the new features [T or n, D']."""
        count = x.shape[0] if targets is None else targets
        received = incoming(edges, count, x.dtype).clamp(min=1)[:, None]
        mixed: Tensor = self.own(x[:count]) + self.neighbours(added(x[edges[0]], edges[1], count) / received)
        return mixed


class GATLayer(MessageLayer):
    """Graph attention (Velickovic et al. 2018, equations 1 to 5) with several heads, joined; a node attends itself too.

    Raises BackboneError if the width is no multiple of the number of heads.
    """

    def __init__(self, inputs: int, outputs: int, heads: int = 4) -> None:
        super().__init__()
        if outputs % heads:
            raise BackboneError(f"the width of graph attention must be a multiple of its {heads} heads, got {outputs}")
        self.heads = heads
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.source = nn.Parameter(torch.empty(heads, outputs // heads))
        self.target = nn.Parameter(torch.empty(heads, outputs // heads))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.xavier_uniform_(self.source)
        nn.init.xavier_uniform_(self.target)

    def forward(self, x: Tensor, edges: Tensor, targets: int | None = None, degree: Tensor | None = None) -> Tensor:
        """Return the new features [T or n, D']."""
        count = x.shape[0] if targets is None else targets
        mapped = self.linear(x).view(x.shape[0], self.heads, -1)
        sent, read = (mapped * self.source).sum(-1), (mapped[:count] * self.target).sum(-1)
        own = F.leaky_relu(sent[:count] + read, 0.2)
        scores = F.leaky_relu(sent[edges[0]] + read[edges[1]], 0.2)
        places = edges[1][:, None].expand_as(scores)
        largest = own.detach().scatter_reduce(0, places, scores.detach(), reduce="amax")
        kept, weights = (own - largest).exp(), (scores - largest[edges[1]]).exp()
        total = kept + added(weights, edges[1], count)
        sums = added((mapped[edges[0]] * weights[..., None]).flatten(1), edges[1], count)
        mixed = sums + (mapped[:count] * kept[..., None]).flatten(1)
        spread = total[..., None].expand(-1, -1, mapped.shape[2]).flatten(1)
        found: Tensor = mixed / spread + self.bias
        return found


LAYERS: dict[str, Callable[[int, int], MessageLayer]] = {
    "gcn": GCNLayer,
    "gin": GINLayer,
    "gat": GATLayer,
    "sage": SAGELayer,
}
"""The layers with weights by name."""


def message_layer(kind: str, inputs: int, outputs: int) -> MessageLayer:
    """Return a layer of LAYERS. Raises BackboneError for another name."""
    if kind not in LAYERS:
        raise BackboneError(f"a message-passing layer is one of {', '.join(LAYERS)}, got {kind!r}")
    return LAYERS[kind](inputs, outputs)


def added(messages: Tensor, targets: Tensor, count: int) -> Tensor:
    """Return the sum of the messages [E, ...] to each of `count` nodes, [count, ...]."""
    return messages.new_zeros(count, *messages.shape[1:]).index_add(0, targets, messages)


def incoming(edges: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    """Return the number of edges that lead to each of `count` nodes, [count]."""
    return added(torch.ones(edges.shape[1], dtype=dtype, device=edges.device), edges[1], count)
