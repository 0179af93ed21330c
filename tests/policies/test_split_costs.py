"""Costs that depend on the split: the best split equals brute force, for curves, points, limits and files."""

from dataclasses import replace

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies import split_costs as split_costs_module
from eenas.policies.costs import Costs
from eenas.policies.curve import common_curve
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.fit import Fitting
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.policies.rule import Rule
from eenas.policies.split_costs import SplitCosts
from tests.policies.tables import random_table

SPLITS = ("", "layer1", "layer2", "final")
NAMES = ("tier_latency", "bytes_sent", "price")


def split_costs(exits=4, seed=0, **more):
    values = np.random.default_rng(seed).uniform(1, 100, (len(SPLITS), len(NAMES), exits))
    values[-1, 1:] = 0.0  # nothing crosses the link
    return SplitCosts(splits=SPLITS, names=NAMES, values=values, **more)


def tiered_table(seed=1, samples=300, **more):
    table = random_table(seed=seed, samples=samples, exits=4)
    return replace(table, costs=Costs(table.costs.facts, table.costs.values, split_costs(4, seed, **more)))


def brute_force(costs, leaving, reachable):
    """Return the split, expected and worst costs that the documented rule chooses, by a loop over the splits."""
    rows = []
    for s, split in enumerate(costs.splits):
        columns = dict(zip(costs.names, costs.values[s], strict=True))
        expected = {name: float(np.dot(leaving, column) / sum(leaving)) for name, column in columns.items()}
        worst = {name: float(max(column[:reachable])) for name, column in columns.items()}
        excess = sum(max(expected[name] / limit - 1, 0) for name, limit in costs.expected.items())
        excess += sum(max(worst[name] / limit - 1, 0) for name, limit in costs.worst.items())
        others = [expected[name] for name in costs.names if name != costs.by]
        rows.append((round(excess, 9), expected[costs.by], *others, -s, split, expected, worst))
    return min(rows, key=lambda row: row[:-3])[-3:]


LIMITS = (
    {},
    {"by": "price"},
    {"expected": {"bytes_sent": 40.0}},
    {"worst": {"bytes_sent": 60.0}, "by": "tier_latency"},
    {"expected": {"bytes_sent": 5.0, "price": 4.0}, "worst": {"tier_latency": 10.0}},
)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("seed", range(4))
def test_the_best_split_of_many_policies_is_that_of_a_loop(limits, seed):
    costs = split_costs(seed=seed, **limits)
    leaving = (50 * np.random.default_rng(seed).dirichlet([0.2] * 4, 200)).astype(np.int64) + np.array([0, 0, 0, 1])
    index, means = costs.best(leaving)
    found = [brute_force(costs, row, 4) for row in leaving]
    assert [costs.splits[each] for each in index] == [split for split, _, _ in found]
    assert np.allclose(means.T, [[expected[name] for name in NAMES] for _, expected, _ in found])
    assert len({split for split, _, _ in found}) > 1 or limits


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("kind", ["threshold", "patience", "vote"])
def test_every_operating_point_has_the_split_of_brute_force(limits, kind):
    table = tiered_table(**limits)
    points = Fitting(table, Rule(kind=kind)).operating_points(tiered_table(seed=1, samples=200, **limits))
    assert len(points) > 3
    for point in points:
        leaving = np.rint(np.array(point.shares) * 200)
        split, expected, worst = brute_force(table.costs.splits, leaving, point.policy.last_reachable + 1)
        assert point.split == split
        for name in NAMES:
            assert point.expected[name] == pytest.approx(expected[name])
            assert point.worst[name] == pytest.approx(worst[name])


def test_of_equal_splits_the_last_one_is_taken():
    values = np.ones((4, 3, 2))
    costs = SplitCosts(splits=SPLITS, names=NAMES, values=values)
    assert costs.best(np.array([[5, 0]]))[0].tolist() == [3]
    values[3] = 2.0
    assert SplitCosts(splits=SPLITS, names=NAMES, values=values).best(np.array([[5, 0]]))[0].tolist() == [2]


