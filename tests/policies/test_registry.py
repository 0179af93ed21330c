"""Policies as tables: every kind comes back from its own, and what is wrong is named."""

import json

import pytest

from eenas.errors import PolicyError, SpecError
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.patience_confidence import PatienceConfidencePolicy
from eenas.policies.kinds.registry import KINDS, POLICIES, policy_from_table
from eenas.policies.kinds.vote import VotePolicy
from eenas.policies.policy import Policy

PATIENCE = PatiencePolicy(exits=2, patience=1)


def test_kinds_are_named_by_their_classes():
    assert all(name == kind.kind for name, kind in KINDS.items())
    simple = {"threshold", "patience", "patience_confidence", "vote"}
    wrapping = {"most_confident", "geometric", "experts", "contexts"}
    gates = {"policy_gradient", "reinforce", "backward_regression", "eenet", "jei_dnn"}
    learned = {*gates, "learned_to_exit", "failure_prediction", "earliest"}
    assert set(KINDS) == simple | wrapping | learned


@pytest.mark.parametrize(
    "policy",
    [
        PatiencePolicy(exits=3, patience=0, within_budget=False),
        VotePolicy(exits=3, ratio=None, least=2, within_budget=False),
        PatienceConfidencePolicy(score="margin", temperatures=(1, 2), threshold=None, patience=1, within_budget=False),
    ],
)
def test_json_keeps_that_a_budget_was_missed(policy):
    read = policy_from_table(json.loads(json.dumps(policy.to_table())))
    assert read == policy
    assert read.within_budget is False


def test_a_wrapped_policy_says_whether_the_budget_is_held():
    inner = PatiencePolicy(exits=2, patience=0, within_budget=False)
    surest = MostConfidentPolicy(score="margin", temperatures=(1, 1), policy=inner)
    together = GeometricPolicy(weights=((0,), (0, 0)), biases=((), ()), policy=surest)
    assert not surest.within_budget
    assert not policy_from_table(together.to_table()).within_budget
    assert isinstance(policy_from_table(together.to_table()), Policy)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"kind": "patient"}, PolicyError, r"run\.json: \[policy\]: unknown kind of policy 'patient'; nearest: 'pat"),
        ({"kind": 3}, PolicyError, "unknown kind of policy 3"),
        ({"kind": "patience", "exits": 3}, SpecError, "'patience' is missing"),
        ({"kind": "patience", "exits": 3, "patienc": 1}, SpecError, "nearest: 'patience'"),
        ({"kind": "patience", "exits": 3, "patience": 3}, PolicyError, "patience of 3 exits .* from 0 to 2, got 3"),
        ({"kind": "patience", "exits": 3, "patience": True}, PolicyError, "whole number"),
        ({"kind": "patience", "exits": 0, "patience": 0}, PolicyError, "exits must be a whole number from 1"),
        ({"kind": "patience", "exits": 2, "patience": 0, "within_budget": 0}, PolicyError, "true or false"),
        ({"kind": "vote", "exits": 3, "ratio": 1.5, "least": 1}, PolicyError, r"ratio of votes must be in \[0, 1\]"),
        ({"kind": "vote", "exits": 3, "ratio": "most", "least": 1}, PolicyError, "ratio of votes must be a number"),
        ({"kind": "vote", "exits": 3, "ratio": 1, "least": 3}, PolicyError, "least votes .* from 1 to 2"),
        (
            {"kind": "patience_confidence", "score": "luck", "temperatures": [1], "threshold": 0, "patience": 1},
            PolicyError,
            "unknown score 'luck'",
        ),
        (
            {"kind": "patience_confidence", "score": "margin", "temperatures": [], "threshold": 0, "patience": 1},
            PolicyError,
            "got none",
        ),
        (
            {"kind": "patience_confidence", "score": "margin", "temperatures": [1, 1], "threshold": 0, "patience": 2},
            PolicyError,
            "from 1 to 1, got 2",
        ),
        (
            {"kind": "most_confident", "score": "margin", "temperatures": [1], "policy": PATIENCE.to_table()},
            PolicyError,
            "2 exits need 2 temperatures, got 1",
        ),
        ({"kind": "most_confident", "score": "margin", "temperatures": [1], "policy": 3}, SpecError, "policy.policy"),
        (
            {"kind": "geometric", "weights": [[0], [0]], "biases": [[], []], "policy": PATIENCE.to_table()},
            PolicyError,
            "need 1 to 2 weights",
        ),
        (
            {"kind": "geometric", "weights": [[0], [0, 0]], "biases": [[], [0]], "policy": PATIENCE.to_table()},
            PolicyError,
            "of equal length",
        ),
        (
            {"kind": "geometric", "weights": [[0], [0, 99]], "biases": [[], []], "policy": PATIENCE.to_table()},
            PolicyError,
            r"\[-20, 20\]",
        ),
        ({"kind": "geometric", "weights": 1, "biases": [], "policy": PATIENCE.to_table()}, PolicyError, "lists of num"),
        (
            {"kind": "geometric", "weights": [["x"]], "biases": [], "policy": PATIENCE.to_table()},
            PolicyError,
            "lists of num",
        ),
        (
            {"kind": "geometric", "weights": [[float("nan")]], "biases": [], "policy": PATIENCE.to_table()},
            PolicyError,
            "finite",
        ),
    ],
)
def test_bad_tables_are_named(table, error, message):
    with pytest.raises(error, match=message):
        policy_from_table(table, file="run.json", key="policy")


def test_a_class_of_another_base_is_told_which_to_derive_from(tmp_path):
    (tmp_path / "mine.py").write_text("class Mine: pass\n")
    with pytest.raises(PolicyError) as caught:
        POLICIES.find("./mine.py:Mine", trust_code=True, relative_to=tmp_path)
    assert str(caught.value) == (
        "./mine.py:Mine: must be a class derived from eenas.policies.ConfidencePolicy (or "
        "eenas.policies.SignalPolicy), got the class Mine(object)"
    )
