from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from eenas.errors import PluginError, TaskError
from eenas.tasks.graphs.graph_files import graphs_task
from eenas.tasks.graphs.pyg_data import task_of_data
from eenas.tasks.graphs.rings import FORMS, rings, rings_task


def arrays(count: int = 40) -> dict[str, Any]:
    graphs, labels = rings(count)
    return {"x": graphs.x, "edge_index": graphs.edges, "batch": graphs.graph_of, "y": labels}


def write_tu(folder: Path, given: dict[str, Any]) -> None:
    def write(ending: str, rows: Any) -> None:
        lines = (", ".join(map(str, np.atleast_1d(row).tolist())) for row in rows)
        (folder / f"toy{ending}").write_text("\n".join(lines) + "\n", encoding="utf-8")

    write("_A.txt", given["edge_index"].T + 1)
    write("_graph_indicator.txt", given["batch"] + 1)
    write("_graph_labels.txt", given["y"] * 2 - 1)
    write("_node_labels.txt", given["x"][:, :3].argmax(axis=1) + 7)


def test_the_embedded_graphs_are_of_three_forms_and_the_same_everywhere() -> None:
    task = rings_task()
    assert task.classes == FORMS
    assert task.inputs.kind == "graphs"
    assert task.digest == rings_task().digest
    graphs, labels = rings(30)
    assert sorted(set(labels.tolist())) == [0, 1, 2]
    trees = graphs.edge_counts[labels == 2]
    assert (trees == 2 * (graphs.sizes[labels == 2] - 1)).all()
    assert (graphs.edge_counts[labels == 0] == 2 * graphs.sizes[labels == 0]).all()


def test_a_numpy_file_has_the_names_of_torch_geometric(tmp_path: Path) -> None:
    given = arrays()
    test = np.arange(40) >= 28
    np.savez(tmp_path / "toy.npz", **given, test_mask=test, classes=np.array(["a", "b", "c"]))
    task = graphs_task(tmp_path / "toy.npz")
    assert task.classes == ("a", "b", "c")
    assert len(task.test) == 12
    assert len(task.train) + len(task.calibration) + len(task.validation) == 28


def test_a_folder_of_tu_files_gives_the_same_graphs(tmp_path: Path) -> None:
    given = arrays()
    write_tu(tmp_path, given)
    task = graphs_task(tmp_path)
    assert task.classes == ("-1", "1", "3")
    batch = task.train.reader(task.inputs)[np.arange(3)]
    graphs, _ = rings(40)
    for found, row in zip(batch, task.train.rows[:3], strict=True):
        x, edges = graphs.graph(int(row))
        assert torch.equal(found[: len(x), :3], torch.from_numpy(x[:, :3]))
        slots = found[: len(x), 4:].reshape(-1, 2)[: edges.shape[1]]
        assert torch.equal(slots.T - 1, torch.from_numpy(edges).float())


def test_tu_files_without_features_count_edges(tmp_path: Path) -> None:
    given = arrays()
    write_tu(tmp_path, given)
    (tmp_path / "toy_node_labels.txt").unlink()
    task = graphs_task(tmp_path)
    degree = np.bincount(given["edge_index"][1])
    first = int(task.train.rows[0])
    start = int((given["batch"] < first).sum())
    assert task.train.reader(task.inputs)[np.array([0])][0, 0, 0] == degree[start]


def test_data_objects_are_read_with_their_attributes_only() -> None:
    graphs, labels = rings(40)
    data = [
        SimpleNamespace(
            x=torch.from_numpy(graphs.graph(k)[0]), edge_index=torch.from_numpy(graphs.graph(k)[1]), y=torch.tensor([y])
        )
        for k, y in enumerate(labels.tolist())
    ]
    task = task_of_data("toy", data, classes=FORMS)
    assert task.num_classes == 3
    bare = [SimpleNamespace(edge_index=each.edge_index, num_nodes=len(each.x), y=each.y) for each in data]
    assert task_of_data("toy", bare).inputs.option("features") == 1


def test_a_torch_file_needs_trust(tmp_path: Path) -> None:
    data = pytest.importorskip("torch_geometric.data")
    graphs, labels = rings(40)
    given = [
        data.Data(x=torch.from_numpy(x), edge_index=torch.from_numpy(edges), y=torch.tensor([label]))
        for (x, edges), label in zip((graphs.graph(k) for k in range(40)), labels.tolist(), strict=True)
    ]
    torch.save(given, tmp_path / "toy.pt")
    with pytest.raises(PluginError, match="can run Python code"):
        graphs_task(tmp_path / "toy.pt")
    assert graphs_task(tmp_path / "toy.pt", trust_code=True).num_classes == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": None}, "'batch' is missing.*node_task"),
        ({"y": np.zeros(3, dtype=np.int64)}, "3 labels for 40 graphs|at least two classes"),
        ({"batch": np.zeros(5, dtype=np.int64)}, "batch must be .* integers"),
        ({"edge_index": np.array([[0], [10_000]])}, "edge_index must name nodes"),
        ({"test_mask": np.ones(40, dtype=bool)}, "mark some graphs and leave others"),
        ({"test_mask": np.ones(40)}, "test_mask must be 40 booleans"),
    ],
)
def test_bad_numpy_files_are_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    given = {name: value for name, value in {**arrays(), **change}.items() if value is not None}
    np.savez(tmp_path / "toy.npz", **given)
    with pytest.raises(TaskError, match=message) as caught:
        graphs_task(tmp_path / "toy.npz")
    assert str(caught.value).startswith(str(tmp_path / "toy.npz"))


