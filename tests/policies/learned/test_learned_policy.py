"""Learned policies as values: the contract of policies, their tables, and the bounds on what a file may say."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eenas.errors import PolicyError, SpecError
from eenas.policies.kinds.registry import FITTED, policy_from_table
from eenas.policies.learned.gate import Gate
from eenas.policies.learned.learned_kinds import LEARNED, LearnedToExitPolicy, PolicyGradientPolicy
from eenas.testing.policy_contract import check_policy, stepwise
from tests.policies.gates import random_policy
from tests.policies.tables import random_table, tables


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("limit", [None, 0.0, 0.3, 1.0])
def test_holds_the_contract(kind, limit):
    check_policy(random_policy(kind, limit=limit), num_classes=5)
    check_policy(random_policy(kind, limit=limit, hidden=0, exits=3), num_classes=2)


def test_one_exit_has_no_gate():
    check_policy(random_policy(exits=1), num_classes=3)


@settings(max_examples=40)
@given(tables(), st.sampled_from(sorted(LEARNED)), st.sampled_from([None, 0.0, 0.2, 0.5, 0.9]), st.integers(0, 9))
def test_table_and_shrinking_batches_and_single_samples_agree(table, kind, limit, seed):
    policy = random_policy(kind, exits=table.num_exits, limit=limit, seed=seed, hidden=seed % 3)
    done = policy.apply(table)
    exits, answers, near = stepwise(policy, table)
    assert np.array_equal(done.exit_index, exits)
    assert np.array_equal(done.answer, answers)
    assert done.near == near
    for index in range(len(table)):
        alone = stepwise(policy, table.take(np.array([index])))
        assert (alone[0][0], alone[1][0]) == (exits[index], answers[index])


def test_a_sample_leaves_where_its_gate_says_so():
    """Held against the formula, one sample and one unit at a time."""
    table, policy = random_table(samples=80), random_policy(hidden=2)
    done = policy.apply(table)
    features = policy.evidence(table).features[:, :, list(policy.inputs)]
    for n in range(80):
        exit_ = 3
        for k in (2, 1, 0):
            total = policy.last[k][-1]
            for unit in range(2):
                *weights, bias = policy.first[k][6 * unit : 6 * unit + 6]
                total += policy.last[k][unit] * max(
                    0.0, sum(w * f for w, f in zip(weights, features[n, k], strict=True)) + bias
                )
            exit_ = k if 1 / (1 + np.exp(-total)) >= 0.5 else exit_
        assert done.exit_index[n] == exit_
    assert len(set(done.exit_index.tolist())) > 1
    assert np.array_equal(done.answer, table.answers()[np.arange(80), done.exit_index])


def test_logits_that_are_not_finite_never_leave_by_their_gate():
    policy = random_policy(limit=1e-9)
    for bad in (np.nan, np.inf):
        logits = np.array([[0, bad, 1, 0, 0], [9, 0, 0, 0, 0]], dtype=np.float32)
        leaving, state = policy.decide(0, logits, policy.start(2))
        alone, _ = policy.decide(0, logits[:1], policy.start(1))
        assert (leaving[0], alone[0]) == (False, False)
        assert policy.decide(3, logits, np.concatenate([state, state[:, :2]], axis=1))[0].all()


@pytest.mark.parametrize("kind", LEARNED)
def test_json_keeps_everything(kind):
    for policy in (random_policy(kind), random_policy(kind, hidden=0, limit=None, within_budget=False)):
        read = policy_from_table(json.loads(json.dumps(policy.to_table())))
        assert read == policy
        assert type(read) is LEARNED[kind]
        assert read.within_budget is policy.within_budget
    assert FITTED[kind] is LEARNED[kind]


def spoilt(**values):
    return {**random_policy(exits=3).to_table(), **values}


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (spoilt(firsts=[]), SpecError, "nearest: 'first'"),
        ({"kind": "policy_gradient", "temperatures": [1, 1]}, SpecError, "'first' is missing"),
        (spoilt(temperatures=[]), PolicyError, "got none"),
        (spoilt(temperatures=[1, 1, 0]), PolicyError, "temperature must be positive"),
        (spoilt(limit=1.5), PolicyError, r"probability to stop must be in \[0, 1\]"),
        (spoilt(limit="high"), PolicyError, "probability to stop must be a number"),
        (spoilt(within_budget=1), PolicyError, "true or false"),
        (spoilt(first=[[1.0]]), PolicyError, "'first' must be 2 lists"),
        (spoilt(first="none"), PolicyError, "'first' must be 2 lists"),
        (spoilt(last={"a": 1}), PolicyError, "'last' must be 2 lists"),
        (spoilt(last=[[1, 2], [1, 2]]), PolicyError, "needs 6 weights for each of 1 to 256 hidden units"),
        (spoilt(first=[[], []], last=[[1] * 4, [1] * 4]), PolicyError, "fit it again"),
        (spoilt(first=[[], []], last=[[], []]), PolicyError, "fit it again"),
        (spoilt(first=[[1.0] * 1800] * 2, last=[[1.0] * 301] * 2), PolicyError, "got 1800 and 301"),
        (spoilt(last=[["x"] * 4] * 2), PolicyError, "lists of numbers"),
        (spoilt(last=[[float("nan")] * 4] * 2), PolicyError, "finite"),
        (spoilt(last=[[1e7, 0, 0, 0]] * 2), PolicyError, "at most 1e.06"),
        (spoilt(last=[[True, 0, 0, 0]] * 2), PolicyError, "lists of numbers"),
    ],
)
def test_bad_tables_are_named_in_one_line(table, error, message):
    with pytest.raises(error, match=message) as caught:
        policy_from_table(table, file="eenas.json", key="policy")
    assert "\n" not in str(caught.value)


def test_a_gate_is_the_same_alone_and_its_slope_bounds_it():
    generator = np.random.default_rng(0)
    for hidden in (0, 7):
        gate = Gate(generator.normal(size=hidden * 6), generator.normal(size=(hidden or 5) + 1), 5)
        x = generator.random((40, 5))
        together = gate.exact(x)
        for n in range(40):
            assert gate.exact(x[n : n + 1])[0] == together[n]
            assert gate.quick(x[n].tolist()) == pytest.approx(together[n], abs=1e-12)
        moved = gate.exact(x + 0.01 * generator.uniform(-1, 1, size=x.shape))
        assert (np.abs(moved - together) <= 0.01 * gate.slope(range(5))).all()


def test_labels_name_the_kind():
    assert random_policy().label() == "policy_gradient at 0.500"
    assert random_policy("jei_dnn", limit=None).label() == "jei_dnn: never"
    assert LearnedToExitPolicy.shapes(3, (1.0,) * 3, "max_softmax") == ()
    assert PolicyGradientPolicy.compares
