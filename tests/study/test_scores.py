"""A trial's scores: the point at the drawn target, objectives and constraints."""

from dataclasses import replace

import numpy as np
import pytest

from eenas.branches.fc import Fc
from eenas.designs.design import Placed, PolicyChoice
from eenas.networks.exit_costs import ExitCosts
from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.right_answers import unpack
from eenas.study.settings.limits import Limits
from eenas.study.trials.scores import score_tables
from tests.smallest_networks import small_design

MACS, MS = np.array([40.0, 110.0]), np.array([1.0, 3.0])


def table(seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(3, size=600)
    logits = generator.normal(size=(600, 2, 3)).astype(np.float32)
    logits[np.arange(600), 0, labels] += 1.5
    logits[np.arange(600), 1, labels] += 3.0
    return ExitTable(logits=logits, labels=labels, exits=("a", "final"), costs=Costs.of(macs=MACS, latency=MS))


def three_exits(seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(3, size=600)
    logits = generator.normal(size=(600, 3, 3)).astype(np.float32)
    for k, strength in enumerate((1.0, 2.0, 3.0)):
        logits[np.arange(600), k, labels] += strength
    macs, ms = np.array([40.0, 70.0, 110.0]), np.array([1.0, 2.0, 3.0])
    return ExitTable(logits=logits, labels=labels, exits=("a", "b", "final"), costs=Costs.of(macs=macs, latency=ms))


TABLES = {"calibration": table(0), "validation": table(1)}


def scores(target=0.6, constraints=None, **policy):
    design = small_design(Placed("a", Fc()), num_classes=3, policy=PolicyChoice(target_macs=target, **policy))
    return score_tables(
        design, TABLES, ExitCosts(Costs.of(macs=MACS, latency=MS), 1000), constraints or Limits(), backbone_macs=100.0
    )


@pytest.mark.parametrize("target", [0.45, 0.6, 0.9])
def test_the_chosen_point_spends_about_its_target(target):
    found = scores(target)
    assert found.chosen.expected["macs"] == pytest.approx(100 * target, abs=5)
    share = (found.chosen.expected["macs"] - 40) / 70
    assert found.chosen.expected["latency"] == pytest.approx(1 + 2 * share)


def test_values_follow_the_order_of_the_objectives():
    found = scores()
    point = found.chosen
    assert found.values(("macs", "accuracy")) == (point.expected["macs"], point.accuracy)
    assert found.values(("latency",)) == (point.expected["latency"],)


def test_thresholds_come_from_calibration_alone():
    swapped = dict(TABLES, validation=table(2))
    design = small_design(Placed("a", Fc()), num_classes=3)
    costs = ExitCosts(Costs.of(macs=MACS, latency=MS), 1000)
    first = score_tables(design, TABLES, costs, Limits(), backbone_macs=100.0)
    second = score_tables(design, swapped, costs, Limits(), backbone_macs=100.0)
    assert first.chosen.policy == second.chosen.policy
    assert first.chosen.accuracy != second.chosen.accuracy


def test_limits_are_positive_where_they_are_violated():
    limits = Limits(min_accuracy=0.99, max_worst_latency_ms=2.5, max_parameters=1500, max_branches=1)
    found = scores(constraints=limits).violations
    assert found["min_accuracy"] > 0
    assert found["max_worst_latency_ms"] == -1.5, "the drawn point ends where the limit allows"
    assert found["max_parameters"] == -500
    assert found["max_branches"] == 0
    assert scores().violations == {}


def test_what_each_point_answers_rightly_is_kept():
    found = scores()
    assert len(found.right) == len(found.points)
    for point, text in zip(found.points, found.right, strict=True):
        assert unpack(text).mean() == pytest.approx(point.accuracy)


def test_a_limit_on_the_worst_case_adds_points_that_end_within_it():
    tables = {name: three_exits(seed) for seed, name in enumerate(("calibration", "validation"))}
    macs, ms = np.array([40.0, 70.0, 110.0]), np.array([1.0, 2.0, 3.0])
    placed = (Placed("a", Fc()), Placed("b", Fc()))
    design = small_design(*placed, num_classes=3)
    costs, found = ExitCosts(Costs.of(macs=macs, latency=ms), 1000), {}
    for name, limits in {"free": Limits(), "limited": Limits(max_worst_latency_ms=2.5)}.items():
        points = score_tables(design, tables, costs, limits, backbone_macs=100.0).points
        found[name] = [point for point in points if point.worst["latency"] <= 2.5]
    assert len(found["free"]) == 1, "one threshold stops everybody at the first exit, or nobody"
    assert len(found["limited"]) > 5
    assert max(p.accuracy for p in found["limited"]) > max(p.accuracy for p in found["free"])
    for point in found["limited"]:
        assert point.policy.num_exits == 3
        assert point.shares[2] == 0


def test_limits_on_a_cost_of_the_study_s_own_are_held_on_calibration():
    placed = (Placed("a", Fc()), Placed("b", Fc()))
    policy = PolicyChoice(target_macs=1.0)
    design = small_design(*placed, num_classes=3, policy=policy)
    made = Costs.of(macs=[40.0, 70.0, 110.0], latency=[1.0, 2.0, 3.0], energy=[5.0, 6.0, 9.0])
    tables = {name: replace(three_exits(seed), costs=made) for seed, name in enumerate(("calibration", "validation"))}
    free, mean, worst = (
        score_tables(design, tables, ExitCosts(made, 1000), limits, backbone_macs=100.0)
        for limits in (Limits(), Limits(max_energy=6.5), Limits(max_worst_energy=7.0))
    )
    assert free.chosen.expected["energy"] > 7.5
    assert mean.chosen.expected["energy"] == pytest.approx(6.5, abs=0.2)
    assert worst.chosen.worst["energy"] == 6.0
    assert worst.violations == {"max_worst_energy": -1.0}
    assert free.values(("energy", "accuracy")) == (free.chosen.expected["energy"], free.chosen.accuracy)


@pytest.mark.parametrize("kind", ["threshold", "patience", "patience_confidence", "vote", "jei_dnn"])
@pytest.mark.parametrize("ensemble", ["none", "geometric"])
@pytest.mark.parametrize("final_rule", ["last", "most_confident"])
def test_every_kind_is_scored(kind, ensemble, final_rule):
    found = scores(0.6, kind=kind, ensemble=ensemble, final_rule=final_rule)
    assert found.chosen.expected["macs"] <= 65
    assert found.chosen.accuracy >= min(found.exit_accuracy) - 0.05
    kinds = [kind_of(point.policy) for point in found.points]
    assert kinds.count(kind) == 2 if kind in ("patience", "vote") else kinds.count(kind) > 10
    assert kinds.count("threshold") > 10, "no kind hides what one common threshold can do"
    assert all(OperatingPoint.from_table(point.to_table()) == point for point in found.points)


def kind_of(policy):
    """The kind of a policy below what wraps it."""
    return kind_of(policy.policy) if hasattr(policy, "policy") else policy.kind


def test_thresholds_of_their_own_are_never_worse_on_calibration():
    from eenas.policies.operating_point import evaluate

    common, own = scores(0.6), scores(0.6, per_exit=True)
    calibration = TABLES["calibration"]
    assert evaluate(own.chosen.policy, calibration).accuracy >= evaluate(common.chosen.policy, calibration).accuracy
