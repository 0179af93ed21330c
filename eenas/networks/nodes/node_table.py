"""The exit tables of nodes: the logits of every exit with the edges that each node touches."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.networks.nodes.node_network import STATIONARY, NodeNetwork, check_fits, tensors_of
from eenas.networks.nodes.stationary import distances, in_both_directions, stationary_state
from eenas.policies.costs import KNOWN, MACS, CostFacts, Costs, CostValues
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import Fitting
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.policies.policy import Policy
from eenas.policies.rule import Rule
from eenas.tasks.graphs.labelled_nodes import NodeTask

EDGES = "edges"
"""The name of the cost: edges touched."""


@dataclass(frozen=True, eq=False)
class NodeTable:
    """An exit table over nodes [N], and the `edges` int64 [N, K] that each touches to leave at each exit.

    A node touches its incoming edges once per hop, which is what the frozen form of `predict_nodes` does. `table` has
    the mean of that over its nodes as the cost "edges", which policies are fitted to; nodes with many edges may leave
    earlier than others, so points are evaluated with `edges`. `distances` float32 [N, K - 1] from the stationary state
    are known for networks of the kind "sgc" on graphs with edges in both directions.
    """

    table: ExitTable
    edges: NDArray[np.int64]
    distances: NDArray[np.float32] | None = None

    def joined(self, other: "NodeTable") -> "NodeTable":
        """Return the table of the nodes of both, for fitting on two splits. The costs are those of the first."""
        both = [self.table, other.table]
        logits, labels = (np.concatenate([getattr(each, name) for each in both]) for name in ("logits", "labels"))
        far = None
        if self.distances is not None and other.distances is not None:
            far = np.concatenate([self.distances, other.distances])
        table = replace(self.table, logits=logits, labels=labels)
        return NodeTable(table, np.concatenate([self.edges, other.edges]), far)

    def point(self, policy: Policy) -> OperatingPoint:
        """Return the operating point of a policy, with the mean of the edges that each node itself touches."""
        point = evaluate(policy, self.table)
        exits = policy.apply(self.table).exit_index
        mean = float(self.edges[np.arange(len(exits)), exits].mean())
        worst = float(self.edges[:, policy.last_reachable].max())
        return replace(
            point, expected=CostValues({**point.expected, EDGES: mean}), worst=CostValues({**point.worst, EDGES: worst})
        )

    def share(self, point: OperatingPoint) -> float:
        """Return the edges of a point as a share of those that all nodes touch without early exits."""
        full = float(self.edges[:, -1].mean())
        return point.expected[EDGES] / full if full else 1.0


@torch.inference_mode()
def node_tables(
    network: NodeNetwork, task: NodeTask, splits: str | Iterable[str] = ("calibration", "validation", "test")
) -> dict[str, NodeTable]:
    """Return the tables of some splits, or of one, by name, with the exact logits of every exit, in eval mode.

    Raises InputError for a network of other features or classes.
    """
    check_fits(network, task)
    was_training = network.training
    network.eval()
    x, edges = tensors_of(task.graph, network.encoder.weight.device)
    try:
        states = network.states(x, edges)
        logits = torch.stack([network.logits(k, h) for k, h in enumerate(states)], dim=1).float().cpu().numpy()
        far = None
        if network.kind == STATIONARY and network.hops and in_both_directions(edges, len(x)):
            limit = stationary_state(states[0], edges)
            far = torch.stack([distances(h, limit) for h in states[:-1]], dim=1).cpu().numpy()
    finally:
        network.train(was_training)
    degree = np.bincount(task.graph.edges[1], minlength=len(task.graph.x))
    touched = degree[:, None] * np.arange(network.hops + 1)
    macs = np.array(network.macs(float(degree.mean())))
    found = {}
    for name in (splits,) if isinstance(splits, str) else splits:
        rows = task.split(name)
        facts = (KNOWN[MACS], CostFacts(name=EDGES, unit="edges", provenance="incoming edges, once per hop"))
        costs = Costs(facts, np.stack([macs, touched[rows].mean(axis=0)]))
        table = ExitTable(logits=logits[rows], labels=task.labels[rows], exits=network.exits, costs=costs)
        found[name] = NodeTable(table, touched[rows], None if far is None else far[rows])
    return found


def check_share(edge_share: float) -> None:
    """Raise PolicyError for anything but a number in [0, 1]."""
    if not isinstance(edge_share, int | float) or not 0 <= edge_share <= 1:
        raise PolicyError(f"edge_share is a share of all edges in [0, 1], got {shortened(edge_share)}")


def node_policy(calibration: NodeTable, *, edge_share: float, rule: Rule | None = None) -> Policy:
    """Return the policy with the most right answers on `calibration` within a share of all edges.

    If several are equally right, the one with the most edges is taken, which is the safer one on other nodes; if none
    holds the share, the one with the fewest edges of all. Raises PolicyError for a share outside [0, 1].
    """
    check_share(edge_share)
    fitting = Fitting(calibration.table, rule or Rule())
    points = [calibration.point(each.policy) for each in fitting.operating_points(calibration.table)]
    within = [point for point in points if calibration.share(point) <= edge_share]
    if not within:
        return min(points, key=calibration.share).policy
    return max(within, key=lambda point: (point.accuracy, calibration.share(point))).policy


def distance_limit(calibration: NodeTable, *, edge_share: float) -> float:
    """Return the limit of a `DistanceRule` with the most right answers on `calibration` within a share of all edges.

    Candidates lie between the distances on `calibration`, at 64 quantiles. Raises PolicyError for tables without
    distances, which only a network of the kind "sgc" on a graph with edges in both directions has.
    """
    far = calibration.distances
    if far is None:
        raise PolicyError(
            'distances from the stationary state need a network of the kind "sgc" and edges in both directions; fit a '
            "policy instead"
        )
    right = calibration.table.correct()
    full = max(1.0, float(calibration.edges[:, -1].sum()))
    best, fewest = (-1.0, 0.0, 0.0), (np.inf, 0.0)
    for limit in [0.0, *np.quantile(far, np.linspace(0, 1, 64)), float(far.max()) * 2 + 1]:
        near = np.concatenate([far < limit, np.ones((len(far), 1), dtype=np.bool_)], axis=1)
        exits = near.argmax(axis=1)
        rows = np.arange(len(exits))
        share, accuracy = calibration.edges[rows, exits].sum() / full, float(right[rows, exits].mean())
        fewest = min(fewest, (share, float(limit)))
        if share <= edge_share:
            best = max(best, (accuracy, -share, float(limit)))
    return best[2] if best[0] >= 0 else fewest[1]
