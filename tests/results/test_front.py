"""The front over all networks of a study: nothing that the study knows is above it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eenas.policies.contexts.robustness import DISTORTED, WORST_DISTORTED
from eenas.policies.right_answers import pack
from eenas.results.front import ACCEPTED_DROP, build_front, compare, interval, nearest_miss
from eenas.study.rivals.offered_points import offered
from eenas.study.settings.limits import Limits
from tests.reporting.studies import BACKBONE, ended, single, study, timed

SAMPLES = 200


def network(index, kind, points, generator):
    """A network with made-up points (accuracy, share) of one exit each, right on random samples."""
    made = ended(f"{kind} {index}", 0.5, 0.5, True)
    right = []
    for accuracy, _ in points:
        bits = np.zeros(SAMPLES, dtype=bool)
        bits[generator.permutation(SAMPLES)[: round(accuracy * SAMPLES)]] = True
        right.append(pack(bits))
    singles = tuple(single(round(accuracy * SAMPLES) / SAMPLES, share) for accuracy, share in points)
    return replace(made, kind=kind, points=singles, right=tuple(right))


POINTS = st.lists(st.tuples(st.floats(0.05, 1.0), st.floats(0.01, 1.2)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["trial", "frozen", "static"]), POINTS), min_size=1, max_size=6))
def test_no_point_of_any_network_is_ever_above_the_front(made):
    generator = np.random.default_rng(0)
    networks = [network(index, kind, points, generator) for index, (kind, points) in enumerate(made)]
    front = build_front(networks, BACKBONE, Limits(), largest_class=0.1)
    for item in offered(networks, BACKBONE, Limits()):
        assert any(
            best.point.accuracy >= item.point.accuracy and best.macs_share <= item.macs_share for best in front
        ), "the front leaves out what the study knows"
    for one in front:
        assert not any(
            other.point.accuracy > one.point.accuracy and other.macs_share <= one.macs_share for other in front
        )
    assert sum(item.knee for item in front) == any(item.choice for item in front)


@settings(max_examples=60, deadline=None)
@given(POINTS, st.floats(0.02, 1.1), st.floats(0.0, 0.9))
def test_limits_hold_for_every_point(points, share, accuracy):
    networks = [network(0, "trial", points, np.random.default_rng(0))]
    limits = Limits(max_macs=share, min_accuracy=accuracy)
    front = build_front(networks, BACKBONE, limits, largest_class=0.1)
    assert all(item.macs_share <= share + 1e-9 and item.point.accuracy >= accuracy - 1e-9 for item in front)
    if not front:
        item, missed = nearest_miss(networks, BACKBONE, limits)
        assert missed
        assert item.name == "trial 0"


def test_a_network_that_guesses_is_no_choice():
    generator = np.random.default_rng(0)
    networks = [network(0, "trial", [(0.3, 0.05)], generator), network(1, "trial", [(0.9, 0.4)], generator)]
    front = build_front(networks, BACKBONE, Limits(), largest_class=0.35)
    assert {item.name: item.choice for item in front} == {"trial 1": True, "trial 0": False}


def test_of_points_within_noise_the_cheaper_is_the_choice():
    generator = np.random.default_rng(0)
    networks = [
        network(index, "trial", [point], generator)
        for index, point in enumerate([(0.90, 0.2), (0.905, 0.5), (1.0, 0.8)])
    ]
    front = build_front(networks, BACKBONE, Limits(), largest_class=0.1)
    assert [item.name for item in front if item.choice] == ["trial 2", "trial 0"]
    assert len(front) == 3, "all of them stay on the front"


def test_the_recommended_one_is_the_cheapest_choice_within_a_point_and_never_the_backbone():
    results = study(14)
    for item in results.front:
        if item.recommended:
            assert item.point.accuracy >= results.backbone.accuracy - ACCEPTED_DROP - 1e-9
            low, high = item.against_backbone
            assert low <= item.point.accuracy - results.backbone.accuracy <= high
    alone = [network for network in results.networks if network.kind == "plain"]
    front = build_front(alone, BACKBONE, Limits(), largest_class=0.1)
    assert [(item.kind, item.recommended, item.knee) for item in front] == [("plain", False, False)]


def against_plain(points, *, costs=("macs", "latency"), limits=None):
    """The front of the plain backbone and networks with one point each: accuracy, share of the MACs, of the latency."""
    networks = [ended("backbone", 0.9, 1.0, True, kind="plain")]
    for index, (accuracy, macs, latency) in enumerate(points):
        made = ended(f"static {index}", accuracy, macs, True)
        point = timed(made.points[0], latency * BACKBONE.costs["latency"])
        networks.append(replace(made, points=(point,)))
    facts = replace(BACKBONE, accuracy=0.9)
    return build_front(networks, facts, limits or Limits(), largest_class=0.1, costs=costs)


@pytest.mark.parametrize(
    ("point", "costs", "recommended"),
    [
        ((0.90, 0.60, 0.70), ("macs", "latency"), True),
        ((0.90, 0.60, 1.04), ("macs", "latency"), True),  # a latency is no more certain than that
        ((0.90, 0.60, 1.30), ("macs", "latency"), False),
        ((0.90, 0.60, 1.30), ("macs",), True),
        ((0.90, 1.10, 0.60), ("latency",), True),
        ((0.90, 0.98, 0.97), ("macs", "latency"), True),  # the backbone is not on the front beside it
        ((0.90, 1.00, 1.00), ("macs", "latency"), False),
        ((0.905, 1.00, 1.00), ("macs", "latency"), False),  # within noise of the backbone
        ((0.895, 0.98, 0.97), ("macs", "latency"), False),
        ((0.90, 0.99, 3.01), ("macs", "latency"), False),
        ((0.99, 0.99, 1.01), ("macs", "latency"), True),
        ((0.99, 0.60, 1.30), ("macs", "latency"), True),
        ((0.99, 1.10, 1.30), ("macs", "latency"), False),
    ],
)
def test_a_network_that_saves_nothing_against_the_backbone_is_not_recommended(point, costs, recommended):
    front = against_plain([point], costs=costs)
    if point == (0.90, 1.00, 1.00):
        assert [item.kind for item in front] == ["plain"], "of equal points the backbone is kept"
        return
    item = next(item for item in front if item.kind != "plain")
    assert (item.saves, item.recommended) == (recommended, recommended)


def test_what_saves_is_recommended_though_something_cheaper_in_macs_costs_latency():
    front = against_plain([(0.90, 0.3, 2.0), (0.895, 0.8, 0.8)])
    assert [item.name for item in front if item.recommended] == ["static 1"]


def test_a_backbone_that_misses_the_limits_is_no_rival():
    front = against_plain([(0.90, 0.6, 1.3)], limits=Limits(max_macs=0.7))
    assert [(item.name, item.recommended) for item in front] == [("static 0", True)]


def test_comparisons_are_within_each_budget_of_points_chosen_on_other_samples():
    results = study(14)
    items = offered(results.networks, BACKBONE, Limits())
    families = {network.name: network.family for network in results.networks}
    found = compare(items, [families[item.name] for item in items])
    assert {one.baseline for one in found} == {"static networks", "uniform by hand", "plain backbone"}
    for one in found:
        best = {}
        for item in items:
            if item.macs_share <= one.budget + 1e-9:
                name = families[item.name]
                best[name] = max(best.get(name, 0.0), item.point.accuracy)
        assert one.low <= one.difference <= one.high
        assert abs(one.difference - (best["search"] - best[one.baseline])) < 0.1


def test_the_best_of_many_equals_is_not_said_to_beat_one():
    claims = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        many = [network(index, "trial", [(0.9, 0.2)] * 6, generator) for index in range(10)]
        one = network(0, "static", [(0.9, 0.2)], generator)
        items = offered([*many, one], BACKBONE, Limits())
        (first, *_) = compare(items, ["search" if item.kind == "trial" else "static networks" for item in items])
        claims += first.verdict == "beats"
    assert claims <= 4, "of 40 studies in which nothing is better, about one may be said to be"


def test_an_interval_is_that_of_resampled_samples():
    generator = np.random.default_rng(1)
    one, other = generator.random(300) < 0.8, generator.random(300) < 0.7
    low, high = interval(pack(one), pack(other))
    rows = generator.integers(300, size=(4000, 300))
    differences = one[rows].mean(axis=1) - other[rows].mean(axis=1)
    assert (low, high) == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.015)


def robust(accuracy, share, distorted):
    """A network with one point of an accuracy under distortions."""
    made = ended(f"static {accuracy} {distorted}", accuracy, share, True)
    point = replace(made.points[0], robustness={DISTORTED: distorted, WORST_DISTORTED: distorted / 2})
    return replace(made, points=(point,))


def test_accuracy_under_distortions_counts_on_the_front_if_the_study_maximises_it():
    plain = ended("backbone", 0.9, 1.0, True, kind="plain")
    plain = replace(plain, points=(replace(plain.points[0], robustness={DISTORTED: 0.6, WORST_DISTORTED: 0.3}),))
    networks = [plain, robust(0.9, 0.5, 0.5), robust(0.895, 0.6, 0.7), robust(0.85, 0.6, 0.65)]
    facts = replace(BACKBONE, accuracy=0.9)

    def front(**more):
        return {item.name: item for item in build_front(networks, facts, Limits(), largest_class=0.1, **more)}

    without, found = front(), front(robustness=(DISTORTED,))
    assert set(without) == {"static 0.9 0.5"}
    assert without["static 0.9 0.5"].recommended
    assert set(found) == {"static 0.9 0.5", "static 0.895 0.7"} | ({"backbone"} & set(found))
    assert found["static 0.895 0.7"].recommended, "the cheaper one loses ten points under distortions"
    limited = build_front(networks, facts, Limits(min_distorted_accuracy=0.65), largest_class=0.1)
    assert {item.name for item in limited} == {"static 0.895 0.7"}
    item, missed = nearest_miss(networks, facts, Limits(min_worst_distorted_accuracy=0.4))
    assert item.name == "static 0.895 0.7"
    assert missed == {"min_worst_distorted_accuracy": pytest.approx(0.05)}


def test_points_without_accuracy_under_distortions_miss_its_limits():
    limits = Limits(min_distorted_accuracy=0.1)
    made = ended("static 0", 0.9, 0.5, True)
    by = limits.violations(made.points[0], backbone_macs=BACKBONE.macs, branches=1, parameters=1)
    assert by == {"min_distorted_accuracy": float("inf")}
    both = limits.and_also(Limits(min_distorted_accuracy=0.3, min_accuracy=0.2))
    assert both.to_table() == {"min_accuracy": 0.2, "min_distorted_accuracy": 0.3}
    assert both.robustness == (DISTORTED,)
