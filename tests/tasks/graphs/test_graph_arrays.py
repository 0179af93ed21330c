import numpy as np
import pytest

from eenas.errors import TaskError
from eenas.tasks.graphs.graph_arrays import GraphArrays
from eenas.tasks.graphs.graph_values import GraphValues

TRIANGLE = np.array([[0, 1, 2], [1, 2, 0]])


def test_graphs_are_joined_and_taken_apart() -> None:
    pairs = [(np.ones((3, 2)), TRIANGLE), (np.zeros((1, 2)), np.empty((2, 0))), (np.full((2, 2), 5.0), [[0], [1]])]
    graphs = GraphArrays.joined(pairs)
    assert (len(graphs), graphs.features, graphs.sizes.tolist()) == (3, 2, [3, 1, 2])
    assert graphs.edge_counts.tolist() == [3, 0, 1]
    for number, (x, edges) in enumerate(pairs):
        found_x, found_edges = graphs.graph(number)
        assert np.array_equal(found_x, x)
        assert np.array_equal(found_edges, np.asarray(edges).reshape(2, -1))
    taken = graphs.take(np.array([2, 0]))
    assert taken.sizes.tolist() == [2, 3]
    assert np.array_equal(taken.graph(1)[1], TRIANGLE)


def test_self_loops_isolated_nodes_repeated_edges_and_graphs_without_edges_are_kept() -> None:
    graphs = GraphArrays.joined([(np.ones(3), [[0, 0, 0], [0, 1, 1]]), (np.ones(2), [])])
    assert graphs.features == 1
    assert graphs.edge_counts.tolist() == [3, 0]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "at least one graph"),
        ([(np.ones((2, 1)), [[0], [2]])], "graph 0: edge_index must name nodes 0 to 1, got 2 in edge 0"),
        ([(np.ones((2, 1)), [[0], [-1]])], "got -1 in edge 0"),
        ([(np.ones((2, 1)), [[0, 1]])], r"integers \[2, edges\]"),
        ([(np.ones((2, 1)), [[0.5], [1.0]])], r"got float64 of shape \[2, 1\]; number the nodes from 0"),
        ([(np.ones((2, 1)), [[0.0], [1.0]])], r"use edge_index\.astype\(int\)"),
        ([(np.ones((2, 1)), [[0, 1], [1, 0], [0, 0]])], r"got int64 of shape \[3, 2\]; use edge_index\.T"),
        ([(np.ones((2, 1)), [True, False])], "give the sources in one row"),
        ([(np.array([["a"], ["b"]]), [])], "got <U1 of shape .*give each node a row of numbers"),
        ([(np.ones((0, 1)), [])], "at least one node"),
        ([(np.array([[1.0], [np.nan]]), [])], "finite, got nan in feature 0 of node 1"),
        ([([[1.0], [1.0, 2.0]], [])], "array of numbers"),
        ([(np.ones((2, 1)), []), (np.ones((2, 3)), [])], "graph 1: has 3 features a node, but the first graph 1"),
    ],
)
def test_bad_graphs_are_refused(pairs: list[tuple[object, object]], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        GraphArrays.joined(pairs)


def test_edges_between_graphs_and_empty_graphs_are_refused() -> None:
    with pytest.raises(TaskError, match="edge 0 leads from node 0 of graph 0 to node 1 of graph 1"):
        GraphArrays(x=np.ones((2, 1)), edges=np.array([[0], [1]]), sizes=np.array([1, 1]))
    with pytest.raises(TaskError, match="graph 1 has no nodes"):
        GraphArrays(x=np.ones((2, 1)), edges=np.empty((2, 0)), sizes=np.array([2, 0]))
    with pytest.raises(TaskError, match="3 nodes in all, but x has 2 rows"):
        GraphArrays(x=np.ones((2, 1)), edges=np.empty((2, 0)), sizes=np.array([3]))


def test_a_padded_batch_holds_features_mask_and_edges() -> None:
    values = GraphValues(GraphArrays.joined([(np.full((3, 2), 7.0), TRIANGLE), (np.ones((1, 2)), [])]))
    assert values.slots == 1
    batch = values.reader(np.array([1, 0]), values.inputs)[np.array([1, 0])].numpy()
    assert batch.shape == (2, 3, 2 + 1 + 2)
    assert batch[0].tolist() == [[7, 7, 1, 1, 2], [7, 7, 1, 2, 3], [7, 7, 1, 3, 1]]
    assert batch[1].tolist() == [[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]


def test_a_hub_takes_no_more_room_than_other_nodes() -> None:
    leaves = np.arange(1, 50)
    star = np.stack([np.concatenate([leaves, leaves * 0]), np.concatenate([leaves * 0, leaves])])
    values = GraphValues(GraphArrays.joined([(np.ones((50, 1)), star)]))
    assert values.slots == 2
    batch = values.reader(np.array([0]), values.inputs)[np.array([0])].numpy()[0]
    slots = batch[:, 2:].reshape(-1, 2)
    assert np.array_equal(slots[: star.shape[1]].T - 1, star)


def test_a_network_of_other_features_or_fewer_edge_slots_is_refused() -> None:
    graphs = GraphArrays.joined([(np.ones((3, 2)), np.concatenate([TRIANGLE, TRIANGLE[::-1]], axis=1))])
    values, sparse = GraphValues(graphs), GraphValues(GraphArrays.joined([(np.ones((3, 2)), TRIANGLE)]))
    with pytest.raises(TaskError, match="6 edges and 3 nodes, which needs 2 edge slots a node, but there are 1"):
        values.reader(np.array([0]), sparse.inputs)
    other = GraphValues(GraphArrays.joined([(np.ones((3, 4)), TRIANGLE)]))
    with pytest.raises(TaskError, match="2 features a node, but the network takes 4"):
        values.reader(np.array([0]), other.inputs)


def test_digests_depend_on_features_and_edges() -> None:
    one = GraphValues(GraphArrays.joined([(np.ones((3, 1)), TRIANGLE), (np.ones((3, 1)), TRIANGLE)]))
    other = GraphValues(GraphArrays.joined([(np.ones((3, 1)), TRIANGLE), (np.ones((3, 1)), TRIANGLE[::-1])]))
    first, second = one.digests()
    assert first == second
    assert other.digests()[1] != second
    assert one.digest != other.digest