def test_graphs_out_of_order_or_without_nodes_are_refused(tmp_path: Path) -> None:
    given = arrays()
    np.savez(tmp_path / "a.npz", **{**given, "batch": given["batch"][::-1].copy()})
    with pytest.raises(TaskError, match=r"sort the nodes by graph|has no nodes"):
        graphs_task(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **{**given, "batch": np.where(given["batch"] > 3, given["batch"] + 1, given["batch"])})
    with pytest.raises(TaskError, match="graph 4 has no nodes"):
        graphs_task(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("toy_A.txt", "1, 2\n3\n", "2 numbers in each line"),
        ("toy_A.txt", "1, x\n", "numbers separated by commas"),
        ("toy_A.txt", "1, 99999\n", r"toy_A.txt must name nodes 1 to \d+, got \[1, 99999\] in edge 1; number the"),
        ("toy_A.txt", "0, 1\n", r"toy_A.txt must name nodes 1 to \d+, got \[0, 1\] in edge 1; number the nodes from 1"),
        ("toy_graph_indicator.txt", "1\n3\n", "toy_graph_indicator.txt must number the graphs from 1"),
        ("toy_graph_labels.txt", "", "toy_graph_labels.txt must have 1 number in each line, got no line"),
        ("toy_graph_labels.txt", "0.5\n", "whole numbers, got 0.5"),
        ("toy_node_labels.txt", "1\n", "1 line, but the graphs have"),
        ("toy_graph_labels.txt", None, "toy_graph_labels.txt is missing"),
        ("toy_graph_indicator.txt", None, "got none"),
    ],
)
def test_bad_tu_files_are_refused_by_name(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    write_tu(tmp_path, arrays())
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(TaskError, match=message):
        graphs_task(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"none\.npz: no such file"):
        graphs_task(tmp_path / "none.npz")


def test_data_objects_without_a_label_or_edges_are_refused() -> None:
    with pytest.raises(TaskError, match="graph 0: has no edge_index"):
        task_of_data("toy", [object()])
    no_label = SimpleNamespace(x=torch.ones(2, 1), edge_index=torch.empty(2, 0))
    with pytest.raises(TaskError, match="graph 0: y must be one class number, got none"):
        task_of_data("toy", [no_label])
    with pytest.raises(TaskError, match="needs a list of Data objects, got int"):
        task_of_data("toy", 3)  # type: ignore[arg-type]


def test_tensors_of_data_objects_are_made_plain_and_other_values_are_refused() -> None:
    edges = torch.tensor([[0, 1], [1, 0]])
    half = [SimpleNamespace(x=torch.ones(2, 3).bfloat16(), edge_index=edges, y=torch.tensor(k % 2)) for k in range(40)]
    sparse = [SimpleNamespace(x=torch.eye(2).to_sparse(), edge_index=edges, y=torch.tensor(k % 2)) for k in range(40)]
    assert task_of_data("half", half).inputs.option("features") == 3
    assert task_of_data("sparse", sparse).inputs.option("features") == 2
    with pytest.raises(TaskError, match=r"graph 0: a Data object holds tensors or arrays of numbers, got \[\[1\], \[1"):
        task_of_data("ragged", [SimpleNamespace(x=[[1], [1, 2]], edge_index=edges, y=torch.tensor(0))])


def test_tu_files_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    write_tu(tmp_path, arrays())
    plain = graphs_task(tmp_path).digest
    text = (tmp_path / "toy_A.txt").read_text(encoding="utf-8")
    (tmp_path / "toy_A.txt").write_text("\ufeff" + text, encoding="utf-8")
    assert graphs_task(tmp_path).digest == plain


def test_an_array_file_without_nodes_is_refused(tmp_path: Path) -> None:
    empty = {"x": np.empty((0, 3)), "edge_index": np.empty((2, 0), dtype=int), "batch": np.empty(0, dtype=int)}
    np.savez(tmp_path / "none.npz", **empty, y=np.empty(0, dtype=int))
    with pytest.raises(TaskError, match=r"none\.npz: x has no nodes"):
        graphs_task(tmp_path / "none.npz")


def test_one_data_object_is_no_list_of_graphs() -> None:
    one = SimpleNamespace(x=torch.zeros(3, 2), edge_index=torch.zeros(2, 0, dtype=torch.long), y=torch.tensor([0]))
    with pytest.raises(TaskError, match="some: needs a list of Data objects, got one; its nodes are classified by"):
        task_of_data("some", one)


def test_graphs_without_any_edge_have_one_slot(tmp_path: Path) -> None:
    np.savez(tmp_path / "toy.npz", **{**arrays(), "edge_index": np.empty((2, 0), dtype=np.int64)})
    task = graphs_task(tmp_path / "toy.npz")
    assert task.inputs.option("edge_slots") == 1, "ONNX has no operators for axes of length 0"
