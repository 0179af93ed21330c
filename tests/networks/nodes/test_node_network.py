from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.graphs.message_layers import GCNLayer, PropagationLayer
from eenas.errors import BackboneError, InputError, PolicyError, TaskError, TrainingError
from eenas.networks.nodes.incoming_edges import IncomingEdges
from eenas.networks.nodes.node_fit import fit_nodes
from eenas.networks.nodes.node_network import KINDS_OF_LAYERS, NodeNetwork, tensors_of
from eenas.networks.nodes.node_prediction import FORMS, predict_nodes
from eenas.networks.nodes.node_table import EDGES, distance_limit, node_policy, node_tables
from eenas.networks.nodes.stationary import DistanceRule, stationary_state
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.tasks.graphs.block_model import block_model_task
from eenas.tasks.graphs.graph_arrays import GraphArrays
from eenas.tasks.graphs.labelled_nodes import NodeTask
from eenas.training.nodes.node_training import NodeTraining, train_nodes


@cache
def task() -> NodeTask:
    return block_model_task(nodes=240, classes=3, degree=5, noise=1.0)


@cache
def trained(kind: str = "gcn") -> NodeNetwork:
    torch.manual_seed(0)
    network = NodeNetwork(3, 3, kind=kind, hops=3, width=16)
    train_nodes(network, task(), NodeTraining(epochs=40))
    return network


def thresholds(value: float | None) -> ThresholdPolicy:
    return ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 4, thresholds=(value,) * 3)


