"""Bandits: against the pseudo-code of the papers, slow and obvious, and the indices against their formulas."""

import math
from random import Random

import numpy as np
import pytest
from scipy import stats

from eenas.errors import PolicyError
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controlled_exits import ControlledExits
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.indices import INDICES
from eenas.policies.controllers.recording import Recording
from eenas.policies.controllers.replayed import replay
from eenas.policies.controllers.splitee import SplitEE
from eenas.testing.controller_contract import check_controller, random_confidences

TWO = ControlledExits(temperatures=(1.0, 1.0))
KINDS = [
    *(AdaEE(index=index, share=share) for index in INDICES for share in ("below", None)),
    AdaEE(discount=0.99),
    AdaEE(window=50),
    AdaEE(thresholds=(0.5,), costs=(0.0, 1.0)),
    SplitEE(),
    SplitEE(share=None, window=20),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.kind} {kind.index} {kind.share}")
def test_it_keeps_the_contract(kind):
    check_controller(kind, 2)
    if kind.costs is None:
        check_controller(kind, 4, rounds=200)


def pseudo_code(confidences, thresholds, o, c):
    """AdaEE as it is published: two exits, no labels; returns the thresholds played."""
    n, s, played = [0] * len(thresholds), [0.0] * len(thresholds), []
    for t, (first, final) in enumerate(confidences):
        bounds = [s[i] / n[i] + c * math.sqrt(math.log(t) / n[i]) if n[i] else math.inf for i in range(len(n))]
        a = bounds.index(max(bounds))
        reward = 0.0 if first >= thresholds[a] else max(final - first, 0.0) - o
        n[a] += 1
        s[a] += reward
        played.append(a)
    return played


@pytest.mark.parametrize(("o", "c"), [(0.1, 0.1), (0.3, 1.0)])
def test_without_sharing_it_is_the_published_algorithm(o, c):
    confidences = random_confidences(2, 3000)
    kind = AdaEE(overhead=o, c=c, share=None)
    done = replay(Controller(kind, TWO), Recording(name="r", confidences=confidences, exits=("0", "final")))
    played = pseudo_code(confidences.tolist(), kind.thresholds, o, c)
    assert done.arms.tolist() == played
    assert len(set(played)) == 11


def each_arm(kind, exits, arm, row):
    """The rewards of the arms 0 to `arm` from the steps of `observed`."""
    steps = kind.observed(exits, arm, row)
    assert steps[0][0] == 0
    assert [number for number, _ in steps] == sorted({number for number, _ in steps})
    assert steps[-1][0] <= arm
    return [next(reward for start, reward in reversed(steps) if start <= number) for number in range(arm + 1)]


def slow_reward(row, threshold, overhead, way):
    """The reward of a common threshold on a sample whose confidences at all exits are known."""
    k = next((k for k, value in enumerate(row[:-1]) if value >= threshold), len(row) - 1)
    return max(row[: k + 1]) - row[0] - overhead * way[k]


@pytest.mark.parametrize("exits", [2, 3, 5])
def test_what_is_observed_is_the_reward_of_every_lower_threshold(exits):
    costs = tuple(np.cumsum(np.arange(1.0, exits + 1)))
    controlled = ControlledExits(temperatures=(1.0,) * exits, costs=costs)
    way = [(cost - costs[0]) / (costs[-1] - costs[0]) for cost in costs]
    kind, confidences = AdaEE(overhead=0.2), random_confidences(exits, 200)
    wanted = [[slow_reward(row, each, 0.2, way) for each in kind.thresholds] for row in confidences.tolist()]
    np.testing.assert_allclose(kind.rewards(controlled, confidences), wanted, atol=1e-12)
    for row, rewards in zip(confidences.tolist(), wanted, strict=True):
        for arm, threshold in enumerate(kind.thresholds):
            k = next((k for k, value in enumerate(row[:-1]) if value >= threshold), exits - 1)
            np.testing.assert_allclose(each_arm(kind, controlled, arm, row[: k + 1]), rewards[: arm + 1], atol=1e-12)


