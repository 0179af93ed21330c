"""The plain backbone in a few numbers: costs by name, tables as every eenas wrote them."""

from dataclasses import replace

import pytest

from eenas.errors import SpecError
from eenas.networks.backbone_facts import BackboneFacts
from eenas.specs import from_table, to_table

FACTS = BackboneFacts(
    name="net", weights="own", accuracy=0.9, parameters=100, costs={"macs": 1000, "latency": 5.0, "energy": 2.0}
)
TABLE = {
    "name": "net",
    "weights": "own",
    "accuracy": 0.9,
    "parameters": 100,
    "macs": 1000,
    "latency_ms": 5.0,
    "energy": 2.0,
}


def test_it_comes_back_from_its_table():
    assert to_table(FACTS) == TABLE
    assert from_table(BackboneFacts, TABLE) == FACTS
    assert next(iter(from_table(BackboneFacts, dict(reversed(TABLE.items()))).costs)) == "macs"


def test_a_latency_that_nobody_measured_is_not_there():
    found = from_table(BackboneFacts, {**TABLE, "latency_ms": None})
    assert "latency" not in found.costs
    assert found.share("latency", 2.0) is None
    assert found.share("macs", 500) == 0.5
    assert FACTS.share("energy", None) is None
    assert replace(FACTS, costs={"macs": 1, "energy": 0.0}).share("energy", 1.0) is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"macs": None}, "'macs' is missing"),
        ({"macs": "many"}, "macs must be a finite number"),
        ({"energy": float("nan")}, "energy must be a finite number"),
        ({"worst_energy": 1.0}, "unknown key 'worst_energy'"),
        ({"parameters": 1.5}, r"\[parameters\]: must be int"),
        ({"name": 3}, r"\[name\]: must be str"),
        ({"accuracy": True}, r"\[accuracy\]: must be float"),
    ],
)
def test_tables_that_are_none(changed, said):
    with pytest.raises(SpecError, match=said):
        from_table(BackboneFacts, {**TABLE, **changed})
    with pytest.raises(SpecError, match="'weights' is missing"):
        from_table(BackboneFacts, {name: each for name, each in TABLE.items() if name != "weights"})
