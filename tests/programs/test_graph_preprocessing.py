from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eenas import archives
from eenas.errors import InputError
from eenas.programs.preprocessing.graph_preprocessing import GraphPreprocessing
from eenas.programs.preprocessing.kinds import preprocessing_from
from eenas.tasks.graphs.graph_values import padded

MADE = GraphPreprocessing(2, 2, 3)
X = np.arange(6, dtype=np.float32).reshape(3, 2)
EDGES = np.array([[0, 1, 2, 2], [1, 2, 0, 2]])


def test_pairs_objects_files_and_arrays_give_the_batch_of_training(tmp_path: Path) -> None:
    expected = padded([(X, EDGES), (X[:1], np.empty((2, 0), dtype=np.int64))], 2, 2).numpy()
    np.savez(tmp_path / "graph.npz", x=X, edge_index=EDGES)
    alone = (X[:1], [])
    for source in ((X, EDGES), SimpleNamespace(x=X, edge_index=EDGES), tmp_path / "graph.npz", expected[0]):
        assert np.array_equal(MADE.prepare([source, alone]), expected)
    assert np.array_equal(MADE(expected), expected)
    assert MADE.shape == (0, 7)
    assert np.array_equal(MADE.checked(MADE.blank(2)), MADE.blank(2))
    table = {"kind": "graphs", "features": 2, "slots": 2, "nodes": 3}
    assert preprocessing_from(table) == MADE


def test_files_and_objects_of_several_graphs_are_not_read_as_one(tmp_path: Path) -> None:
    x, batch = np.concatenate([X, X[:1], X[1:]]), np.array([0, 0, 0, 1, 2, 2])
    edges = np.array([[5, 0, 1, 4, 2, 2], [4, 1, 2, 5, 0, 2]])  # those of graph 2 around those of graph 0
    parts = [(X, EDGES), (X[:1], []), (X[1:], np.array([[1, 0], [0, 1]]))]
    np.savez(tmp_path / "graphs.npz", x=x, edge_index=edges, batch=batch, y=np.zeros(3, dtype=int))
    for source in (SimpleNamespace(x=x, edge_index=edges, batch=batch), tmp_path / "graphs.npz"):
        assert np.array_equal(MADE.prepare([source]), MADE.prepare(parts))
    one = SimpleNamespace(x=X, edge_index=EDGES, batch=None)
    assert np.array_equal(MADE.prepare([one]), MADE.prepare(parts[:1]))
    empty = SimpleNamespace(x=x, edge_index=[], batch=batch)
    assert np.array_equal(MADE.prepare([empty]), MADE.prepare([(part, []) for part, _ in parts]))
    for wrong, message in (
        (batch[:-1], r"batch must be 6 integers.*got int64 \[5\]"),
        (batch * 1.0, "got float64"),
        (batch[::-1], "start at 0 and rise by 1"),
        (batch * 2, "start at 0 and rise by 1"),
        (np.array([0, 0, 1, 1, 1, 1]), "edge 2 leads from graph 0 to graph 1"),
    ):
        with pytest.raises(InputError, match=message):
            MADE.prepare([SimpleNamespace(x=x, edge_index=edges, batch=wrong)])
    with pytest.raises(InputError, match="name nodes 0 to 5, got 1 to 6"):
        MADE.prepare([SimpleNamespace(x=x, edge_index=np.array([[1], [6]]), batch=batch)])


def test_archives_that_claim_more_than_they_hold_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE", 1_000_000)
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((500_000, 2), dtype=np.float32), edge_index=EDGES)
    with pytest.raises(InputError, match="may unpack to 25 times its size"):
        MADE.prepare([tmp_path / "bomb.npz"])
    np.savez(tmp_path / "part.npz", x=X)
    with pytest.raises(InputError, match="'edge_index' is missing"):
        MADE.prepare([tmp_path / "part.npz"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((X[:, :1], EDGES), r"numbers \[nodes, 2\]"),
        ((X[:0], []), r"numbers \[nodes, 2\]"),
        ((X, EDGES + 1), "name nodes 0 to 2, got 1 to 3"),
        ((X, EDGES * 1.0), r"integers \[2, edges\]"),
        ((X[:1], np.zeros((2, 5), dtype=np.int64)), "at most 2 edges here, 2 a node, got 5"),
        ((X * np.nan, EDGES), "finite"),
        (Path("none.npz"), "no such file"),
        (np.zeros((3, 5), dtype=np.float32), r"floats \[N, nodes, 7\]"),
    ],
)
def test_bad_graphs_are_refused(source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MADE.prepare([source])


def test_damaged_batches_and_manifests_are_refused(tmp_path: Path) -> None:
    batch = MADE.prepare([(X, EDGES)])
    for column, value, message in ((2, 0.5, "mask"), (3, 9, "must name its nodes"), (4, -1, "must name its nodes")):
        broken = batch.copy()
        broken[0, 0, column] = value
        with pytest.raises(InputError, match=message):
            MADE.checked(broken)
    with pytest.raises(InputError, match="mask of each graph"):
        MADE.checked(np.zeros((1, 3, 7), dtype=np.float32))
    with pytest.raises(InputError, match="features of graphs must be a whole number of at least 1, got 0"):
        GraphPreprocessing(0, 2, 3)
    (tmp_path / "graph.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"not a readable \.npz file"):
        MADE.prepare([tmp_path / "graph.npz"])