def test_splits_earn_what_the_paper_says():
    exits = ControlledExits(temperatures=(1.0,) * 3, costs=(1.0, 2.0, 4.0))
    kind = SplitEE(threshold=0.6, price=0.4, overhead=0.1)
    assert kind.arms(exits) == ((0.6, None), (None, 0.6), (None, None))
    rows = np.array([[0.7, 0.5, 0.9], [0.5, 0.8, 0.9], [0.2, 0.3, 0.4]])
    wanted = [[0.6, 0.9 - 0.3, 0.5], [0.9 - 0.2, 0.6, 0.5], [0.4 - 0.2, 0.4 - 0.3, 0.0]]
    np.testing.assert_allclose(kind.rewards(exits, rows), wanted, atol=1e-12)
    np.testing.assert_allclose(each_arm(kind, exits, 2, rows[0].tolist()), wanted[0], atol=1e-12)
    # the middle exit lets the second sample go: the first would have sent it on, and is credited what is known
    np.testing.assert_allclose(each_arm(kind, exits, 1, [0.5, 0.8]), [0.8 - 0.2, 0.6], atol=1e-12)
    assert each_arm(kind, exits, 2, rows[2].tolist())[2] == pytest.approx(0.0)


def history(kind, exits, rounds=400, seed=0):
    """Choose and learn; return the state and the samples with the arms that decided them."""
    random, state, seen = Random(0), kind.start(exits), []
    for row in random_confidences(exits.num_exits, rounds, seed=seed).tolist():
        arm = kind.choose(exits, state, random)
        k = next((k for k, value in enumerate(row[:-1]) if value >= kind.thresholds[arm]), len(row) - 1)
        kind.learn(exits, state, arm, row[: k + 1])
        seen.append((arm, row[: k + 1]))
    return state, seen


def test_a_window_is_the_sum_over_the_latest_samples():
    kind = AdaEE(window=50)
    state, seen = history(kind, TWO)
    latest = AdaEE().start(TWO)
    for arm, row in seen[-50:]:
        AdaEE().learn(TWO, latest, arm, row)
    assert len(state["recent"]) == 50
    assert state["rounds"] == latest["rounds"] == 50
    for name in ("plays", "sums", "squares"):
        np.testing.assert_allclose(state[name], latest[name], atol=1e-9)


def test_a_discount_weighs_each_sample_by_its_age():
    kind = AdaEE(discount=0.98, share=None)
    state, seen = history(kind, TWO)
    weights = 0.98 ** np.arange(len(seen))[::-1]
    plays = [sum(w for w, (arm, _) in zip(weights, seen, strict=True) if arm == a) for a in range(11)]
    np.testing.assert_allclose(state["plays"], plays, atol=1e-9)
    assert state["rounds"] == pytest.approx(weights.sum())
    sums = [
        sum(w * each_arm(kind, TWO, a, row)[a] for w, (a, row) in zip(weights, seen, strict=True) if a == b)
        for b in range(11)
    ]
    np.testing.assert_allclose(state["sums"], sums, atol=1e-9)


def test_shared_means_are_sums_of_differences_between_neighbours():
    state, seen = history(AdaEE(), TWO)
    means, total = [], 0.0
    for arm in range(11):
        rows = [each_arm(AdaEE(), TWO, played, row) for played, row in seen if played >= arm]
        total += np.mean([row[arm] - (row[arm - 1] if arm else 0.0) for row in rows])
        means.append(total)
    plays, found, _ = AdaEE().estimates(state)
    assert plays == [sum(played >= arm for played, _ in seen) for arm in range(11)]
    np.testing.assert_allclose(found, means, atol=1e-9)


