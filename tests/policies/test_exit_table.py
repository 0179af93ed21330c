"""The exit table: what it refuses, what it keeps on disk, and its cuts."""

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from tests.policies.tables import random_table


def parts(**changed):
    table = random_table(samples=6)
    values = {name: getattr(table, name) for name in ("logits", "labels", "exits", "costs")}
    return {**values, **changed}


def test_converts_to_its_dtypes():
    table = ExitTable(**parts(costs=Costs.of(macs=[1, 2, 3, 4]), labels=np.zeros(6, np.uint8)))
    assert table.logits.dtype == np.float32
    assert table.labels.dtype == np.int64
    assert table.costs["macs"].dtype == np.float64
    assert (len(table), table.num_exits, table.num_classes) == (6, 4, 5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"logits": np.zeros((0, 4, 5)), "labels": np.zeros(0, int)}, "at least one sample"),
        ({"logits": np.zeros((6, 4))}, r"\[samples, exits, classes\]"),
        ({"logits": np.zeros((6, 4, 1))}, "two classes"),
        ({"logits": np.full((6, 4, 5), np.nan)}, "finite"),
        ({"logits": np.full((6, 4, 5), 1e300)}, "finite"),
        ({"labels": np.zeros(5, int)}, "6 integers"),
        ({"labels": np.zeros(6)}, "6 integers"),
        ({"labels": np.full(6, 5)}, r"0\.\.4"),
        ({"labels": np.full(6, -1)}, r"0\.\.4"),
        ({"exits": ("a", "b", "final")}, "different names"),
        ({"exits": ("a", "a", "b", "final")}, "different names"),
        ({"contexts": ["clean"] * 5}, "contexts must be 6 names"),
        ({"contexts": [3] * 6}, "contexts must be 6 names"),
        ({"contexts": ["clean", "", *["clean"] * 4]}, "contexts must be 6 names"),
        ({"costs": Costs.of(macs=[1, 2, 2, 3])}, "strictly increasing"),
        ({"costs": Costs.of(macs=[1, 2, 3])}, "one for each of 4 exits, got 3"),
        ({"costs": Costs.of(latency=[1, 2, 3, 4])}, "first cost of the exits must be macs"),
    ],
)
def test_refuses_what_contradicts_itself(changed, message):
    with pytest.raises(PolicyError, match=message):
        ExitTable(**parts(**changed))


@pytest.mark.parametrize("latency", [True, False])
def test_file_gives_the_same_table(tmp_path, latency):
    table = random_table(latency=latency)
    table.save(tmp_path / "table.npz")
    read = load_exit_table(tmp_path / "table.npz")
    assert np.array_equal(read.logits, table.logits)
    assert np.array_equal(read.labels, table.labels)
    assert read.exits == table.exits
    assert np.array_equal(read.costs["macs"], table.costs["macs"])
    assert ("latency" in read.costs) == latency
    assert read.costs.facts == table.costs.facts
    assert not latency or np.array_equal(read.costs["latency"], table.costs["latency"])


def test_contexts_are_kept_in_cuts_and_on_disk(tmp_path):
    names = ["clean", "blur:1", "clean", "blur:2", "clean", "blur:1"]
    table = ExitTable(**parts(contexts=names))
    table.save(tmp_path / "table.npz")
    read = load_exit_table(tmp_path / "table.npz")
    assert read.contexts.tolist() == names
    assert read.truncate(2).contexts.tolist() == names
    assert read.take(np.array([3, 0])).contexts.tolist() == ["blur:2", "clean"]
    split = read.by_context()
    assert list(split) == ["blur:1", "blur:2", "clean"]
    assert np.array_equal(split["blur:1"].logits, table.logits[[1, 5]])
    assert ExitTable(**parts()).by_context() == {}


@pytest.mark.parametrize("content", [b"", b"not a table", b"PK\x03\x04 cut short", None])
def test_another_file_is_an_error(tmp_path, content):
    file = tmp_path / "other.npz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PolicyError, match=r"other\.npz"):
        load_exit_table(file)


def test_a_damaged_file_is_an_error(tmp_path):
    file = tmp_path / "table.npz"
    random_table().save(file)
    data = bytearray(file.read_bytes())
    data[200:260] = bytes(60)
    file.write_bytes(bytes(data))
    with pytest.raises(PolicyError, match=r"table\.npz"):
        load_exit_table(file)


def test_file_of_other_arrays_names_the_missing_one(tmp_path):
    np.savez(tmp_path / "other.npz", logits=np.zeros(3))
    with pytest.raises(PolicyError, match="'labels' is missing"):
        load_exit_table(tmp_path / "other.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(PolicyError, match=r"one\.npy"):
        load_exit_table(tmp_path / "one.npy")


def test_cuts_keep_rows_and_costs():
    table = random_table()
    cut = table.truncate(2)
    assert cut.exits == table.exits[:2]
    assert np.array_equal(cut.costs["macs"], table.costs["macs"][:2])
    assert cut.exit_accuracy() == table.exit_accuracy()[:2]
    some = table.take(np.array([3, 5]))
    assert np.array_equal(some.logits, table.logits[[3, 5]])
    with pytest.raises(PolicyError, match="cannot be truncated"):
        table.truncate(5)
    with pytest.raises(PolicyError, match="at least one sample"):
        table.take(np.zeros(len(table), dtype=bool))


def test_exit_accuracy_is_that_of_a_loop():
    table = random_table(samples=50)
    for k in range(table.num_exits):
        right = [np.argmax(row) == label for row, label in zip(table.logits[:, k], table.labels, strict=True)]
        assert table.exit_accuracy()[k] == sum(right) / 50