@contextmanager
def counted_messages(network: NodeNetwork) -> Iterator[list[int]]:
    """Count the edges that the layers receive."""
    seen: list[int] = []
    hooks = [
        layer.register_forward_pre_hook(lambda part, given: seen.append(given[1].shape[1])) for layer in network.layers
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def test_training_beats_chance_and_deeper_exits_see_more() -> None:
    table = node_tables(trained(), task())["test"].table
    accuracy = table.exit_accuracy()
    assert accuracy[-1] > 0.7
    assert accuracy[-1] > accuracy[0]
    assert table.exits == ("hop 0", "hop 1", "hop 2", "final")


@pytest.mark.parametrize("kind", KINDS_OF_LAYERS)
def test_the_exact_form_gives_the_answers_of_the_whole_network_at_each_exit(kind: str) -> None:
    torch.manual_seed(1)
    network = NodeNetwork(3, 3, kind=kind, hops=3, width=8).eval()
    logits = torch.stack(network(*tensors_of(task().graph)), dim=1).detach().numpy()
    policy = thresholds(float(np.median(_confidence(logits[:, 0]))))
    found = predict_nodes(network, task().graph, policy)
    assert len(set(found.exits.tolist())) > 1
    confident = np.stack([_confidence(logits[:, k]) for k in range(3)], axis=1) >= policy.thresholds[0]
    expected = np.where(confident.any(axis=1), confident.argmax(axis=1), 3)
    assert np.array_equal(found.exits, expected)
    assert np.array_equal(found.classes, logits[np.arange(len(logits)), expected].argmax(axis=1))


def _confidence(logits: Any) -> Any:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights.max(axis=1) / weights.sum(axis=1)


@pytest.mark.parametrize("form", ["exact", "frozen"])
def test_the_edges_that_are_reported_are_those_that_layers_receive(form: Any) -> None:
    policy = node_policy(node_tables(trained(), task())["calibration"], edge_share=0.6)
    with counted_messages(trained()) as seen:
        found = predict_nodes(trained(), task().graph, policy, form=form)
    assert found.edges == sum(seen) > 0
    assert found.full_edges == 3 * task().graph.edges.shape[1]
    assert 0 < found.share < 1
    with counted_messages(trained()) as none:
        nobody = predict_nodes(trained(), task().graph, thresholds(0.0), form=form)
    assert (nobody.edges, sum(none)) == (0, 0)
    assert not nobody.exits.any()
    everybody = predict_nodes(trained(), task().graph, thresholds(None), form=form)
    assert everybody.share == 1


def test_a_node_of_the_frozen_form_touches_its_own_edges_once_per_hop() -> None:
    tables = node_tables(trained(), task(), ("calibration", "train"))
    policy = node_policy(tables["calibration"], edge_share=0.6)
    found = predict_nodes(trained(), task().graph, policy, form="frozen")
    degree = np.bincount(task().graph.edges[1], minlength=len(task().graph.x))
    assert found.edges == int((degree * found.exits).sum())
    rows = task().split("train")
    exits = policy.apply(tables["train"].table).exit_index
    assert np.array_equal(tables["train"].edges, degree[rows][:, None] * np.arange(4))
    assert tables["train"].point(policy).expected[EDGES] == pytest.approx((degree[rows] * exits).mean())


def test_the_frozen_form_is_the_forward_pass_with_nodes_that_leave() -> None:
    policy = node_policy(node_tables(trained(), task())["calibration"], edge_share=0.6)
    found = predict_nodes(trained(), task().graph, policy, form="frozen")
    x, edges = tensors_of(task().graph)
    logits = torch.stack(trained()(x, edges, torch.from_numpy(found.exits)), dim=1)
    expected = logits[torch.arange(len(x)), torch.from_numpy(found.exits)].argmax(dim=1)
    assert np.array_equal(found.classes, expected.numpy())


def test_a_few_nodes_need_only_the_edges_around_them() -> None:
    edges = np.array([[0, 1, 2, 3, 5], [1, 2, 3, 4, 4]])  # a chain, and a node 5 beside it
    graph = GraphArrays.joined([(np.random.default_rng(0).normal(size=(6, 3)), edges)])
    found = predict_nodes(trained(), graph, thresholds(None), nodes=np.array([2, 2]))
    assert found.edges_at == (0, 1, 2, 2)  # 1 -> 2 at each exit, and 0 -> 1 for the second and the third
    assert found.full_edges == found.edges
    whole = predict_nodes(trained(), graph, thresholds(None))
    assert found.classes.tolist() == [whole.classes[2]] * 2


def test_graphs_without_edges_and_isolated_nodes_are_answered() -> None:
    graph = GraphArrays.joined([(np.ones((4, 3)), [[0, 1], [0, 0]])])
    for form in ("exact", "frozen"):
        found = predict_nodes(trained(), graph, thresholds(0.99), form=form)  # type: ignore[arg-type]
        assert (found.classes >= 0).all()
    alone = GraphArrays.joined([(np.ones((4, 3)), [])])
    assert predict_nodes(trained(), alone, thresholds(None)).share == 1.0


def test_incoming_edges_are_found_for_some_nodes() -> None:
    edges = torch.tensor([[0, 1, 1, 3, 2], [2, 2, 0, 3, 0]])
    incoming = IncomingEdges(edges, 4)
    assert incoming.degree.tolist() == [2, 0, 2, 1]
    sources, places = incoming.into(torch.tensor([2, 1, 3]))
    assert (sources.tolist(), places.tolist()) == ([0, 1, 3], [0, 0, 2])
    around, inner = incoming.around(torch.tensor([2, 3]))
    assert around.tolist() == [2, 3, 0, 1]
    assert inner.tolist() == [[2, 3, 1], [0, 0, 1]]


def test_propagation_converges_to_the_stationary_state() -> None:
    x, edges = tensors_of(task().graph)
    layer, h = PropagationLayer(), x
    for _ in range(300):
        h = layer(h, edges)
    assert torch.allclose(h, stationary_state(x, edges), atol=1e-3)
    with pytest.raises(InputError, match="both directions"):
        stationary_state(torch.ones(2, 1), torch.tensor([[0], [1]]))


def test_nodes_near_the_stationary_state_leave_first() -> None:
    network = trained("sgc")
    tables = node_tables(network, task())
    limit = distance_limit(tables["calibration"], edge_share=0.5)
    x, edges = tensors_of(task().graph)
    rule = DistanceRule(limit, stationary_state(network.encoded(x).detach(), edges), network.hops + 1)
    found = predict_nodes(network, task().graph, rule)
    rows = task().split("test")
    far = tables["test"].distances
    assert far is not None
    near = np.concatenate([far < limit, np.ones((len(far), 1), dtype=bool)], axis=1)
    assert np.array_equal(found.exits[rows], near.argmax(axis=1))
    with pytest.raises(PolicyError, match='need a network of the kind "sgc"'):
        distance_limit(node_tables(trained(), task())["calibration"], edge_share=0.5)


def test_policies_hold_the_share_of_edges_on_calibration() -> None:
    calibration = node_tables(trained(), task())["calibration"]
    for share in (0.3, 0.6, 1.0):
        assert calibration.share(calibration.point(node_policy(calibration, edge_share=share))) <= share
    with pytest.raises(PolicyError, match=r"share of all edges in \[0, 1\]"):
        node_policy(calibration, edge_share=1.5)


class Mean(nn.Module):
    """A layer of the user, which adds the mean of all messages."""

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        sums = torch.zeros_like(x).index_add(0, edges[1], x[edges[0]])
        return x + sums / torch.bincount(edges[1], minlength=len(x)).clamp(min=1)[:, None]


class Narrow(nn.Module):
    """A layer of the user of another width than the network."""

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        return x[:, :4]


class Normalised(nn.Module):
    """A layer of the user, which normalises by the degrees of senders, as GCNConv of torch_geometric does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = GCNLayer(8, 8)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        found: Tensor = self.layer(x, edges)
        return found


def test_layers_of_the_user_are_taken_if_a_node_depends_on_its_incoming_edges_only() -> None:
    torch.manual_seed(0)
    own = NodeNetwork(3, 3, width=8, layers=[Mean(), Mean(), Mean()]).eval()
    found = predict_nodes(own, task().graph, thresholds(0.4))
    logits = torch.stack(own(*tensors_of(task().graph)), dim=1)
    right = logits[torch.arange(len(logits)), torch.from_numpy(found.exits)].argmax(dim=1)
    assert np.array_equal(found.classes, right.numpy())
    normalised = NodeNetwork(3, 3, width=8, layers=[Normalised(), Normalised(), Normalised()]).eval()
    with pytest.raises(InputError, match="depend on more than the incoming edges"):
        predict_nodes(normalised, task().graph, thresholds(0.4))


def test_bad_values_are_refused() -> None:
    with pytest.raises(BackboneError, match="one of gcn, gin, gat, sage, sgc, got 'gnc'"):
        NodeNetwork(3, 3, kind="gnc")
    with pytest.raises(BackboneError, match="at least one feature"):
        NodeNetwork(0, 3)
    with pytest.raises(InputError, match="takes 3 features a node, got a graph with 1"):
        predict_nodes(trained(), GraphArrays.joined([(np.ones(2), [])]), thresholds(0.5))
    with pytest.raises(InputError, match="nodes must be 0 to 239, got 240 to 240"):
        predict_nodes(trained(), task().graph, thresholds(0.5), nodes=np.array([240]))
    with pytest.raises(InputError, match="exact, frozen"):
        predict_nodes(trained(), task().graph, thresholds(0.5), form="thawed")  # type: ignore[arg-type]
    with pytest.raises(PolicyError, match="cannot decide over the 4"):
        predict_nodes(trained(), task().graph, replace(thresholds(0.5), temperatures=(1.0, 1.0), thresholds=(0.5,)))
    with pytest.raises(InputError, match="block_model has 3 features and 3 classes, but the network takes 4"):
        train_nodes(NodeNetwork(4, 3), task())
    with pytest.raises(TrainingError, match="distillation and frozen_share"):
        NodeTraining(distillation=2.0)
    with pytest.raises(TrainingError, match="temperature is positive and finite"):
        NodeTraining(temperature="2")  # type: ignore[arg-type]
    with pytest.raises(BackboneError, match=r"dropout in \[0, 1\)"):
        NodeNetwork(3, 3, dropout="0")  # type: ignore[arg-type]
    with pytest.raises(BackboneError, match=r"layer 0 \(Narrow\) must return .* got \[240, 4\]; set width"):
        train_nodes(NodeNetwork(3, 3, width=8, layers=[Narrow()]), task())
    for wrong in ({"learning_rate": float("nan")}, {"epochs": 2.5}, {"epochs": "3"}, {"weight_decay": -1.0}):
        with pytest.raises(TrainingError, match="epochs and patience are whole numbers from 1 up"):
            NodeTraining(**wrong)  # type: ignore[arg-type]
    with pytest.raises(BackboneError, match="at least one feature"):
        NodeNetwork(3, 3, width="8")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"nodes must be integers \[q\], got float64"):
        predict_nodes(trained(), task().graph, thresholds(0.5), nodes=np.array([0.5]))  # type: ignore[arg-type]
    mask = np.ones(240, dtype=np.bool_)
    with pytest.raises(InputError, match=r"got bool of shape \[240\]; use numpy\.flatnonzero"):
        predict_nodes(trained(), task().graph, thresholds(0.5), nodes=mask)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="block_model has 3 features and 3 classes, but the network takes 4"):
        node_tables(NodeNetwork(4, 3), task())
    with pytest.raises(PolicyError, match="got 'half'"):
        node_policy(node_tables(trained(), task())["calibration"], edge_share="half")  # type: ignore[arg-type]
    for seed in (-1, 1.5, "1", True, None):
        with pytest.raises(TrainingError, match="seed is a whole number from 0 up, got"):
            NodeTraining(seed=seed)  # type: ignore[arg-type]
    for graph in (task(), None, np.ones((240, 3))):
        with pytest.raises(InputError, match=f"a graph is a GraphArrays, .*, got {type(graph).__name__}"):
            predict_nodes(trained(), graph, thresholds(0.5))  # type: ignore[arg-type]
    for rule in (0.5, None, "max_softmax", fit_nodes(trained(), task(), edge_share=0.5)):
        with pytest.raises(PolicyError, match=f"a rule is a policy, .*, got {type(rule).__name__}"):
            predict_nodes(trained(), task().graph, rule)  # type: ignore[arg-type]
    for refused in (
        lambda: train_nodes(trained(), task().graph),  # type: ignore[arg-type]
        lambda: node_tables(trained(), task().graph),  # type: ignore[arg-type]
        lambda: fit_nodes(trained(), task().graph, edge_share=0.5),  # type: ignore[arg-type]
    ):
        with pytest.raises(TaskError, match=r"a task of nodes is a NodeTask, .* got GraphArrays"):
            refused()


def test_all_nodes_may_leave_at_the_first_exit_and_none_may_be_asked_for() -> None:
    found = predict_nodes(trained(), task().graph, thresholds(0.0), nodes=np.array([], dtype=np.int64))
    assert (len(found.classes), found.edges) == (0, 0)
    assert not predict_nodes(trained(), task().graph, thresholds(0.0)).exits.any()


@pytest.mark.parametrize("edges", [[], [range(60), range(60)], [[0] * 50, [1] * 50], [[0] * 59, range(1, 60)]])
@pytest.mark.parametrize("kind", KINDS_OF_LAYERS)
def test_networks_train_on_graphs_without_edges_with_loops_repetitions_or_a_hub(edges: Any, kind: str) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    odd = NodeTask.of("odd", x, np.array([list(row) for row in edges]), np.arange(60) % 2)
    network = NodeNetwork(3, 2, kind=kind, hops=2, width=8)
    train_nodes(network, odd, NodeTraining(epochs=2))
    policy = node_policy(node_tables(network, odd)["calibration"], edge_share=1.0)
    for form in FORMS:
        assert (predict_nodes(network, odd.graph, policy, form=form).classes >= 0).all()


def test_edges_in_one_direction_leave_out_the_distances_only() -> None:
    one_way = NodeTask.of("chain", np.ones((60, 3)), [range(59), range(1, 60)], np.arange(60) % 2)
    tables = node_tables(NodeNetwork(3, 2, kind="sgc", hops=1, width=8), one_way)
    assert tables["test"].distances is None
    with pytest.raises(PolicyError, match="edges in both directions"):
        distance_limit(tables["test"], edge_share=0.5)


def test_training_is_the_same_with_the_same_seed_and_takes_leaving_nodes_and_a_teacher() -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        network = NodeNetwork(3, 3, hops=2, width=8)
        train_nodes(network, task(), NodeTraining(epochs=5, frozen_share=0.5, distillation=0.3, seed=1))
        found.append(network.heads[1][1].weight.detach())  # type: ignore[index,union-attr]
    assert torch.equal(found[0], found[1])


def test_the_final_exit_alone_is_trained_on_few_nodes_that_may_all_leave_before_it() -> None:
    whole = task()
    masks = {name: np.zeros(240, dtype=bool) for name in ("train", "val", "test")}
    masks["train"][:6], masks["val"][6:120], masks["test"][120:] = True, True, True
    few = NodeTask.of("few", whole.graph.x, whole.graph.edges, whole.labels, masks=masks)
    training = NodeTraining(epochs=40, final_only=True, frozen_share=1.0)
    assert np.isfinite(train_nodes(NodeNetwork(3, 3, hops=2, width=8), few, training).tune_loss)