def test_shared_sums_of_squares_estimate_the_variance_of_each_arm():
    kind = AdaEE(index="ucb_v")
    state, seen = kind.start(TWO), []
    for row in random_confidences(2, 500).tolist():  # the dearest arm alone tells all rewards on all samples
        kind.learn(TWO, state, 10, row if row[0] < 1.0 else row[:1])
        seen.append(each_arm(kind, TWO, 10, row))
    plays, means, squares = kind.estimates(state)
    np.testing.assert_allclose(means, np.mean(seen, axis=0), atol=1e-9)
    np.testing.assert_allclose(np.divide(squares, plays), np.mean(np.square(seen), axis=0), atol=1e-9)


def test_the_indices_are_their_formulas():
    generator = np.random.default_rng(0)
    rewards = [generator.normal(0.1, 0.2, size=size) for size in (20, 50, 400)]
    n, mean = [float(len(each)) for each in rewards], [float(each.mean()) for each in rewards]
    squares, t = [float((each**2).sum()) for each in rewards], 470.0
    variance, log = np.array([each.var() for each in rewards]), math.log(t)
    found = {name: INDICES[name](n, mean, squares, t, 0.5, Random(0)) for name in INDICES}
    n_, mean_ = np.array(n), np.array(mean)
    np.testing.assert_allclose(found["ucb1"], mean_ + 0.5 * np.sqrt(log / n_))
    np.testing.assert_allclose(found["ucb_v"], mean_ + 0.5 * (np.sqrt(2 * variance * log / n_) + 3 * log / n_))
    tuned = np.minimum(0.25, variance + np.sqrt(2 * log / n_))
    np.testing.assert_allclose(found["ucb_tuned"], mean_ + 0.5 * np.sqrt(log / n_ * tuned))
    # the Normal-Gamma posterior with mean 0 of weight 1 and precision Gamma(1, 0.05)
    for name, each in zip(found["bayes_ucb"], rewards, strict=True):
        size = len(each)
        rate = 0.05 + 0.5 * size * each.var() + size * each.mean() ** 2 / (2 * (1 + size))
        scale = math.sqrt(rate / ((1 + size / 2) * (1 + size)))
        center = size * each.mean() / (1 + size)
        quantile = stats.t.ppf(1 - 1 / (t * log), 2 + size)
        assert name == pytest.approx(center + 0.5 * scale * quantile, rel=2e-3)
    draws = np.array(
        [INDICES["thompson"](n, mean, squares, t, 1.0, random) for random in [Random(1)] for _ in range(4000)]
    )
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.005)
    np.testing.assert_allclose(draws.std(axis=0), np.sqrt((variance + 0.05 / n_) / n_), rtol=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"index": "ucb2"}, "nearest: 'ucb1'"),
        ({"share": "above"}, "share must be 'below' or none"),
        ({"overhead": 2}, "overhead must be a number from 0 to 1, got 2"),
        ({"c": -1}, "c must be a number from 0"),
        ({"discount": 1.0}, "discount must be"),
        ({"window": 3}, "window must be a whole number from 10"),
        ({"discount": 0.9, "window": 20}, "mutually exclusive"),
        ({"thresholds": ()}, "1 to 101 increasing"),
        ({"thresholds": (0.5, 0.5)}, "increasing numbers in"),
        ({"thresholds": (0.5, None)}, "increasing numbers in"),
        ({"warm_up": -1}, "warm_up must be"),
        ({"final_rule": "first"}, "final_rule must be"),
        ({"costs": ("x",)}, "costs of exits must be lists of numbers"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(PolicyError, match=message):
        AdaEE(**settings)


def test_costs_of_the_final_exit_alone_make_the_others_free():
    exits = ControlledExits(temperatures=(1.0,) * 3)
    controller = Controller(AdaEE(costs=(0, 0, 1)), exits)
    assert controller.exits.way == (0.0, 0.0, 1.0)
    with pytest.raises(PolicyError, match="3 exits need 3 costs, got 2"):
        Controller(AdaEE(costs=(0, 1)), exits)
    with pytest.raises(PolicyError, match="must not decrease"):
        Controller(AdaEE(costs=(0, 2, 1)), exits)
