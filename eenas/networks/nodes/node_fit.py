"""Fitting a policy of nodes in the form in which it will be used, with the messages counted on the whole graph."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.networks.nodes.node_network import NodeNetwork
from eenas.networks.nodes.node_prediction import Form, check_form, predict_nodes
from eenas.networks.nodes.node_table import check_share, node_tables
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.scores import score
from eenas.policies.temperatures import fit_temperatures
from eenas.tasks.graphs.graph_arrays import GraphArrays
from eenas.tasks.graphs.labelled_nodes import NodeTask, check_node_task

SCORE = "max_softmax"
LIMITS = 32
"""The number of thresholds that are tried with each last hop."""
ALL = "all"


@dataclass(frozen=True)
class NodeFit:
    """A policy for nodes, its accuracy on the nodes that it was fitted on, and the share of all messages that it takes.

    The share is that of answering every node of the graph in `form`; it is 0 for a graph without edges.
    """

    policy: ThresholdPolicy
    form: Form
    accuracy: float
    share: float


def fit_nodes(
    network: NodeNetwork,
    task: NodeTask,
    *,
    edge_share: float,
    form: Form = "exact",
    splits: str | Iterable[str] = ("calibration", "validation"),
) -> NodeFit:
    """Return the policy with the most right answers on the nodes of `splits`, names or one name, within a share of all
    messages.

    Messages are counted as `predict_nodes` does in this form, for all nodes of the graph; this needs no labels.
    Candidates have one threshold on temperature-scaled probabilities for all exits, and a last hop, at which every node
    left leaves: in the exact form, few nodes at a deep hop need the messages of nearly the whole graph before it. If
    several policies are equally right, the one with the most messages is taken, which is the safer one on other nodes.

    Score a policy on a split that it was not fitted on. Raises PolicyError for a share outside [0, 1] and for splits
    without nodes, and InputError for a network of other features or classes.
    """
    check_form(form)
    check_share(edge_share)
    check_node_task(task)
    splits = (splits,) if isinstance(splits, str) else splits
    rows = np.concatenate([task.split(name) for name in splits] or [np.empty(0, dtype=np.int64)])
    if not len(rows):
        raise PolicyError("a policy is fitted on the labelled nodes of its splits, got none; name other splits")
    everybody = replace(task, rows={ALL: np.arange(len(task.labels))}, labels=np.maximum(task.labels, 0))
    whole = node_tables(network, everybody, (ALL,))[ALL].table  # the labels of unlabelled nodes are never read
    fitted_on = whole.take(rows)
    temperatures = tuple(fit_temperatures(fitted_on).tolist())
    best: NodeFit | None = None
    for last in range(network.hops + 1):
        for policy in _candidates(fitted_on, temperatures, last):
            answers, share = _answers(network, task.graph, policy, whole, form)
            if share > edge_share:
                break  # a higher threshold needs no fewer messages
            found = NodeFit(policy, form, float((answers == task.labels)[rows].mean()), share)
            if best is None or (found.accuracy, found.share) > (best.accuracy, best.share):
                best = found
    assert best is not None  # the first candidate answers all nodes at once, and takes no messages
    return best


def _candidates(table: ExitTable, temperatures: tuple[float, ...], last: int) -> Iterator[ThresholdPolicy]:
    """Yield the policies by rising threshold under which all nodes leave until the exit `last`."""
    before = [score(table.logits[:, k], temperatures[k], SCORE) for k in range(last)]
    limits: list[float | None] = [None]
    if before:
        limits = [*np.unique(np.quantile(np.concatenate(before), np.linspace(0, 1, LIMITS))).tolist(), None]
    for limit in limits:
        thresholds: list[float | None] = [limit] * last
        thresholds += [0.0] * (table.num_exits - 1 - last)
        yield ThresholdPolicy(score=SCORE, temperatures=temperatures, thresholds=tuple(thresholds))


def _answers(
    network: NodeNetwork, graph: GraphArrays, policy: ThresholdPolicy, whole: ExitTable, form: Form
) -> tuple[NDArray[np.int64], float]:
    """Return the answers for all nodes, and the share of the messages, as `predict_nodes` gives them."""
    full = max(1, graph.edges.shape[1] * network.hops)
    if form == "frozen":
        found = predict_nodes(network, graph, policy, form="frozen")
        return found.classes, found.edges / full
    applied = policy.apply(whole)
    return np.asarray(applied.answer), exact_edges(graph.edges, applied.exit_index) / full


def exact_edges(edges: NDArray[np.int64], exits: NDArray[Any]) -> int:
    """Return the messages of the exact form on `edges` [2, E] if the nodes leave at `exits` [n], counted in hops.

    The features behind hop k are needed of every node that reaches exit k, of the sources of those needed behind hop
    k + 1, and of these nodes themselves.
    """
    sources, targets = torch.from_numpy(np.array(edges))
    leaves = torch.from_numpy(np.array(exits))
    needed = torch.zeros(len(leaves), dtype=torch.bool)
    total = 0
    for hop in range(int(leaves.max()) if len(leaves) else 0, 0, -1):
        before = needed.clone()
        before[sources[needed[targets]]] = True
        needed = before | (leaves >= hop)
        total += int(needed[targets].sum())
    return total
