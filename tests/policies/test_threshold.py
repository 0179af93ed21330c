"""The threshold policy: exit by exit on shrinking batches it decides as over the whole table."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas import specs
from eenas.errors import PolicyError, SpecError
from eenas.policies.kinds.registry import policy_from_table
from eenas.policies.kinds.threshold import ThresholdPolicy, midway, threshold_text
from eenas.policies.policy import NEAR
from eenas.policies.scores import SCORES, branch_scores
from tests.policies.tables import random_table, slow_leave, tables

thresholds = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))


@st.composite
def tables_and_policies(draw):
    table = draw(tables())
    policy = ThresholdPolicy(
        score=draw(st.sampled_from(sorted(SCORES))),
        temperatures=draw(st.tuples(*[st.floats(0.1, 5)] * table.num_exits)),
        thresholds=draw(st.tuples(*[thresholds] * (table.num_exits - 1))),
    )
    return table, policy


def run_stepwise(policy, table):
    """As a network does it: those who leave are taken out of the batch."""
    exit_index, answer = np.full(len(table), -1), np.full(len(table), -1)
    near = np.zeros(len(table), dtype=bool)
    left, state = np.arange(len(table)), policy.start(len(table))
    for k in range(policy.num_exits):
        logits = table.logits[left, k]
        near[left] |= policy.near(k, logits, state)
        leaving, state = policy.decide(k, logits, state)
        exit_index[left[leaving]] = k
        answer[left[leaving]] = policy.answer(state)[leaving]
        left, state = left[~leaving], state[~leaving]
    return exit_index, answer, int(near.sum())


@given(tables_and_policies())
def test_table_and_steps_and_loop_agree(given_values):
    table, policy = given_values
    done = policy.apply(table)
    exit_index, answer, near = run_stepwise(policy, table)
    assert np.array_equal(done.exit_index, exit_index)
    assert np.array_equal(done.answer, answer)
    assert done.near == near
    scores = branch_scores(table.logits, policy.temperatures, policy.score)
    assert done.exit_index.tolist() == [slow_leave(row, policy.thresholds) for row in scores]
    assert done.answer.tolist() == [int(table.logits[i, k].argmax()) for i, k in enumerate(exit_index)]


@pytest.mark.parametrize("kind", sorted(SCORES))
def test_logits_that_differ_in_their_last_bits_decide_alike_but_for_those_counted(kind):
    table = random_table(samples=3000)
    policy = ThresholdPolicy(score=kind, temperatures=(1.0,) * 4, thresholds=(0.5, 0.6, 0.7))
    noise = 1 + 1e-7 * np.random.default_rng(1).normal(size=table.logits.shape)
    other = type(table)(
        logits=(table.logits * noise).astype(np.float32), labels=table.labels, exits=table.exits, costs=table.costs
    )
    here, there = policy.apply(table), policy.apply(other)
    assert (here.exit_index != there.exit_index).sum() <= here.near


def test_near_counts_samples_that_meet_a_threshold_and_no_others():
    table = random_table(samples=30)
    scores = branch_scores(table.logits, (1.0,) * 4, "max_softmax")
    at = float(scores[7, 1]) + NEAR / 2
    policy = ThresholdPolicy(score="max_softmax", temperatures=(1,) * 4, thresholds=(None, at, None))
    assert policy.apply(table).near == 1
    everybody_left = ThresholdPolicy(score="max_softmax", temperatures=(1,) * 4, thresholds=(0, at, None))
    assert everybody_left.apply(table).near == 0


def test_zero_lets_everybody_leave_and_none_nobody():
    table = random_table()
    first = ThresholdPolicy(score="margin", temperatures=(1,) * 4, thresholds=(0, 0.5, None))
    assert (first.apply(table).exit_index == 0).all()
    assert first.last_reachable == 0
    never = ThresholdPolicy(score="margin", temperatures=(1,) * 4, thresholds=(None,) * 3)
    assert np.array_equal(never.apply(table).answer, table.answers()[:, -1])
    assert never.last_reachable == 3


def test_one_exit_keeps_nobody():
    table = random_table(exits=1)
    policy = ThresholdPolicy(score="entropy", temperatures=(1,), thresholds=())
    assert (policy.apply(table).exit_index == 0).all()
    leaving, state = policy.decide(0, table.logits[:, 0], policy.start(len(table)))
    assert leaving.all()
    assert np.array_equal(policy.answer(state), table.answers()[:, 0])


def test_a_score_equal_to_the_threshold_leaves():
    policy = ThresholdPolicy(score="max_softmax", temperatures=(1, 1), thresholds=(1.0,))
    logits = np.array([[1000, 0], [0, 0]], dtype=np.float32)
    assert policy.decide(0, logits, policy.start(2))[0].tolist() == [True, False]
    half = ThresholdPolicy(score="max_softmax", temperatures=(1, 1), thresholds=(0.5,))
    assert half.decide(0, logits, half.start(2))[0].tolist() == [True, True]


@given(st.floats(0, 1), st.floats(0, 1))
def test_midway_parts_any_two_scores(a, b):
    below, above = min(a, b), max(a, b)
    if below == above:
        return
    middle = float(midway(np.array([below]), np.array([above]))[0])
    assert below < middle <= above


def test_midway_parts_neighbouring_numbers():
    for below in (0.0, 0.5, math.nextafter(1, 0)):
        above = math.nextafter(below, 2)
        assert float(midway(np.array([below]), np.array([above]))[0]) == above


@given(tables_and_policies())
def test_json_gives_the_same_policy(given_values):
    _, policy = given_values
    table = json.loads(json.dumps(specs.to_table(policy)))
    assert table["kind"] == "threshold"
    assert policy_from_table(table) == policy
    del table["kind"]
    assert policy_from_table(table) == policy


def test_json_keeps_that_a_budget_was_missed():
    policy = ThresholdPolicy(score="margin", temperatures=(1, 1), thresholds=(0,), within_budget=False)
    assert policy_from_table(policy.to_table()) == policy


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"score": "max_softmx"}, PolicyError, "nearest: 'max_softmax'"),
        ({"score": 3}, PolicyError, "given by its name"),
        ({"temperatures": [1.0]}, PolicyError, "K - 1 thresholds"),
        ({"temperatures": []}, PolicyError, "K - 1 thresholds"),
        ({"temperatures": [1.0, 0.0]}, PolicyError, "positive"),
        ({"temperatures": [1.0, "warm"]}, PolicyError, "lists of numbers"),
        ({"temperatures": 1.0}, PolicyError, "lists of numbers"),
        ({"thresholds": [1.5]}, PolicyError, r"\[0, 1\]"),
        ({"thresholds": [math.nan]}, PolicyError, r"\[0, 1\]"),
        ({"within_budget": 1}, PolicyError, "true or false"),
        ({"treshold": [0.5]}, SpecError, "nearest: 'thresholds'"),
    ],
)
def test_bad_tables_are_named(changed, error, message):
    table = {"score": "margin", "temperatures": [1.0, 1.0], "thresholds": [0.5], **changed}
    with pytest.raises(error, match=message):
        policy_from_table(table, file="run.json", key="policy")


def test_missing_keys_and_other_counts_are_named():
    with pytest.raises(SpecError, match=r"run\.json.*'thresholds' is missing"):
        policy_from_table({"score": "margin", "temperatures": [1.0]}, file="run.json")
    with pytest.raises(SpecError, match="must be a table"):
        policy_from_table([])
    policy = ThresholdPolicy(score="margin", temperatures=(1, 1), thresholds=(0.5,))
    with pytest.raises(PolicyError, match="fit it again"):
        policy.apply(random_table())
    with pytest.raises(PolicyError, match="same number of samples"):
        policy.decide(0, np.zeros((3, 2), np.float32), policy.start(2))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.8124, "0.812"), (1.0, "1.000"), (0.99962, "0.99962"), (0.9999998, "0.9999998"), (1.2, "1.200"), (0.0, "0.000")],
)
def test_a_threshold_below_one_does_not_look_like_one(value, text):
    assert threshold_text(value) == text
    assert threshold_text(math.nextafter(1, 0)).startswith("0.999")
