"""One entry for all kinds: the best policy within a budget, points over all budgets, ensembles kept where they win."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eenas.designs.design import PolicyChoice
from eenas.errors import PolicyError
from eenas.policies.candidates import candidates
from eenas.policies.costs import Costs
from eenas.policies.curve import common_curve, fit_common
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import Fitting, declined, fit, fit_at_shares, kept_ensemble, operating_points
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.patience_confidence import PatienceConfidencePolicy
from eenas.policies.kinds.per_exit import fit_per_exit
from eenas.policies.kinds.registry import FITTED
from eenas.policies.kinds.vote import VotePolicy
from eenas.policies.learned.learned_kinds import LEARNED
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.policies.rule import Rule
from tests.policies.tables import random_table, tables

SIMPLE = [kind for kind in FITTED if kind not in LEARNED]
"""The kinds without training; the others are in test_learned_fit."""

RULES = [
    Rule(kind=kind, ensemble=ensemble, final_rule=final_rule)
    for kind, ensemble, final_rule in itertools.product(SIMPLE, ("none", "geometric"), ("last", "most_confident"))
]


def name_of(rule):
    return f"{rule.kind} {rule.ensemble} {rule.final_rule}"


def complementary_table(samples=1200, seed=0):
    """Five exits that err independently of one another, so that a product of them is far better than any."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(4, size=samples)
    logits = generator.normal(size=(samples, 5, 4))
    logits[np.arange(samples), :, labels] += 1.0
    return ExitTable(
        logits=logits.astype(np.float32), labels=labels, exits=tuple("abcdf"), costs=Costs.of(macs=np.arange(1.0, 6.0))
    )


def every_policy(kind, exits, scores):
    """All policies of a kind that may differ, slowly: every value of every parameter."""
    common = {"score": "max_softmax", "temperatures": (1.0,) * exits}
    values = [None, *np.unique(scores).tolist(), 0.0]
    if kind == "patience":
        return [PatiencePolicy(exits=exits, patience=patience) for patience in range(exits)]
    if kind == "vote":
        ratios = [None, *sorted({a / b for b in range(1, exits) for a in range(b + 1)}), 0.0]
        return [
            VotePolicy(exits=exits, ratio=ratio, least=least)
            for ratio, least in itertools.product(ratios, range(1, max(1, exits - 1) + 1))
        ]
    return [
        PatienceConfidencePolicy(**common, threshold=value, patience=patience)
        for value, patience in itertools.product(values, range(1, max(1, exits - 1) + 1))
    ]


@settings(max_examples=40)
@given(tables(), st.sampled_from(["patience", "patience_confidence", "vote"]))
def test_candidates_are_all_that_a_kind_can_do(table, kind):
    exits = table.num_exits
    shared = common_curve(table, np.ones(exits))
    found = candidates(kind, table, (1.0,) * exits, "max_softmax")
    points = [evaluate(found.make(index, True), table) for index in range(len(found.macs))]
    np.testing.assert_allclose([point.accuracy for point in points], found.accuracy)
    np.testing.assert_allclose([point.expected["macs"] for point in points], found.macs)
    np.testing.assert_allclose([point.expected["latency"] for point in points], found.costs["latency"])
    assert (np.diff(found.macs) >= 0).all()
    policies = every_policy(kind, exits, shared.thresholds[np.isfinite(shared.thresholds)])
    exact = {(round(p.accuracy, 9), round(p.expected["macs"], 6)) for p in points}
    assert {
        (round(p.accuracy, 9), round(p.expected["macs"], 6)) for p in (evaluate(policy, table) for policy in policies)
    } <= exact


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_every_rule_is_fitted_within_its_budget_and_evaluated_as_it_is(rule):
    calibration, evaluation = random_table(samples=400, seed=1), random_table(samples=300, seed=2)
    fitting = Fitting(calibration, rule)
    budget = float(calibration.costs["macs"][-1]) * 0.7
    policy = fitting.policy(within={"macs": budget})
    assert policy == fit(calibration, rule, within={"macs": budget})
    assert policy.within_budget
    assert evaluate(policy, calibration).expected["macs"] <= budget * (1 + 1e-9)
    points = fitting.operating_points(evaluation, limit=12)
    assert 1 <= len(points) <= 12
    assert list(points) == [evaluate(point.policy, evaluation) for point in points]
    assert all(OperatingPoint.from_table(point.to_table()) == point for point in points)
    spent = [evaluate(point.policy, calibration).expected["macs"] for point in points]
    assert spent == sorted(spent)
    assert max(evaluate(point.policy, calibration).accuracy for point in points) == pytest.approx(
        evaluate(fitting.policy(), calibration).accuracy
    )
    nothing, some, everything = fitting.at_shares(evaluation, float(calibration.costs["macs"][-1]), (0.01, 0.7, 1.0))
    assert nothing is None
    assert some == evaluate(policy, evaluation)
    assert everything is not None
    assert isinstance(policy, MostConfidentPolicy | GeometricPolicy) or rule.final_rule == "last"


