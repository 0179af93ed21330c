"""Prediction for nodes that leave: only the edges that are still needed are touched."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.backbones.graphs.message_layers import MessageLayer
from eenas.errors import InputError, PolicyError, plural
from eenas.escaping import shortened
from eenas.networks.nodes.incoming_edges import IncomingEdges
from eenas.networks.nodes.node_network import NodeNetwork, tensors_of
from eenas.policies.policy import Policy
from eenas.tasks.graphs.graph_arrays import GraphArrays

Form = Literal["exact", "frozen"]
FORMS: tuple[Form, ...] = get_args(Form)


@runtime_checkable
class NodeRule(Protocol):
    """What decides at each exit which nodes leave: a policy on logits, or a rule on features such as `DistanceRule`."""

    def start(self, nodes: int) -> Any:
        """Return the state of the nodes before the first exit."""

    def decide(self, k: int, logits: NDArray[Any], h: Tensor, nodes: Tensor, state: Any) -> tuple[NDArray[Any], Any]:
        """Return which of the remaining `nodes` leave at exit k, and the next state; `h` are their features."""

    def answer(self, state: Any) -> NDArray[np.int64]:
        """Return the classes of nodes that leave."""


@dataclass(frozen=True)
class PolicyRule:
    """A policy as a rule for nodes."""

    policy: Policy

    def start(self, nodes: int) -> Any:
        """Return the state of the nodes before the first exit."""
        return self.policy.start(nodes)

    def decide(self, k: int, logits: NDArray[Any], h: Tensor, nodes: Tensor, state: Any) -> tuple[NDArray[Any], Any]:
        """Return which nodes leave at exit k, and the next state, from their logits."""
        return self.policy.decide(k, logits, state)

    def answer(self, state: Any) -> NDArray[np.int64]:
        """Return the classes of nodes that leave."""
        return self.policy.answer(state)


@dataclass(frozen=True, eq=False)
class NodePrediction:
    """The answers for `nodes` [q]: their `classes` [q] and `exits` [q], and the edges that were touched in all.

    `edges_at` [L + 1] are the edges touched for each exit (0 for the first), and `edges` their sum. `full_edges` are
    those of the same nodes without early exits.
    """

    nodes: NDArray[np.int64]
    classes: NDArray[np.int64]
    exits: NDArray[np.int64]
    edges_at: tuple[int, ...]
    full_edges: int

    @property
    def edges(self) -> int:
        """The number of edges touched in all."""
        return sum(self.edges_at)

    @property
    def share(self) -> float:
        """The edges touched as a share of those without early exits; 1 for a graph without edges."""
        return self.edges / self.full_edges if self.full_edges else 1.0


@torch.inference_mode()
def predict_nodes(
    network: NodeNetwork,
    graph: GraphArrays,
    rule: Policy | NodeRule,
    *,
    form: Form = "exact",
    nodes: NDArray[np.int64] | None = None,
) -> NodePrediction:
    """Answer for `nodes` (None: all) of a graph; each leaves at the first exit where the rule lets it leave.

    A node that has left may still be needed by its neighbours. In the exact form its features are computed as long as a
    remaining node depends on them, over any number of hops, and not longer: every answer is that of the whole network
    at that exit. In the frozen form a node that leaves keeps its features and sends them from then on, so that each
    node costs its own incoming edges only. All nodes then take part, since those that are not asked for send messages
    too, and the answers of later exits are approximate.

    Raises InputError for other features or nodes, for layers of the user that need more than a node's incoming edges,
    PolicyError for a policy with another number of exits, and either for a graph or rule that is none.
    """
    check_form(form)
    if not isinstance(graph, GraphArrays):
        raise InputError(f"a graph is a GraphArrays, such as task.graph, got {type(graph).__name__}")
    if not isinstance(rule, Policy | NodeRule):
        raise PolicyError(
            "a rule is a policy, such as fit_nodes(...).policy, or has start, decide and answer, got "
            f"{type(rule).__name__}"
        )
    if graph.features != network.encoder.in_features:
        raise InputError(
            f"the network takes {network.encoder.in_features} features a node, got a graph with {graph.features}"
        )
    if isinstance(rule, Policy):
        if rule.num_exits != network.hops + 1:
            raise PolicyError(
                f"a policy for {plural(rule.num_exits, 'exit')} cannot decide over the {network.hops + 1} of this "
                "network"
            )
        rule = PolicyRule(rule)
    asked = np.arange(len(graph.x)) if nodes is None else np.asarray(nodes)
    if asked.ndim != 1 or (asked.size and asked.dtype.kind not in "iu"):
        fix = "; use numpy.flatnonzero" if asked.dtype.kind == "b" else ""
        raise InputError(f"nodes must be integers [q], got {asked.dtype} of shape {list(asked.shape)}{fix}")
    asked = asked.astype(np.int64)
    if asked.size and not (asked.min() >= 0 and asked.max() < len(graph.x)):
        raise InputError(f"nodes must be 0 to {len(graph.x) - 1}, got {asked.min()} to {asked.max()}")
    device = network.encoder.weight.device
    was_training = network.training
    network.eval()
    try:
        run = _NodeRun(network, *tensors_of(graph, device))
        _check_own_layers(run)
        taking_part = torch.arange(len(graph.x)) if form == "frozen" else torch.from_numpy(np.unique(asked))
        full = _full_edges(run, taking_part.to(device)) if form == "exact" else graph.edges.shape[1] * network.hops
        return run.answers(rule, taking_part.to(device), asked, full, exact=form == "exact")
    finally:
        network.train(was_training)


def check_form(form: str) -> None:
    """Raise InputError for an unknown form."""
    if form not in FORMS:
        raise InputError(f"the form of a prediction is one of {', '.join(FORMS)}, got {shortened(form)}")


class _NodeRun:
    def __init__(self, network: NodeNetwork, x: Tensor, edges: Tensor) -> None:
        self.network, self.x = network, x
        self.incoming = IncomingEdges(edges, len(x))
        self.degree = self.incoming.degree
        empty = x.new_zeros(len(x), network.width)
        self.known = [torch.zeros(len(x), dtype=torch.bool, device=x.device) for _ in range(network.hops + 1)]
        self.states = [empty.clone() for _ in range(network.hops + 1)]
        self.latest = empty.clone()
        self.edges_at = [0] * (network.hops + 1)

    def answers(
        self, rule: NodeRule, staying: Tensor, asked: NDArray[np.int64], full: int, *, exact: bool
    ) -> NodePrediction:
        state = rule.start(len(staying))
        exits = torch.full((len(self.x),), -1, dtype=torch.int64)
        classes = torch.full((len(self.x),), -1, dtype=torch.int64)
        for k in range(self.network.hops + 1):
            if not len(staying):
                break
            h = self._exact(k, staying) if exact else self._frozen(k, staying)
            logits = self.network.logits(k, h)
            leaving, state = rule.decide(k, logits.float().cpu().numpy(), h, staying, state)
            gone = torch.from_numpy(np.asarray(leaving))
            left = staying.cpu()[gone]
            exits[left] = k
            classes[left] = torch.from_numpy(np.asarray(rule.answer(state[leaving])))
            staying, state = staying[~gone.to(staying.device)], state[~leaving]
        return NodePrediction(
            nodes=asked,
            classes=classes.numpy()[asked],
            exits=exits.numpy()[asked],
            edges_at=tuple(self.edges_at),
            full_edges=full,
        )

    def _exact(self, k: int, nodes: Tensor) -> Tensor:
        """Return the features of `nodes` behind k hops, and compute what they depend on, unless it is known."""
        missing: list[Tensor] = []
        needed = nodes
        for index in range(k, -1, -1):
            missing.append(needed[~self.known[index][needed]])
            if index:
                sources, _ = self.incoming.into(missing[-1])
                needed = torch.unique(torch.cat([missing[-1], sources]))
        for index, targets in zip(range(k + 1), reversed(missing), strict=True):
            if not len(targets):
                continue
            before = None if index == 0 else self.states[index - 1]
            self.states[index][targets] = self._computed(index, k, targets, before)
            self.known[index][targets] = True
        return self.states[k][nodes]

    def _frozen(self, k: int, nodes: Tensor) -> Tensor:
        """Return the features of `nodes` behind k hops from the latest features of all."""
        h = self._computed(k, k, nodes, None if k == 0 else self.latest)
        self.latest[nodes] = h
        return h

    def _computed(self, index: int, k: int, targets: Tensor, before: Tensor | None) -> Tensor:
        """Return the features of `targets` behind `index` hops, and count the edges for exit k."""
        if before is None:
            return self.network.encoded(self.x[targets])
        around, edges = self.incoming.around(targets)
        self.edges_at[k] += edges.shape[1]
        return self.network.hop(index - 1, before[around], edges, len(targets), self.degree[around])


def _check_own_layers(run: _NodeRun) -> None:
    """Raise InputError if a layer of the user gives a node other features once edges further away are left out."""
    targets = torch.argsort(run.degree, descending=True)[:4]
    near, few = run.incoming.around(targets)
    wide, many = run.incoming.around(near)
    h = torch.randn(len(wide), run.network.width, generator=torch.Generator().manual_seed(0)).to(targets.device)
    for number, layer in enumerate(run.network.layers):
        if isinstance(layer, MessageLayer):
            continue
        one, other = layer(h[: len(near)], few)[: len(targets)], layer(h, many)[: len(targets)]
        if not torch.allclose(one, other, atol=1e-4):
            raise InputError(
                f"layer {number} ({type(layer).__name__}) gives a node features that depend on more than the incoming "
                "edges, such as the degrees of its neighbours; use the kind gcn, or normalise the edges beforehand"
            )


def _full_edges(run: _NodeRun, nodes: Tensor) -> int:
    """Return the edges that the answers of the final exit need for `nodes`."""
    total, needed = 0, nodes
    for _ in range(run.network.hops):
        sources, _places = run.incoming.into(needed)
        total += len(sources)
        needed = torch.unique(torch.cat([needed, sources]))
    return total
