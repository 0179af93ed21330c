"""Simulations: regret and shares against slow, obvious sums; streams; every kind learns on a made-up recording."""

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.drift_guard import DriftGuard
from eenas.policies.controllers.fixed import FixedThresholds
from eenas.policies.controllers.indices import INDICES
from eenas.policies.controllers.recording import Recording
from eenas.policies.controllers.replayed import answered_correctly, replay
from eenas.policies.controllers.simulation import FINAL, RANDOM, arm_name, simulate_stream
from eenas.policies.controllers.splitee import SplitEE
from eenas.policies.controllers.stream import Stream
from eenas.testing.policy_contract import random_table


def made_up(samples=800, exits=3, contexts=None):
    """Confidences whose gain from the first to the final exit is large below 0.6, and small above."""
    generator = np.random.default_rng(0)
    first = generator.uniform(0.1, 1.0, size=samples)
    gain = np.where(first < 0.6, 0.35, 0.02)
    steps = np.linspace(0, 1, exits)
    confidences = np.clip(first[:, None] + gain[:, None] * steps, 0, 1)
    correct = generator.uniform(size=confidences.shape) < confidences
    names = (*(f"b{k}" for k in range(exits - 1)), "final")
    return Recording(
        name="made up",
        confidences=confidences,
        exits=names,
        correct=correct,
        costs=tuple(range(1, exits + 1)),
        contexts=contexts,
    )


def test_totals_and_courses_are_the_sums_of_a_replay():
    recording, kind, stream = made_up(), AdaEE(overhead=0.15), Stream(rounds=500)
    found = simulate_stream(kind, recording, stream, seeds=2)
    order = np.random.default_rng(1).integers(800, size=500)
    done = replay(Controller(kind, recording.controlled(), seed=1), recording, order)
    exits = recording.controlled()
    means = kind.rewards(exits, recording.confidences).mean(axis=0)
    regret, right, cost, left, reward, best = 0.0, [], [], [], [], []
    for sample, arm, k in zip(order, done.arms, done.exits, strict=True):
        row = recording.confidences[sample]
        regret += means.max() - means[arm]
        answering = k if k < 2 else 2 - int(row[::-1].argmax())
        right.append(recording.correct[sample, answering])
        cost.append((1, 2, 3)[k] / 3)
        left.append(k < 2)
        gains = [max(row[: j + 1]) - row[0] - 0.15 * j / 2 for j in range(3)]
        reward.append(gains[k])
        best.append(max(gains))
    outcome, course = found.outcomes[1], found.courses[1]
    assert outcome.regret == pytest.approx(regret)
    assert outcome.accuracy == pytest.approx(np.mean(right))
    assert outcome.cost == pytest.approx(np.mean(cost))
    assert outcome.leaving == pytest.approx(np.mean(left))
    assert outcome.reward == pytest.approx(np.mean(reward))
    assert outcome.sample_regret == pytest.approx(np.mean(best) - np.mean(reward))
    assert course.rounds.tolist() == list(range(5, 505, 5))
    assert course.regret[-1] == pytest.approx(regret)
    assert course.leaving[3] == pytest.approx(np.mean(left[15:20]))
    assert found.names()[:2] == ("0", "0.1")


def test_baselines_are_expectations_over_the_stream():
    recording, kind = made_up(), AdaEE(overhead=0.15)
    found = simulate_stream(kind, recording, Stream(rounds=1001, phases=("clean", "halved")), seeds=1)
    assert [(each.start, each.end) for each in found.phases] == [(0, 501), (501, 1001)]
    exits, total = recording.controlled(), {}
    for length, factor in ((501, 1.0), (500, 0.5)):
        means = kind.rewards(exits, recording.confidences * factor).mean(axis=0)
        for name, mean in zip(found.names(), means, strict=True):
            total[name] = total.get(name, 0.0) + length * (means.max() - mean)
        total[RANDOM] = total.get(RANDOM, 0.0) + length * (means.max() - means.mean())
        final = kind.exit_rewards(exits, recording.confidences * factor)[:, -1].mean()
        total[FINAL] = total.get(FINAL, 0.0) + length * max(0.0, means.max() - final)
    assert {name: each.regret for name, each in found.baselines.items()} == pytest.approx(total)
    assert found.best_fixed == min(found.names(), key=total.__getitem__)
    final = found.baselines[FINAL]
    assert (final.leaving, final.cost) == (0.0, 1.0)
    assert found.baselines["0"].leaving == 1.0