def test_patience_has_few_points():
    table = random_table(samples=500, exits=4)
    points = operating_points(table, table, Rule(kind="patience"))
    accuracy = candidates("patience", table, (), "max_softmax").accuracy
    better = [p for p in range(4) if p == 0 or accuracy[p] > accuracy[:p].max()]
    assert [point.policy.patience for point in points] == better
    assert len(better) >= 3


def test_a_kind_that_knows_more_is_never_worse_where_it_is_fitted():
    table = random_table(samples=800)
    for share in (0.5, 0.6, 0.8):
        budget = share * float(table.costs["macs"][-1])
        one = evaluate(fit(table, Rule(kind="patience_confidence"), within={"macs": budget}), table)
        assert one.accuracy >= evaluate(fit(table, within={"macs": budget}), table).accuracy
        voted = evaluate(fit(table, Rule(kind="vote"), within={"macs": budget}), table)
        assert voted.accuracy >= table.exit_accuracy()[0]


def test_the_default_is_the_common_threshold():
    table = random_table(samples=300)
    assert fit(table, within={"macs": 5e6}) == fit_common(table, within={"macs": 5e6})
    assert fit(table, Rule(score="margin"), within={"latency": 5}) == fit_common(
        table, score="margin", within={"latency": 5}
    )
    assert fit(table, min_accuracy=0.5) == fit_common(table, min_accuracy=0.5)
    own = fit(table, Rule(per_exit=True, score="entropy"), within={"macs": 5e6})
    assert own == fit_per_exit(table, score="entropy", within={"macs": 5e6})
    assert not fit(table, Rule(kind="vote", final_rule="most_confident"), within={"macs": 1}).within_budget


def test_a_choice_with_a_target_is_a_rule():
    table = random_table(samples=300)
    choice = PolicyChoice(kind="vote", score="margin", per_exit=True, target_macs=0.3)
    assert Rule.of(choice) == Rule(kind="vote", score="margin")
    assert isinstance(fit(table, choice), VotePolicy)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "most_confident"}, "policy.kind: unknown value 'most_confident'"),
        ({"ensemble": "arithmetic"}, "policy.ensemble: unknown value"),
        ({"final_rule": "first"}, "policy.final_rule: unknown.*known"),
        ({"score": "luck"}, "policy.score: unknown value"),
        ({"per_exit": 1}, "per_exit must be true or false"),
    ],
)
def test_rules_that_nobody_can_fit_are_refused(values, message):
    with pytest.raises(PolicyError, match=message):
        Rule(**values)


def test_an_accuracy_is_no_limit_for_thresholds_of_their_own():
    with pytest.raises(PolicyError, match="fit a common one"):
        fit(random_table(), Rule(per_exit=True), min_accuracy=0.5)


@pytest.mark.parametrize("kind", SIMPLE)
def test_an_ensemble_is_kept_where_it_wins(kind):
    table, other = complementary_table(), complementary_table(seed=1)
    rule = Rule(kind=kind, ensemble="geometric")
    policy = fit(table, rule, within={"macs": 4.0})
    assert isinstance(policy, GeometricPolicy)
    assert declined(rule, policy) == ()
    alone = fit(table, Rule(kind=kind), within={"macs": 4.0})
    assert evaluate(policy, other).accuracy > evaluate(alone, other).accuracy + 0.02


