"""Thresholds for each exit: exact in one coordinate, never worse where fitted, and kept only when they generalise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eenas.policies.costs import Costs
from eenas.policies.curve import common_curve, fit_common
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds import per_exit
from eenas.policies.kinds.per_exit import fit_per_exit
from eenas.policies.operating_point import evaluate
from tests.policies.tables import random_table, slow_leave, tables


def boasting_table(samples, seed=0):
    """The first exit is sure of everything and right by chance; the second is right where it is sure."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(4, size=samples)
    logits = generator.normal(size=(samples, 3, 4))
    logits[np.arange(samples), 0, generator.integers(4, size=samples)] += 12 + generator.normal(size=samples)
    sure = generator.random(samples) < 0.5
    logits[np.arange(samples)[sure], 1, labels[sure]] += 6
    logits[np.arange(samples), 2, labels] += 9
    return ExitTable(logits=logits, labels=labels, exits=("a", "b", "final"), costs=Costs.of(macs=[1, 2, 10]))


def slow_coordinate(table, ascent, j, limits, price):
    """The best value of accuracy - price * cost for exit j, by trying every score as its threshold."""
    best = -np.inf
    for threshold in [np.inf, 0.0, *ascent.scores[:, j]]:
        tried = limits.copy()
        tried[j] = threshold
        where = [slow_leave(row, tried) for row in ascent.scores]
        if 0 < sum(k == j for k in where) < per_exit.MINIMUM_SAMPLES:
            continue
        right = np.mean([table.correct()[i, k] for i, k in enumerate(where)])
        best = max(best, right - price * np.mean([ascent.costs.sum(axis=0)[k] for k in where]))
    return best


def value(table, ascent, limits, price):
    where = [slow_leave(row, limits) for row in ascent.scores]
    right = np.mean([table.correct()[i, k] for i, k in enumerate(where)])
    return right - price * np.mean([ascent.costs.sum(axis=0)[k] for k in where])


@settings(max_examples=60)
@given(tables(min_exits=2), st.data(), st.sampled_from([0.0, 0.3, 2.0]), st.sampled_from([1, 3]))
def test_one_coordinate_is_the_best_that_a_loop_finds(table, data, price, minimum):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(per_exit, "MINIMUM_SAMPLES", minimum)
        ascent = per_exit._Ascent(table, np.ones(table.num_exits), "max_softmax", {})
        limits = np.array(data.draw(st.tuples(*[st.sampled_from([np.inf, 0.9, 0.6])] * (table.num_exits - 1))))
        j = data.draw(st.integers(0, table.num_exits - 2))
        best = slow_coordinate(table, ascent, j, limits, price)
        limits[j] = ascent._coordinate(j, limits, ascent._at_price(price))
        assert value(table, ascent, limits, price) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.4, 0.6, 0.8])
def test_where_fitted_it_holds_the_budget_and_beats_the_common_one(seed, share):
    table = random_table(samples=1500, seed=seed)
    budget = share * float(table.costs["macs"][-1])
    ascent = per_exit._Ascent(table, np.ones(4), "max_softmax", {"macs": budget})
    limits = ascent.fit()
    common = evaluate(fit_common(table, temperatures=np.ones(4), within={"macs": budget}), table)
    if limits is not None:
        point = evaluate(per_exit._policy(limits, np.ones(4), "max_softmax"), table)
        assert point.accuracy > common.accuracy
        assert point.expected["macs"] <= budget * (1 + 1e-8)
        for k, threshold in enumerate(point.policy.thresholds[: point.policy.last_reachable + 1]):
            assert threshold is None or point.shares[k] * len(table) >= per_exit.MINIMUM_SAMPLES


def test_kept_where_one_threshold_cannot_work():
    table, fresh = boasting_table(2000), boasting_table(2000, seed=1)
    common = fit_common(table, temperatures=np.ones(3), within={"macs": 7})
    own = fit_per_exit(table, temperatures=np.ones(3), within={"macs": 7})
    assert own.thresholds[0] != own.thresholds[1]
    point = evaluate(own, fresh)
    assert point.accuracy > evaluate(common, fresh).accuracy + 0.1
    assert point.expected["macs"] < 7.5


def test_the_common_one_stays_where_own_thresholds_lose(monkeypatch):
    table = random_table(samples=900)
    budget = 0.6 * float(table.costs["macs"][-1])
    monkeypatch.setattr(per_exit, "_wins", lambda *_, **__: False)
    assert fit_per_exit(table, within={"macs": budget}) == fit_common(table, within={"macs": budget})


def test_own_thresholds_lose_on_noise():
    """Every sample's exits say the same, so that thresholds for each exit can only fit noise."""
    kept = 0
    for seed in range(6):
        generator = np.random.default_rng(seed)
        labels = generator.integers(3, size=900)
        logits = np.repeat(generator.normal(size=(900, 1, 3)), 4, axis=1)
        logits[np.arange(900), :, labels] += 1
        table = ExitTable(logits=logits, labels=labels, exits=tuple("abcd"), costs=Costs.of(macs=[1, 2, 3, 4]))
        kept += fit_per_exit(table, within={"macs": 2.5}) != fit_common(table, within={"macs": 2.5})
    assert kept == 0


def test_a_win_is_more_right_answers_at_no_more_cost():
    table = boasting_table(400)
    assert per_exit._wins(np.array([np.inf, 0.8]), table, np.ones(3), "max_softmax", by="macs")
    shared = float(common_curve(table, np.ones(3)).thresholds[100])
    assert not per_exit._wins(np.full(2, shared), table, np.ones(3), "max_softmax", by="macs")


@pytest.mark.parametrize("table", [boasting_table(299), random_table(samples=900, exits=2), random_table(exits=1)])
def test_few_samples_and_few_exits_get_the_common_threshold(table):
    budget = 0.7 * float(table.costs["macs"][-1])
    assert fit_per_exit(table, within={"macs": budget}) == fit_common(table, within={"macs": budget})


def test_limits_below_what_is_reachable_say_so():
    table = boasting_table(600)
    policy = fit_per_exit(table, within={"macs": 0.5})
    assert not policy.within_budget
    assert evaluate(policy, table).expected["macs"] == 1
    assert not fit_per_exit(table, within={"macs": 0}).within_budget


def test_a_limit_on_latency_holds_too():
    table = random_table(samples=1000)
    limits = per_exit._Ascent(table, np.ones(4), "margin", {"macs": 5e6, "latency": 4.0}).fit()
    for policy in (fit_per_exit(table, score="margin", within={"macs": 5e6, "latency": 4.0}), fit_common(table)):
        assert policy.within_budget
    if limits is not None:
        point = evaluate(per_exit._policy(limits, np.ones(4), "margin"), table)
        assert point.expected["macs"] <= 5e6 * (1 + 1e-8)
        assert point.expected["latency"] <= 4.0 * (1 + 1e-8)
    assert fit_per_exit(table, within={"latency": 4.0}).within_budget


def test_the_same_seed_gives_the_same_policy():
    table = boasting_table(800)
    assert fit_per_exit(table, within={"macs": 6}, seed=3) == fit_per_exit(table, within={"macs": 6}, seed=3)