KINDS = [
    *(AdaEE(overhead=0.15, index=index) for index in INDICES),
    AdaEE(overhead=0.15, share=None),
    AdaEE(overhead=0.15, discount=0.999),
    AdaEE(overhead=0.15, window=1000),
    DriftGuard(controller=AdaEE(overhead=0.15)),
    SplitEE(price=0.3, threshold=0.6),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.kind} {getattr(kind, 'index', '')}")
def test_every_kind_regrets_less_than_a_random_arm(kind):
    found = simulate_stream(kind, made_up(), Stream(rounds=4000), seeds=2)
    assert max(each.regret for each in found.outcomes) < 0.7 * found.baselines[RANDOM].regret
    assert found.courses[0].regret[-1] - found.courses[0].regret[-2] < found.courses[0].regret[1]


def test_side_information_regrets_less_than_the_published_algorithm():
    plain, shared = (
        simulate_stream(AdaEE(overhead=0.15, share=share), made_up(), Stream(rounds=4000), seeds=3)
        for share in (None, "below")
    )
    assert max(each.regret for each in shared.outcomes) < min(each.regret for each in plain.outcomes)


def test_after_a_switch_the_discounted_form_regrets_less():
    stream = Stream(rounds=9000, phases=("clean", "halved", "clean"))
    plain, discounted = (
        simulate_stream(AdaEE(overhead=0.15, discount=discount), made_up(), stream, seeds=2)
        for discount in (None, 0.998)
    )
    assert max(each.regret for each in discounted.outcomes) < min(each.regret for each in plain.outcomes)


def test_told_contexts_regret_less_than_untold_ones():
    stream = {"rounds": 8000, "phases": ("clean", "halved", "clean", "halved")}
    told, untold = (
        simulate_stream(AdaEE(overhead=0.15), made_up(), Stream(**stream, contexts=contexts), seeds=2)
        for contexts in (True, False)
    )
    assert max(each.regret for each in told.outcomes) < min(each.regret for each in untold.outcomes)


def test_the_contexts_of_a_recording_are_phases():
    contexts = np.where(np.arange(800) < 300, "clean", "dark")
    recording = made_up(contexts=contexts)
    stream = Stream(rounds=30, phases=("dark", "clean", "0.7"), in_order=True, contexts=True)
    parts = stream.parts(recording)
    assert [len(part) for part in parts] == [500, 300, 800]
    assert stream.order(parts[1], 4, np.random.default_rng()).tolist() == [0, 1, 2, 3]
    assert stream.names(parts[0], "dark")[:2] == ["dark", "dark"]
    assert set(stream.names(parts[2], "0.7")) == {"clean", "dark"}
    np.testing.assert_allclose(parts[2].confidences, 0.7 * recording.confidences)
    assert len(simulate_stream(AdaEE(), recording, stream, seeds=1).phases) == 3


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ({"rounds": 0}, "rounds must be a whole number from 1"),
        ({"phases": ()}, "1 to 100 phases"),
        ({"rounds": 2, "phases": ("clean",) * 3}, "a round for each"),
        ({"phases": ("halfed",)}, "unknown phase 'halfed'.*nearest: 'halved'"),
        ({"phases": ("1.5",)}, r"factor of a phase must be in \[0, 1\]"),
        ({"phases": ("nan",)}, r"factor of a phase must be in \[0, 1\]"),
    ],
)
def test_an_impossible_stream_is_refused(stream, message):
    with pytest.raises(PolicyError, match=message):
        simulate_stream(AdaEE(), made_up(), Stream(**stream), seeds=1)


