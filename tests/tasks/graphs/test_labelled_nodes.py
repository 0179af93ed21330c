from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from eenas.errors import PluginError, TaskError
from eenas.tasks.graphs.block_model import block_model_task
from eenas.tasks.graphs.labelled_nodes import NodeTask
from eenas.tasks.graphs.node_files import node_task
from eenas.tasks.spec import SplitsSpec

EDGES = np.array([[0, 1], [1, 0]])


def toy(nodes: int = 60) -> dict[str, Any]:
    return {"x": np.ones((nodes, 2)), "edge_index": EDGES, "y": np.arange(nodes) % 3}


def test_the_block_model_has_equal_blocks_joined_as_asked() -> None:
    task = block_model_task(nodes=400, classes=4, degree=6, within=0.75, seed=3)
    edges = task.graph.edges
    assert edges.shape[1] == 400 * 6
    assert {tuple(pair) for pair in edges.T.tolist()} == {tuple(pair[::-1]) for pair in edges.T.tolist()}
    assert (edges[0] != edges[1]).all()
    assert len({tuple(pair) for pair in edges.T.tolist()}) == edges.shape[1]
    assert abs(float((task.labels[edges[0]] == task.labels[edges[1]]).mean()) - 0.75) < 0.05
    assert np.bincount(task.labels).tolist() == [100] * 4
    assert task.digest == block_model_task(nodes=400, classes=4, degree=6, within=0.75, seed=3).digest
    assert task.digest != block_model_task(nodes=400, classes=4, degree=6, within=0.75, seed=4).digest


def test_labelled_nodes_are_divided_and_the_others_are_in_no_split() -> None:
    given = toy()
    given["y"][:6] = -1
    task = NodeTask.of("toy", *given.values(), splits=SplitsSpec(seed=1))
    rows = np.concatenate(list(task.rows.values()))
    assert sorted(rows.tolist()) == list(range(6, 60))
    assert task.num_classes == 3


def test_masks_set_the_splits_and_val_is_divided() -> None:
    place = np.arange(60) // 3 % 3
    masks = {name: place == number for number, name in enumerate(("train", "val", "test"))}
    task = NodeTask.of("toy", *toy().values(), masks=masks)
    assert set(task.split("train")) == set(np.flatnonzero(masks["train"]))
    assert set(task.split("test")) == set(np.flatnonzero(masks["test"]))
    both = np.concatenate([task.split("calibration"), task.split("validation")])
    assert sorted(both.tolist()) == np.flatnonzero(masks["val"]).tolist()


def test_files_and_objects_give_the_same_task(tmp_path: Path) -> None:
    given = toy()
    np.savez(tmp_path / "toy.npz", **given)
    data = SimpleNamespace(**{name: torch.from_numpy(np.asarray(value)) for name, value in given.items()})
    assert node_task(tmp_path / "toy.npz").digest == node_task(data).digest
    assert node_task(str(tmp_path / "toy.npz")).name == "toy"
    assert node_task("block_model").name == "block_model"


def test_a_torch_file_of_nodes_needs_trust(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "toy.pt")
    with pytest.raises(PluginError, match="can run Python code"):
        node_task(tmp_path / "toy.pt")
    with pytest.raises(TaskError, match="toy: has no edge_index"):
        node_task(tmp_path / "toy.pt", trust_code=True)


@pytest.mark.parametrize(
    ("change", "masks", "message"),
    [
        ({"y": np.zeros(5, dtype=np.int64)}, None, "y must be 60 class numbers"),
        ({"y": np.zeros(60)}, None, "y must be 60 class numbers.*; number the classes from 0"),
        ({"y": np.array(["a", "b"] * 30)}, None, r"got <U1 of shape \[60\]; classes, y = numpy\.unique"),
        ({"y": np.zeros((60, 1), dtype=np.int64)}, None, r"use y\.ravel\(\)"),
        ({"y": np.zeros(60, dtype=np.int64)}, None, "at least two classes"),
        ({"edge_index": np.array([[0], [60]])}, None, "nodes 0 to 59, got 60"),
        ({}, {"train": np.ones(60, bool)}, "masks are train, val and test, but test is missing"),
        ({}, {name: np.ones(60, bool) for name in ("train", "val", "test")}, "node 0 is in train and val"),
        ({}, {name: np.ones((60, 2), bool) for name in ("train", "val", "test")}, "choose one column"),
    ],
)
def test_bad_nodes_are_refused(change: dict[str, Any], masks: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        NodeTask.of("toy", *{**toy(), **change}.values(), masks=masks)


def test_impossible_block_models_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="at least two classes with four nodes each"):
        block_model_task(nodes=6, classes=2)
    for wrong in (
        {"nodes": 100.5},
        {"seed": -1},
        {"noise": float("nan")},
        {"classes": 1},
        {"degree": float("inf")},
        {"degree": "8"},
    ):
        with pytest.raises(TaskError, match=r"noise in .* and a seed from 0 up, got"):
            block_model_task(**wrong)  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="a folder, not a file; give block_model"):
        node_task(tmp_path)
    with pytest.raises(TaskError, match="classified in one graph, got 2 graphs; choose one"):
        node_task([object(), object()])
    with pytest.raises(TaskError, match=r"has no edge_index; .*, got NoneType"):
        node_task(None)
    for edges in (np.zeros((1, 4), dtype=np.int64), np.array([["a"], ["b"]]), np.zeros((2, 2, 2), dtype=np.int64)):
        with pytest.raises(TaskError, match=r"edge_index must be integers \[2, edges\]"):
            node_task(SimpleNamespace(edge_index=edges, num_nodes=6, y=np.zeros(6, dtype=np.int64)))
    for nodes in ("abc", -5):
        with pytest.raises(TaskError, match="num_nodes must be a whole number from 1 up, got"):
            node_task(SimpleNamespace(edge_index=np.zeros((2, 1), dtype=np.int64), num_nodes=nodes))
    with pytest.raises(TaskError, match="no such file; give block_model"):
        node_task(tmp_path / "none.npz")
    with pytest.raises(TaskError, match="'tset' is not a split"):
        block_model_task(nodes=200).split("tset")
