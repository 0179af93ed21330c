from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from eenas.errors import InputError, PolicyError, TaskError
from eenas.networks.nodes.node_fit import exact_edges, fit_nodes
from eenas.networks.nodes.node_network import NodeNetwork
from eenas.networks.nodes.node_prediction import predict_nodes
from eenas.networks.nodes.node_table import node_policy, node_tables
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.tasks.graphs.block_model import block_model_task
from eenas.tasks.graphs.labelled_nodes import UNLABELLED, NodeTask
from eenas.training.nodes.node_training import NodeTraining, train_nodes


@cache
def task() -> NodeTask:
    return block_model_task(nodes=240, classes=3, degree=5, noise=1.0)


@cache
def trained(*, final_only: bool = False) -> NodeNetwork:
    torch.manual_seed(0)
    network = NodeNetwork(3, 3, hops=4, width=16)
    train_nodes(network, task(), NodeTraining(epochs=40, final_only=final_only))
    return network


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.6, 0.8, None])
def test_the_messages_of_the_exact_form_are_counted_without_running_it(threshold: float | None) -> None:
    policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 5, thresholds=(threshold,) * 4)
    found = predict_nodes(trained(), task().graph, policy)
    assert exact_edges(task().graph.edges, found.exits) == found.edges


@pytest.mark.parametrize("form", ["exact", "frozen"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_and_the_accuracy_that_are_reported_are_those_of_the_prediction(form: Any, share: float) -> None:
    fit = fit_nodes(trained(), task(), edge_share=share, form=form, splits=["calibration"])
    found = predict_nodes(trained(), task().graph, fit.policy, form=form)
    assert found.share == pytest.approx(fit.share)
    assert fit.share <= share
    rows = task().split("calibration")
    assert (found.classes == task().labels)[rows].mean() == fit.accuracy


def test_half_of_the_messages_are_held_where_the_mean_per_node_does_not_hold_them() -> None:
    tables = node_tables(trained(), task())
    by_table = node_policy(tables["calibration"].joined(tables["validation"]), edge_share=0.5)
    assert predict_nodes(trained(), task().graph, by_table).share > 0.5
    assert 0.3 < fit_nodes(trained(), task(), edge_share=0.5).share <= 0.5


def test_one_split_may_be_given_by_its_name() -> None:
    fit = fit_nodes(trained(), task(), edge_share=0.5, splits="calibration")
    assert fit == fit_nodes(trained(), task(), edge_share=0.5, splits=["calibration"])
    assert list(node_tables(trained(), task(), "test")) == ["test"]
    with pytest.raises(TaskError, match="'calibratoin' is not a split; nearest: 'calibration'"):
        fit_nodes(trained(), task(), edge_share=0.5, splits="calibratoin")


def test_labels_beside_the_splits_are_not_read() -> None:
    labels = task().labels.copy()
    labels[task().split("test")] = UNLABELLED
    hidden = replace(task(), labels=labels)
    assert fit_nodes(trained(), hidden, edge_share=0.5) == fit_nodes(trained(), task(), edge_share=0.5)


@pytest.mark.parametrize("form", ["exact", "frozen"])
def test_a_graph_without_edges_takes_no_messages(form: Any) -> None:
    generator = np.random.default_rng(0)
    alone = NodeTask.of("alone", generator.normal(size=(60, 3)), [], np.arange(60) % 3)
    fit = fit_nodes(trained(), alone, edge_share=0.5, form=form)
    assert fit.share == 0.0
    assert predict_nodes(trained(), alone.graph, fit.policy, form=form).edges == 0


def test_bad_values_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"share of all edges in \[0, 1\], got -0.1"):
        fit_nodes(trained(), task(), edge_share=-0.1)
    with pytest.raises(InputError, match="exact, frozen"):
        fit_nodes(trained(), task(), edge_share=0.5, form="thawed")  # type: ignore[arg-type]
    with pytest.raises(PolicyError, match="got none; name other splits"):
        fit_nodes(trained(), task(), edge_share=0.5, splits=[])


def test_the_final_exit_alone_is_trained_where_that_is_asked_for() -> None:
    torch.manual_seed(0)
    network = NodeNetwork(3, 3, hops=4, width=16)
    before = network.heads[1][1].weight.detach().clone()  # type: ignore[index]
    train_nodes(network, task(), NodeTraining(epochs=20, final_only=True, weight_decay=0))
    assert torch.equal(before, network.heads[1][1].weight)  # type: ignore[index]
    accuracy = node_tables(network, task())["test"].table.exit_accuracy()
    assert accuracy[-1] > 0.6