def test_without_labels_there_is_no_accuracy():
    known = made_up()
    unknown = Recording(name="r", confidences=known.confidences, exits=known.exits)
    found = simulate_stream(AdaEE(), unknown, Stream(rounds=50), seeds=1)
    assert found.outcomes[0].accuracy is None
    assert found.courses[0].accuracy is None
    assert found.baselines[FINAL].accuracy is None
    assert answered_correctly(unknown, np.zeros(800, dtype=np.int64), "last") is None


def test_a_table_is_replayed_in_its_order():
    table = random_table(3, 5, samples=90)
    recording = Recording.of(table)
    one, other = (Controller(AdaEE(), recording.controlled()) for _ in range(2))
    np.testing.assert_array_equal(replay(one, table).exits, replay(other, recording).exits)
    assert one.statistics[0].samples == 90
    with pytest.raises(PolicyError, match="for 3 exits, the recording has 4"):
        replay(one, random_table(4, 5))


def test_fixed_thresholds_are_those_of_the_model_unless_given():
    recording = Recording.of(random_table(3, 5), thresholds=(0.4, None))
    found = simulate_stream(FixedThresholds(), recording, Stream(rounds=20), seeds=1)
    assert found.names() == ("0.4 never",)
    assert found.outcomes[0].regret == 0
    assert arm_name((0.8, 0.8)) == "0.8"


def test_told_contexts_are_compared_with_the_best_arm_of_each_context():
    generator = np.random.default_rng(0)
    centers = {"stay": (0.75, 0.76), "go": (0.55, 0.9), "lost": (0.45, 0.45)}  # no common threshold fits all
    confidences = np.concatenate([np.array(each) + generator.normal(0, 0.02, (500, 2)) for each in centers.values()])
    recording = Recording(
        name="made up", confidences=confidences, exits=("b", "final"), contexts=np.repeat(list(centers), 500)
    )
    kind, stream = AdaEE(warm_up=10), Stream(rounds=3000, contexts=True)
    found = simulate_stream(kind, recording, stream, seeds=1)
    order = np.random.default_rng(0).integers(1500, size=3000)
    done = replay(Controller(kind, recording.controlled()), recording, order, recording.contexts.tolist())
    rewards, regret = kind.rewards(recording.controlled(), recording.confidences), 0.0
    means = {name: rewards[recording.contexts == name].mean(axis=0) for name in centers}
    for sample, arm in zip(order, done.arms, strict=True):
        own = means[str(recording.contexts[sample])]
        regret += own.max() - own[arm]
    (outcome,) = found.outcomes
    assert outcome.regret == pytest.approx(regret)
    assert outcome.regret < 30 < found.baselines[found.best_fixed].regret, "one arm for all contexts is worse"
    untold = simulate_stream(kind, recording, Stream(rounds=3000), seeds=1)
    assert untold.outcomes[0].reward < outcome.reward
    assert untold.baselines[untold.best_fixed].regret == pytest.approx(0.0)


def test_rewards_of_the_wrong_form_name_their_kind():
    class Wrong(AdaEE):
        kind = "wrong"

        def exit_rewards(self, exits, confidences):
            return confidences * np.nan

    with pytest.raises(PolicyError, match=r"wrong: rewards\(\) must return finite numbers \[800, 11\]"):
        simulate_stream(Wrong(), made_up(), Stream(rounds=10))
    Wrong.rewards = lambda self, exits, confidences: None
    with pytest.raises(PolicyError, match=r"wrong: rewards\(\) must return finite .* shape \[\]"):
        simulate_stream(Wrong(), made_up(), Stream(rounds=10))


def test_more_rewards_than_memory_is_meant_for_are_refused(monkeypatch):
    monkeypatch.setattr("eenas.policies.controllers.simulation.MOST_VALUES", 800 * 11)
    simulate_stream(AdaEE(), made_up(), Stream(rounds=10, phases=("clean", "clean")), seeds=1)
    with pytest.raises(PolicyError, match="at most 8,800 samples times arms in all different phases, got 17,600"):
        simulate_stream(AdaEE(), made_up(), Stream(rounds=10, phases=("clean", "halved")))