def test_an_ensemble_that_does_not_win_is_left_out_and_said():
    generator = np.random.default_rng(0)
    labels = generator.integers(4, size=400)
    logits = generator.normal(size=(400, 3, 4))
    logits[np.arange(400), 2, labels] += 20
    table = ExitTable(
        logits=logits.astype(np.float32), labels=labels, exits=("a", "b", "f"), costs=Costs.of(macs=np.arange(1.0, 4.0))
    )
    rule = Rule(ensemble="geometric")
    policy = fit(table, rule, within={"macs": 2.5})
    assert policy == fit(table, within={"macs": 2.5})
    assert "ensemble of exits did not win" in declined(rule, policy)[0]


def test_few_samples_and_one_exit_have_no_ensemble():
    rule = Rule(ensemble="geometric")
    assert kept_ensemble(complementary_table(samples=98), rule) is None
    assert kept_ensemble(random_table(samples=400, exits=1), rule) is None
    assert kept_ensemble(complementary_table(samples=400), Rule()) is None
    assert declined(rule, fit(random_table(exits=1), rule)) == ()


def test_thresholds_that_are_shared_after_all_are_said():
    table = random_table(samples=300)
    rule = Rule(per_exit=True, final_rule="most_confident")
    policy = fit(table, rule, within={"macs": 5e6})
    assert "share one threshold" in declined(rule, policy)[0]
    assert declined(Rule(), fit(table)) == ()


@pytest.mark.parametrize("kind", ["max_softmax", "entropy", "margin"])
def test_points_are_the_best_of_the_curve_within_even_budgets(kind):
    calibration, validation = random_table(samples=600, seed=1), random_table(samples=500, seed=2)
    points = operating_points(calibration, validation, Rule(score=kind), limit=20)
    curve = common_curve(calibration, score=kind)
    policies = [
        fit_common(calibration, score=kind, within={"macs": float(budget)})
        for budget in np.linspace(curve.costs["macs"][0], curve.costs["macs"][-1], 20)
    ]
    assert [point.policy for point in points] == list(dict.fromkeys(policies))
    assert list(points) == [evaluate(point.policy, validation) for point in points]
    assert 2 <= len(points) <= 20
    assert points[0].shares[0] == 1


def test_limits_of_points():
    table = random_table(samples=300)
    assert len(operating_points(table, table, limit=1)) == 1
    with pytest.raises(PolicyError, match="at least 1"):
        operating_points(table, table, limit=0)


def test_one_exit_has_one_point():
    table = random_table(exits=1)
    (point,) = operating_points(table, table)
    assert point.accuracy == table.exit_accuracy()[0]
    assert point.shares == (1.0,)
    (at,) = fit_at_shares(table, table, float(table.costs["macs"][0]), (1.0,))
    assert at == point
    assert operating_points(table, table, Rule(per_exit=True)) == (point,)


def test_thresholds_of_their_own_in_points():
    table = random_table(samples=1000)
    points = operating_points(table, table, Rule(per_exit=True), limit=4)
    assert 1 <= len(points) <= 4
    macs = [point.expected["macs"] for point in points]
    assert macs == sorted(macs)


def test_shares_of_the_backbone():
    calibration, evaluation = random_table(samples=600, seed=1), random_table(samples=500, seed=2)
    backbone = float(calibration.costs["macs"][-1]) * 0.9
    points = fit_at_shares(calibration, evaluation, backbone, (0.01, 0.5, 0.75, 1.0))
    assert points[0] is None
    for share, point in zip((0.5, 0.75, 1.0), points[1:], strict=True):
        policy = fit_common(calibration, within={"macs": share * backbone})
        assert point == evaluate(policy, evaluation)
        assert evaluate(policy, calibration).expected["macs"] <= share * backbone * (1 + 1e-9)
    (own,) = fit_at_shares(calibration, evaluation, backbone, (0.75,), Rule(per_exit=True))
    assert own is not None


def test_tables_of_different_networks_are_refused():
    with pytest.raises(PolicyError, match="same exits"):
        operating_points(random_table(), random_table(exits=3))
    with pytest.raises(PolicyError, match="same exits"):
        fit_at_shares(random_table(), random_table(exits=3), 1.0)
    with pytest.raises(PolicyError, match="must be positive"):
        fit_at_shares(random_table(), random_table(), 0.0)
