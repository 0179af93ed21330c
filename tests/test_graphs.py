"""Graphs from end to end: a study on a file, trained, exported, and run by the runtime with the same answers."""

from typing import Any

import numpy as np
import pytest
import torch

import eenas
from eenas.backbones.graphs import geometric
from eenas.networks.tables import batches
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.tasks.graphs.graph_files import graphs_task
from eenas.tasks.graphs.rings import FORMS, rings
from tests.smallest_study import SETTINGS

pytestmark = pytest.mark.slow

NEEDS_GEOMETRIC = pytest.mark.skipif(geometric.installed_layers() is None, reason="torch_geometric is not installed")
COST = ("costs.edges.kind=edges", "costs.edges.edges=20")
QUICK: dict[str, Any] = {"overrides": (*SETTINGS, "bank.branches=6", *COST), "device": "cpu", "listener": None}


@pytest.fixture(scope="module", params=["gin", pytest.param("pyg_gat", marks=NEEDS_GEOMETRIC)])
def run(request, tmp_path_factory):
    """A finished study on a file of graphs, the folder of an exported network of it, and the task."""
    home = tmp_path_factory.mktemp("graphs")
    graphs, labels = rings(400)
    arrays = {"x": graphs.x, "edge_index": graphs.edges, "batch": graphs.graph_of, "y": labels}
    np.savez(home / "some.npz", **arrays, classes=np.array(FORMS))
    study = eenas.search(
        request.param,
        task=f"graphs:{home}/some.npz",
        storage=f"sqlite:///{home}/eenas.db",
        space="graphs",
        trials=2,
        progress=False,
        **QUICK,
    )
    states = [(trial.state, trial.design and len(trial.design.branches)) for trial in study.results.trials]
    found = [trial for trial in study.results.trials if trial.state == "complete" and trial.design.branches]
    assert found, states
    choice = eenas.Choice(network=f"trial {min(found, key=lambda trial: len(trial.design.branches)).number}")
    options = {"overrides": ("full_training.samples=256",), "device": "cpu"}
    report = study.train(choice, out=home / "run", listener=lambda event: None, **options)
    assert len(report.exits) > 1
    return study, study.export(home / "model", run=home / "run", format="onnx"), graphs_task(home / "some.npz")


def test_the_study_counts_messages(run):
    study, _, _ = run
    assert [trial.state for trial in study.results.trials].count("failed") == 0
    assert study.results.backbone.costs["edges"] == 100  # five layers of 20 edges
    points = [network.points[0] for network in study.results.networks if network.points]
    assert all(0 < point.expected["edges"] <= 100 for point in points)


def test_the_runtime_answers_as_the_network_does(run):
    _, model, task = run
    network, opened = eenas.load(model), eenas.runtime.load(model)
    assert network.transform.inputs.kind == "graphs"
    transformed = torch.cat(list(batches(network, task.test, 100, torch.device("cpu"))))
    arrays = task.test.samples.arrays
    pairs = [arrays.graph(int(row)) for row in task.test.rows[: len(transformed)]]
    given = opened.preprocess(pairs)
    np.testing.assert_array_equal(given, transformed.numpy())
    found, expected = opened.predict(given), network.predict(transformed)
    same = (found.classes == expected.classes.numpy()) & (found.exits == expected.exits.numpy())
    assert same.mean() > 0.99
    assert eenas.verify(model).samples > 0


def test_odd_graphs_are_answered_by_the_program_as_by_the_network(run):
    _, model, task = run
    network, opened = eenas.load(model), eenas.runtime.load(model)
    width = task.train.samples.arrays.features
    x = np.random.default_rng(0).normal(size=(4, width)).astype(np.float32)
    one, none = (x[:1], np.empty((2, 0), dtype=np.int64)), (x, np.empty((2, 0), dtype=np.int64))
    loops = (x, np.array([[0, 1, 2, 2], [0, 1, 2, 3]]))
    twice = (x, np.array([[0, 0, 1], [1, 1, 0]]))
    for graphs in ([one], [none], [loops], [twice], [one, loops, none]):
        given = opened.preprocess(graphs)
        expected = network(torch.from_numpy(given))
        for found, logits in zip(opened.logits(given), expected, strict=True):
            np.testing.assert_allclose(found, logits.detach().numpy(), atol=1e-3)


def test_a_batch_whose_graphs_all_leave_at_the_first_exit(run):
    _, model, task = run
    network, opened = eenas.load(model), eenas.runtime.load(model)
    thresholds = (0.0,) * (len(network.exits) - 1)
    opened.set_thresholds(*thresholds)
    policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * len(network.exits), thresholds=thresholds)
    given = opened.preprocess([task.test.samples.arrays.graph(int(row)) for row in task.test.rows[:5]])
    assert not opened.predict(given).exits.any()
    assert not network.predict(torch.from_numpy(given), policy).exits.any()