def test_many_policies_are_compared_in_blocks(monkeypatch):
    costs = split_costs(seed=5)
    leaving = (50 * np.random.default_rng(5).dirichlet([0.2] * 4, 100)).astype(np.int64) + 1
    whole = costs.best(leaving)
    monkeypatch.setattr(split_costs_module, "_MOST_AT_ONCE", 7 * len(SPLITS) * len(NAMES))
    parts = costs.best(leaving)
    assert (whole[0] == parts[0]).all()
    assert (whole[1] == parts[1]).all()


def test_curves_have_the_costs_of_their_points():
    table = tiered_table()
    curve = common_curve(table)
    assert curve.costs.names == ("macs", *(name for name in table.costs.names if name != "macs"), *NAMES)
    for index in (0, len(curve) // 2, len(curve) - 1):
        split = table.costs.best_split(curve.leaving[index])
        mean = (curve.leaving[index] * table.costs.under(split)["tier_latency"]).sum() / len(table)
        assert curve.costs["tier_latency"][index] == pytest.approx(mean)


def test_policies_are_fitted_within_limits_on_costs_of_tiers():
    table = tiered_table(seed=3)
    curve = common_curve(table)
    limit = float(np.median(curve.costs["tier_latency"]))
    best = curve.accuracy[curve.costs["tier_latency"] <= limit].max()
    for per_exit in (False, True):
        policy = Fitting(table, Rule(per_exit=per_exit)).policy({"tier_latency": limit})
        point = evaluate(policy, table)
        assert policy.within_budget
        assert point.expected["tier_latency"] <= limit * (1 + 1e-9)
        assert point.accuracy >= best - 1e-9


def test_worst_case_limits_bound_the_last_exit():
    costs = split_costs(worst={"bytes_sent": 60.0})
    held = costs.values[:, 1] <= 60.0
    expected = max(int(np.argmin(np.append(row, False))) for row in held) - 1
    assert costs.last_allowed() == expected == 3
    only_the_cloud = replace(costs, splits=SPLITS[:1], values=costs.values[:1], worst={"bytes_sent": 1e-3})
    assert only_the_cloud.last_allowed() == -1


def test_points_and_tables_are_read_as_written(tmp_path):
    table = tiered_table(by="price", expected={"price": 50.0})
    table.save(tmp_path / "table.npz")
    again = load_exit_table(tmp_path / "table.npz")
    assert (again.costs.splits.values == table.costs.splits.values).all()
    assert again.costs.splits.facts_table() == table.costs.splits.facts_table()
    point = evaluate(Fitting(table).policy(), table)
    assert OperatingPoint.from_table(point.to_table()) == point
    several = replace(point, split=("layer1", "final"))
    assert several.to_table()["split"] == ["layer1", "final"]
    assert OperatingPoint.from_table(several.to_table()) == several
    for broken in (3, [], [1], {"a": 1}):
        with pytest.raises(PolicyError, match="a split is the name of a cut point, or a list of names"):
            OperatingPoint.from_table({**point.to_table(), "split": broken})


def test_without_tiers_nothing_changes():
    table = random_table(samples=50, exits=3)
    point = evaluate(ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=(0.5, 0.5)), table)
    assert point.split is None
    assert "split" not in point.to_table()
    assert table.costs.under(None) is table.costs


def test_costs_of_splits_that_do_not_fit_are_refused():
    costs = split_costs()
    with pytest.raises(PolicyError, match="the split 'layer9' is not among those of this network"):
        costs.under("layer9")
    with pytest.raises(PolicyError, match="no split has the cost 'energy', only tier_latency, bytes_sent, price"):
        split_costs(by="energy")
    with pytest.raises(PolicyError, match=r"must be \[4 splits, 3 costs, exits\]"):
        replace(costs, values=np.ones((3, 3, 4)))
    with pytest.raises(PolicyError, match="finite numbers from 0 up"):
        replace(costs, values=-costs.values)
    table = random_table(samples=50, exits=3)
    with pytest.raises(PolicyError, match="costs of 3 exits need as many under each split"):
        Costs(table.costs.facts, table.costs.values, costs)
