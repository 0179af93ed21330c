"""Costs by name: columns, means, names that are taken, units that no page could show."""

import pickle

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.costs import KNOWN, CostFacts, Costs, CostValues, cost_of, key_of, name_fault
from eenas.policies.exit_table_file import load_exit_table
from tests.policies.tables import random_table

ENERGY = CostFacts(name="energy", unit="mJ", provenance="a wattmeter")


def both():
    known = Costs.of(macs=[1, 2, 4], latency=[0.5, 0.4, 1.0])
    return Costs((*known.facts, ENERGY), np.concatenate([known.values, [[3.0, 1.0, 2.0]]]))


def test_columns_by_name():
    costs = both()
    assert costs.names == ("macs", "latency", "energy")
    assert costs["energy"].tolist() == [3.0, 1.0, 2.0]
    assert costs.facts == (*KNOWN.values(), ENERGY)
    assert "energy" in costs
    assert costs.get("bytes_sent") is None
    assert costs.first(2)["energy"].tolist() == [3.0, 1.0]
    assert costs.without("latency").names == ("macs", "energy")
    assert costs.at(np.array([2, 0]))["macs"].tolist() == [4.0, 1.0]
    assert costs.of_exit(-1) == {"macs": 4.0, "latency": 1.0, "energy": 2.0}
    assert costs.replacing("latency", [1, 2, 3])["latency"].tolist() == [1.0, 2.0, 3.0]
    assert costs.replacing("latency", None).names == ("macs", "energy")
    with pytest.raises(PolicyError, match="the cost 'enrgy' is not known here; nearest: 'energy'"):
        costs["enrgy"]


def test_means_are_those_of_a_loop():
    leaving = np.array([[3, 0, 1], [0, 2, 2]])
    found = both().mean(leaving)
    for row, name in enumerate(found.names):
        column = both()[name]
        expected = [sum(n * c for n, c in zip(counts, column, strict=True)) / sum(counts) for counts in leaving]
        assert found.values[row] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"macs": [1, float("nan")]}, "macs must be finite numbers from 0 up"),
        ({"macs": [1, 2], "energy": [1, float("inf")]}, "energy must be finite"),
        ({"macs": [1, 2], "energy": [1, -1]}, "energy must be finite numbers from 0 up"),
        ({"macs": [1, 2], "energy": [1]}, "energy must be finite numbers from 0 up, one for each exit"),
        ({"macs": [[1, 2]]}, "macs must be finite numbers"),
        ({"macs": ["a", "b"]}, "macs must be finite numbers"),
        ({"macs": [1, 2], "accuracy": [1, 2]}, "cannot be called 'accuracy'"),
    ],
)
def test_what_is_no_cost(columns, said):
    with pytest.raises(PolicyError, match=said):
        Costs.of(columns)


def test_a_name_twice_is_refused():
    with pytest.raises(PolicyError, match="different names"):
        Costs((ENERGY, ENERGY), np.ones((2, 3)))


@pytest.mark.parametrize("name", ["energy", "bytes_sent", "co2", "e"])
def test_names_that_may_be(name):
    assert name_fault(name) is None
    assert cost_of(key_of(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Energy",
        "2fast",
        "a-b",
        "x" * 41,
        "accuracy",
        "worst_macs",
        "max_energy",
        "macs_share",
        "latency_ms",
        "kind",
    ],
)
def test_names_that_may_not_be(name):
    with pytest.raises(PolicyError, match="cannot be called"):
        CostFacts(name=name)


@pytest.mark.parametrize("unit", ["<b>J</b>", "m|J", "J" * 21, "m\nJ", "`J`", "[J]", "$(x)<"])
def test_units_that_a_page_could_not_show(unit):
    with pytest.raises(PolicyError, match="the unit of energy must be"):
        CostFacts(name="energy", unit=unit)


@pytest.mark.parametrize("unit", ["", "mJ", "µWh", "kB/s", "g CO₂", "%", "€", "m²·K"])
def test_units_that_may_be(unit):
    assert CostFacts(name="energy", unit=unit).unit == unit


def test_values_are_equal_and_hashed_by_name():
    one, other = CostValues({"macs": 1.0, "energy": 2.0}), CostValues({"energy": 2.0, "macs": 1.0})
    assert one == other == {"macs": 1.0, "energy": 2.0}
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one
    assert list(one) == ["macs", "energy"]


def test_a_file_keeps_every_column_and_what_it_is(tmp_path):
    from dataclasses import replace

    table = random_table()
    energy = np.linspace(3.0, 1.0, table.num_exits)
    costs = Costs((*table.costs.facts, ENERGY), np.concatenate([table.costs.values, [energy]]))
    replace(table, costs=costs).save(tmp_path / "table.npz")
    read = load_exit_table(tmp_path / "table.npz").costs
    assert read.facts == costs.facts
    assert np.array_equal(read.values, costs.values)
    with np.load(tmp_path / "table.npz") as arrays:
        assert {"macs", "latency_ms"} <= set(arrays.files), "as every eenas has read them"
