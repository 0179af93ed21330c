"""The contract tests of policies find what breaks the contract."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.kinds.confidence import ConfidencePolicy
from eenas.policies.policy import Policy
from eenas.policies.scores import score
from eenas.testing.policy_contract import PolicyContract, check_policy, random_table


@dataclass(frozen=True, kw_only=True)
class HalfPolicy(Policy):
    """A user's own: leave where the largest probability is above a half; with one fault."""

    kind: ClassVar[str] = "half"

    exits: int = 3
    fault: str = ""

    @property
    def num_exits(self):
        return self.exits

    @property
    def last_reachable(self):
        return 0 if self.fault == "reach" else self.exits - 1

    def start(self, n):
        return np.full(n, -1)

    def decide(self, k, logits, state):
        assert len(logits) == len(state)
        value = score(logits)
        if self.fault == "batch":
            value = value - value.mean() + 0.5
        if self.fault == "state":
            state[:] = 0
        leaving = value >= 0.5
        if self.fault == "integers":
            return leaving.astype(int), logits.argmax(axis=1)
        if k == self.exits - 1 and self.fault != "keeps":
            leaving = np.ones(len(logits), dtype=bool)
        return leaving, logits.argmax(axis=1)

    def answer(self, state):
        return state + 9 if self.fault == "answers" else state

    def near(self, k, logits, state):
        if self.fault == "logits":
            logits[:] = 0
        if k == self.exits - 1:
            return np.zeros(len(logits), dtype=bool)
        return np.abs(score(logits) - 0.5) <= 1e-5

    def label(self):
        return {"label": "", "number as label": 3}.get(self.fault, "above a half")

    def to_table(self):
        return {"kind": "other" if self.fault == "table" else self.kind, "exits": self.exits, "fault": self.fault}

    def apply(self, table):
        done = super().apply(table)
        if self.fault == "apply":
            object.__setattr__(done, "exit_index", done.exit_index * 0)
        return done


def read(table):
    return HalfPolicy(**{name: value for name, value in table.items() if name != "kind"})


def test_a_policy_of_the_users_own_passes():
    check_policy(HalfPolicy(), num_classes=4)
    check_policy(HalfPolicy(exits=1), num_classes=2, read=read)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("batch", "must not|alone|order"),
        ("state", "must not change the state"),
        ("logits", "must not change the logits"),
        ("integers", "booleans, got int64"),
        ("keeps", "all samples must leave at the final exit"),
        ("answers", "must be classes"),
        ("reach", "after last_reachable"),
        ("label", "label must return a text for tables, got an empty one"),
        ("number as label", "label must return a text, got 3"),
        ("table", "kind must be 'half'"),
        ("apply", "in apply, samples must leave"),
    ],
)
def test_each_fault_is_found(fault, message):
    with pytest.raises(AssertionError, match=message):
        check_policy(HalfPolicy(fault=fault), num_classes=4)


def test_a_table_that_reads_as_something_else_is_found():
    with pytest.raises(AssertionError, match="must come back from its table"):
        check_policy(HalfPolicy(), num_classes=4, read=lambda table: HalfPolicy(exits=2))


OWN = """
from dataclasses import dataclass
import numpy as np
from eenas.policies import ConfidencePolicy

@dataclass(frozen=True, kw_only=True)
class Mine(ConfidencePolicy):
    def confidence(self, logits):
        return {value}
"""
RULE = r"Mine: confidence must return \[n\] finite numbers of at least 0, one for each of n = \d+ samples, got "
CONFIDENCES = {
    "np.full(len(logits), np.nan)": "nan for",
    "None": "None",
    "logits": r"the shape \[\d+, 5\]",
    "logits[1:, 0]": r"the shape \[\d+\]",
    "logits.max(axis=1) - 9": "-.* for .* of them",
    "'high'": "'high'",
    "0.5": r"the shape \[\]",
}


@pytest.mark.parametrize("value", CONFIDENCES)
def test_a_confidence_out_of_its_range_is_named_with_its_method(value, tmp_path):
    (tmp_path / "mine.py").write_text(OWN.format(value=value))
    test = type("Test", (PolicyContract,), {"policy": f"{tmp_path}/mine.py:Mine"})()
    for check in (test.test_it_keeps_the_contract, test.test_it_is_fitted):
        with pytest.raises(PolicyError, match=RULE + CONFIDENCES[value]):
            check()


def test_a_confidence_of_other_parameters_is_named(tmp_path):
    code = OWN.format(value="logits.max(axis=1)").replace("(self, logits)", "(self, logits, k)")
    (tmp_path / "mine.py").write_text(code)
    test = type("Test", (PolicyContract,), {"policy": f"{tmp_path}/mine.py:Mine"})()
    text = r"confidence must take 1 argument, confidence\(self, logits\), got confidence\(self, logits, k\)$"
    for check in (test.test_it_keeps_the_contract, test.test_it_is_fitted):
        with pytest.raises(PolicyError, match=f"mine.py:Mine: {text}"):
            check()


@dataclass(frozen=True, kw_only=True)
class Odd(ConfidencePolicy):
    def confidence(self, logits):
        return -logits.max(axis=1)


def test_a_search_refuses_such_a_confidence_too():
    policy, table = Odd(exits=3, limit=0.5), random_table(3, 4)
    with pytest.raises(PolicyError, match="Odd: confidence must return"):
        policy.apply(table)
    with pytest.raises(PolicyError, match="Odd: confidence must return"):
        policy.decide(0, table.logits[:, 0], policy.start(len(table)))
