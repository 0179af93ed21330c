"""Operating points: what a policy does on a table, against a loop; and its table."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas import specs
from eenas.errors import PolicyError, SpecError
from eenas.policies.costs import Costs
from eenas.policies.curve import fit_common
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint, evaluate
from tests.policies.tables import random_table, tables

thresholds = st.one_of(st.none(), st.sampled_from([0.0, 0.5]), st.floats(0, 1))


@given(tables(), st.data())
def test_equals_a_loop_over_samples(table, data):
    policy = ThresholdPolicy(
        score="max_softmax",
        temperatures=(1.0,) * table.num_exits,
        thresholds=data.draw(st.tuples(*[thresholds] * (table.num_exits - 1))),
    )
    point = evaluate(policy, table)
    where = policy.apply(table).exit_index.tolist()
    right = [int(table.logits[i, k].argmax()) == table.labels[i] for i, k in enumerate(where)]
    assert point.accuracy == pytest.approx(np.mean(right))
    assert point.expected["macs"] == pytest.approx(np.mean([table.costs["macs"][k] for k in where]))
    assert point.expected["latency"] == pytest.approx(np.mean([table.costs["latency"][k] for k in where]))
    assert sum(point.shares) == pytest.approx(1)
    for k in range(table.num_exits):
        here = [r for r, at in zip(right, where, strict=True) if at == k]
        assert point.shares[k] == pytest.approx(len(here) / len(table))
        assert point.exit_accuracy[k] == (pytest.approx(np.mean(here)) if here else None)
    assert point.worst["macs"] >= max(table.costs["macs"][k] for k in where)
    text = json.dumps(specs.to_table(point))
    assert specs.from_table(OperatingPoint, json.loads(text)) == point


def test_the_worst_case_is_the_final_exit_whenever_somebody_may_reach_it():
    table = random_table()
    for limits, worst in (((1e-9, 1e-9, 1e-9), 3), ((0.0, None, None), 0), ((None, 0.0, 0.4), 1), ((None,) * 3, 3)):
        point = evaluate(ThresholdPolicy(score="margin", temperatures=(1,) * 4, thresholds=limits), table)
        assert point.worst["macs"] == table.costs["macs"][worst]
        assert point.worst["latency"] == table.costs["latency"][worst]


def test_a_noisy_latency_that_falls_is_still_covered_by_the_worst_case():
    table = random_table(exits=2)
    table = ExitTable(
        logits=table.logits,
        labels=table.labels,
        exits=table.exits,
        costs=Costs.of(macs=table.costs["macs"], latency=[5.0, 4.0]),
    )
    policy = ThresholdPolicy(score="margin", temperatures=(1, 1), thresholds=(0.5,))
    assert evaluate(policy, table).worst["latency"] == 5.0


@given(tables(), st.lists(st.floats(0, 1), min_size=3, max_size=3), st.data())
def test_lowering_a_threshold_never_costs_more(table, values, data):
    if table.num_exits == 1:
        return
    before = values[: table.num_exits - 1]
    k = data.draw(st.integers(0, table.num_exits - 2))
    after = [*before[:k], before[k] * 0.8, *before[k + 1 :]]
    costs = [
        evaluate(
            ThresholdPolicy(score="entropy", temperatures=(1.0,) * table.num_exits, thresholds=tuple(chosen)), table
        ).expected["macs"]
        for chosen in (before, after)
    ]
    assert costs[1] <= costs[0]


def test_without_latency():
    table = random_table(latency=False)
    point = evaluate(fit_common(table), table)
    assert "latency" not in point.expected
    assert "latency" not in point.worst
    assert OperatingPoint.from_table(json.loads(json.dumps(point.to_table()))) == point


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"shares": [0.5, 0.1]}, PolicyError, "sum to one"),
        ({"shares": [1.0]}, PolicyError, "for each exit"),
        ({"shares": 1.0}, SpecError, "must be a list"),
        ({"accuracy": "high"}, PolicyError, "must be numbers"),
        ({"exit_accuracy": [None, "high"]}, PolicyError, "numbers or null"),
        ({"accurracy": 1}, SpecError, "nearest: 'accuracy'"),
        ({"policy": {"score": "margin"}}, SpecError, "'temperatures' is missing"),
    ],
)
def test_bad_tables_are_named(changed, error, message):
    table = random_table(exits=2)
    good = evaluate(fit_common(table), table).to_table()
    with pytest.raises(error, match=message):
        OperatingPoint.from_table({**good, **changed})


def test_missing_keys_are_named():
    with pytest.raises(SpecError, match=r"report\.json.*'policy' is missing"):
        OperatingPoint.from_table({}, file="report.json")
    with pytest.raises(SpecError, match="must be a table"):
        OperatingPoint.from_table("point")
