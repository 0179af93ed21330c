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
