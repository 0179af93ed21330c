"""Every kind of policy: over a table it decides as exit by exit, sample by sample, and as a slow obvious loop."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eenas.errors import PolicyError
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.patience_confidence import PatienceConfidencePolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.kinds.vote import VotePolicy, majority
from eenas.policies.scores import SCORES, score
from eenas.testing.policy_contract import check_policy, stepwise
from tests.policies.tables import random_table, tables

limits = st.one_of(st.none(), st.sampled_from([0.0, 1 / 3, 0.5, 2 / 3, 1.0]), st.floats(0, 1))
temperatures = st.floats(0.2, 5)


@st.composite
def kinds(draw, exits):
    """A policy of any kind for so many exits, not wrapped."""
    most = max(1, exits - 1)
    kind = draw(st.sampled_from(["threshold", "patience", "patience_confidence", "vote"]))
    name = draw(st.sampled_from(sorted(SCORES)))
    tempered = draw(st.tuples(*[temperatures] * exits))
    if kind == "threshold":
        return ThresholdPolicy(score=name, temperatures=tempered, thresholds=draw(st.tuples(*[limits] * (exits - 1))))
    if kind == "patience":
        return PatiencePolicy(exits=exits, patience=draw(st.integers(0, exits - 1)))
    if kind == "vote":
        return VotePolicy(exits=exits, ratio=draw(limits), least=draw(st.integers(1, most)))
    return PatienceConfidencePolicy(
        score=name, temperatures=tempered, threshold=draw(limits), patience=draw(st.integers(1, most))
    )


@st.composite
def tables_and_policies(draw):
    """A table and a policy for it, perhaps with the final rule, perhaps as an ensemble."""
    table = draw(tables())
    exits = table.num_exits
    policy = draw(kinds(exits))
    if draw(st.booleans()):
        tempered = draw(st.tuples(*[temperatures] * exits))
        policy = MostConfidentPolicy(score=draw(st.sampled_from(sorted(SCORES))), temperatures=tempered, policy=policy)
    if draw(st.booleans()):
        small = st.floats(-2, 2)
        weights = tuple(draw(st.tuples(*[small] * (k + 1))) for k in range(exits))
        width = draw(st.sampled_from([0, table.num_classes]))
        biases = tuple(draw(st.tuples(*[small] * width)) for _ in range(exits))
        policy = GeometricPolicy(weights=weights, biases=biases, policy=policy)
    return table, policy


@settings(max_examples=40)
@given(tables_and_policies())
def test_table_and_shrinking_batches_and_single_samples_agree(given_values):
    table, policy = given_values
    done = policy.apply(table)
    exits, answers, near = stepwise(policy, table)
    assert np.array_equal(done.exit_index, exits)
    assert np.array_equal(done.answer, answers)
    assert done.near == near
    assert done.exit_index.max() <= policy.last_reachable
    for index in range(len(table)):
        alone = stepwise(policy, table.take(np.array([index])))
        assert (alone[0][0], alone[1][0]) == (exits[index], answers[index])


@settings(max_examples=40)
@given(tables_and_policies())
def test_a_wrapped_policy_does_what_the_inner_one_does_on_the_view(given_values):
    table, policy = given_values
    done = policy.apply(table)
    while isinstance(policy, GeometricPolicy | MostConfidentPolicy):
        table, policy = policy.view(table), policy.policy
    inner = policy.apply(table)
    assert np.array_equal(done.exit_index, inner.exit_index)
    assert np.array_equal(done.answer, inner.answer)


def slow(policy, rows):
    """Exit and answer of one sample with logits `rows` [K, C], as the papers say it."""
    classes = [int(row.argmax()) for row in rows]
    final = len(rows) - 1
    for k in range(final):
        if isinstance(policy, PatiencePolicy):
            run = classes[max(0, k - policy.patience) : k + 1]
            if len(run) == policy.patience + 1 and len(set(run)) == 1:
                return k, classes[k]
        elif isinstance(policy, VotePolicy):
            count = Counter(classes[: k + 1])
            most = max(count.values())
            winner = next(c for c in reversed(classes[: k + 1]) if count[c] == most)
            if policy.ratio is not None and k + 1 >= policy.least and most / (k + 1) >= policy.ratio:
                return k, winner
        else:
            scores = [float(score(rows[j : j + 1], policy.temperatures[j], policy.score)[0]) for j in range(k + 1)]
            patience = 1 if isinstance(policy, ThresholdPolicy) else policy.patience
            limit = policy.thresholds[k] if isinstance(policy, ThresholdPolicy) else policy.threshold
            last = scores[k + 1 - patience :] if k + 1 >= patience else [-math.inf]
            if limit is not None and min(last) >= limit:
                return k, classes[k]
    return final, classes[final]


@settings(max_examples=40)
@given(st.data())
def test_equals_a_slow_loop(data):
    table = data.draw(tables())
    policy = data.draw(kinds(table.num_exits))
    done = policy.apply(table)
    expected = [slow(policy, rows) for rows in table.logits]
    assert list(zip(done.exit_index.tolist(), done.answer.tolist(), strict=True)) == expected


@settings(max_examples=40)
@given(st.data())
def test_the_most_confident_exit_answers_where_nobody_let_go(data):
    table = data.draw(tables())
    inner = data.draw(kinds(table.num_exits))
    tempered = data.draw(st.tuples(*[temperatures] * table.num_exits))
    done = MostConfidentPolicy(score="margin", temperatures=tempered, policy=inner).apply(table)
    plain = inner.apply(table)
    assert np.array_equal(done.exit_index, plain.exit_index)
    for index, at in enumerate(done.exit_index):
        if at < table.num_exits - 1:
            assert done.answer[index] == plain.answer[index]
            continue
        scores = [float(score(table.logits[index, k : k + 1], tempered[k], "margin")[0]) for k in range(at + 1)]
        surest = max(range(at + 1), key=lambda k: (scores[k], k))
        assert done.answer[index] == table.logits[index, surest].argmax()


def examples():
    """Fitted policies of every kind for four exits and five classes."""
    tempered = (1.2, 0.8, 1.0, 2.0)
    threshold = ThresholdPolicy(score="max_softmax", temperatures=tempered, thresholds=(0.9, None, 0.6))
    confident = PatienceConfidencePolicy(score="entropy", temperatures=tempered, threshold=0.4, patience=2)
    vote = VotePolicy(exits=4, ratio=0.6, least=2)
    surest = MostConfidentPolicy(score="margin", temperatures=tempered, policy=threshold)
    weights = ((0.1,), (0.2, -0.3), (0.5, 0.0, 1.0), (0.0, 0.0, 0.0, 0.3))
    biases = tuple(tuple(0.1 * (k + c) for c in range(5)) for k in range(4))
    return [
        threshold,
        PatiencePolicy(exits=4, patience=1),
        PatiencePolicy(exits=4, patience=0, within_budget=False),
        confident,
        vote,
        surest,
        GeometricPolicy(weights=weights, biases=biases, policy=vote),
        GeometricPolicy(weights=weights, biases=((),) * 4, policy=surest),
    ]


@pytest.mark.parametrize("policy", examples(), ids=lambda policy: f"{policy.kind} {policy.label()}")
def test_holds_the_contract(policy):
    check_policy(policy, num_classes=5)


@pytest.mark.parametrize("policy", examples(), ids=lambda policy: f"{policy.kind} {policy.label()}")
def test_other_tables_and_batches_are_refused(policy):
    with pytest.raises(PolicyError, match="fit it again"):
        policy.apply(random_table(exits=3))
    with pytest.raises(PolicyError, match="same number of samples"):
        policy.decide(0, np.zeros((3, 5), np.float32), policy.start(2))


@pytest.mark.parametrize(
    "policy",
    [
        PatiencePolicy(exits=4, patience=3),
        VotePolicy(exits=4, ratio=None, least=1),
        PatienceConfidencePolicy(score="margin", temperatures=(1,) * 4, threshold=None, patience=1),
        PatienceConfidencePolicy(score="margin", temperatures=(1,) * 4, threshold=1.0, patience=3),
    ],
)
def test_nobody_leaves_early_and_the_final_exit_answers(policy):
    table = random_table()
    done = policy.apply(table)
    assert (done.exit_index == 3).all()
    assert np.array_equal(done.answer, table.answers()[:, -1])
    assert policy.last_reachable == 3


@pytest.mark.parametrize(
    ("policy", "last"),
    [
        (PatiencePolicy(exits=4, patience=0), 0),
        (VotePolicy(exits=4, ratio=1.0, least=1), 0),
        (VotePolicy(exits=4, ratio=0.5, least=2), 1),
        (PatienceConfidencePolicy(score="margin", temperatures=(1,) * 4, threshold=0, patience=1), 0),
        (PatienceConfidencePolicy(score="margin", temperatures=(1,) * 4, threshold=0, patience=3), 2),
    ],
)
def test_everybody_leaves_at_the_last_exit_that_can_be_reached(policy, last):
    assert (policy.apply(random_table()).exit_index == last).all()
    assert policy.last_reachable == last


def test_one_confident_exit_is_one_threshold():
    table = random_table()
    shared = {"score": "max_softmax", "temperatures": (1.5, 1.0, 0.7, 1.0)}
    one = PatienceConfidencePolicy(**shared, threshold=0.7, patience=1).apply(table)
    common = ThresholdPolicy(**shared, thresholds=(0.7,) * 3).apply(table)
    assert np.array_equal(one.exit_index, common.exit_index)
    assert one.near == common.near


def test_of_equal_votes_the_last_one_wins():
    votes = np.array([[2, 0, 1], [1, 0, 0], [0, 1, 0], [3, 3, 2]])
    winner, count = majority(votes)
    assert winner.tolist() == [1, 0, 0, 3]
    assert count.tolist() == [1, 2, 2, 2]


def test_equally_likely_classes_count_as_near_where_classes_decide():
    table = random_table(samples=40)
    logits = table.logits.copy()
    logits[5, 1, 2] = logits[5, 1, 3] = logits[5, 1].max() + 1
    tied = type(table)(logits=logits, labels=table.labels, exits=table.exits, costs=table.costs)
    for policy in (PatiencePolicy(exits=4, patience=2), VotePolicy(exits=4, ratio=1.0, least=3)):
        assert policy.apply(table).near == 0
        assert policy.apply(tied).near == 1
    for policy in (PatiencePolicy(exits=4, patience=0), VotePolicy(exits=4, ratio=None, least=1)):
        assert policy.apply(tied).near == 0


def test_two_equally_sure_exits_count_as_near_at_the_end():
    table = random_table(samples=40)
    logits = table.logits.copy()
    logits[5, 1] = logits[5, 2] = [0, 30, 0, 0, 0]
    logits[6, 1] = [0, 40, 0, 0, 0]
    tied = type(table)(logits=logits, labels=table.labels, exits=table.exits, costs=table.costs)
    never = PatiencePolicy(exits=4, patience=3)
    policy = MostConfidentPolicy(score="max_softmax", temperatures=(1.0,) * 4, policy=never)
    scores = np.sort([[score(row[None], 1.0)[0] for row in rows] for rows in tied.logits], axis=1)
    assert policy.apply(tied).near == (scores[:, -1] - scores[:, -2] <= 1e-5).sum() >= 1
