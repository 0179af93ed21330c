"""The contract tests of a policy, for the author of a kind to run on fitted policies."""

import copy
import json
import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.plugins import is_reference
from eenas.policies.costs import MACS, Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import Fitting
from eenas.policies.kinds.registry import KINDS, POLICIES, policy_from_table
from eenas.policies.kinds.signal_policy import Make
from eenas.policies.operating_point import evaluate
from eenas.policies.policy import Policy
from eenas.policies.rule import Rule
from eenas.testing.named import home_of

Read = Callable[[dict[str, Any]], Policy]


class PolicyContract:
    """A pytest class for a kind of policy. Derive from it and set `policy`.

        class TestMine(PolicyContract):
            policy = "./my_policy.py:MyPolicy"

    `policy` is the kind as in a search space. It is tested with the limits of its curve on random logits of `num_exits`
    exits and `num_classes` classes.
    """

    policy: ClassVar[str]
    num_exits: ClassVar[int] = 4
    num_classes: ClassVar[int] = 5

    def test_it_keeps_the_contract(self) -> None:
        """See `check_policy`. Each shape of the kind is tested with no samples leaving early, all, and half of them."""
        for make in self.makes():
            for limit in (math.inf, 0.0, self._middle(make)):
                check_policy(make(limit, True), self.num_classes)
            assert not make(math.inf, False).within_budget, (
                "within_budget must keep the value that the policy was built with"
            )

    def test_it_is_fitted(self) -> None:
        """See `check_fitting`."""
        POLICIES.find(self.policy, trust_code=True, relative_to=home_of(self))
        check_fitting(self.policy, self.num_exits, self.num_classes)

    def makes(self) -> Sequence[Make]:
        """Return the functions that build policies of the kind."""
        kind = POLICIES.find(self.policy, trust_code=True, relative_to=home_of(self))
        return kind.shapes(self.num_exits, (1.0,) * self.num_exits if kind.compares else (), "max_softmax")

    def _middle(self, make: Make) -> float:
        table, shape = random_table(self.num_exits, self.num_classes), make(math.inf, True)
        signals = shape.signals(shape.evidence(table))
        return float(np.median(signals[np.isfinite(signals)]))


def check_fitting(kind: str, exits: int, num_classes: int) -> None:
    """Check a kind's curve on a table: costs increase, and each point equals its policy's operating point.

    Raises AssertionError with the violated rule.
    """
    table = random_table(exits, num_classes, scale=3.0)
    fitting = Fitting(table, Rule(kind=kind))
    points = fitting.operating_points(table, limit=8)
    assert points, "a kind needs an operating point"
    costs = [point.expected[MACS] for point in points]
    assert costs == sorted(costs), f"operating points must increase in cost, got {costs}"
    for point in points:
        assert evaluate(point.policy, table) == point, f"{point.policy.label()} must match its point on the curve"
    budget = (costs[0] + costs[-1]) / 2
    fitted = fitting.policy({MACS: budget})
    assert evaluate(fitted, table).expected[MACS] <= budget * (1 + 1e-9), "a fitted policy must keep its budget"


def check_policy(policy: Policy, num_classes: int, *, read: Read | None = None) -> None:
    """Check a fitted policy against the contract of `Policy`, on tables of random logits for its exits.

    The policy is data. It decides exit by exit on shrinking batches, for every sample as if it were alone, and releases
    all samples at the end. On a table it decides the same. `read` is the inverse of `to_table`; the default is
    `policy_from_table` for kinds that a search space can name. Raises AssertionError with the violated rule.
    """
    _check_data(policy, read or (policy_from_table if policy.kind in KINDS or is_reference(policy.kind) else None))
    for scale in (0.3, 3.0, 30.0):
        table = random_table(policy.num_exits, num_classes, scale=scale)
        exits, answers, near = stepwise(policy, table)
        _check_answers(policy, table, exits, answers)
        _check_alone(policy, table, exits, answers)
        _check_table(policy, table, exits, answers, near)
        _check_noise(policy, table)
    other = random_table(policy.num_exits + 1, num_classes)
    with pytest.raises(PolicyError):
        policy.apply(other)


def random_table(exits: int, classes: int, *, samples: int = 60, scale: float = 1.0, seed: int = 0) -> ExitTable:
    """Return a table of normal logits times `scale`. Later exits are more accurate. Three samples are ties."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=samples)
    logits = generator.normal(size=(samples, exits, classes))
    logits[np.arange(samples), :, labels] += np.linspace(0.5, 2.0, exits)
    logits[:3] = 0.0
    return ExitTable(
        logits=(scale * logits).astype(np.float32),
        labels=labels,
        exits=(*(f"exit{k}" for k in range(exits - 1)), "final"),
        costs=Costs.of(macs=np.arange(1.0, exits + 1)),
    )


def stepwise(policy: Policy, table: ExitTable) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the exits [N], answers [N] and number of near decisions, with samples removed as they leave."""
    exits, answers = np.full(len(table), -1), np.full(len(table), -1)
    near = np.zeros(len(table), dtype=np.bool_)
    staying, state = np.arange(len(table)), policy.start(len(table))
    for k in range(policy.num_exits):
        if len(staying) == 0:
            break
        logits = table.logits[staying, k]
        given, before = logits.copy(), pickle.dumps(state)
        close = policy.near(k, logits, state)
        leaving, after = policy.decide(k, logits, state)
        _check_mask(close, len(staying), "near")
        _check_mask(leaving, len(staying), "decide")
        assert np.array_equal(given, logits), "decide and near must not change the logits"
        assert pickle.dumps(state) == before, "decide and near must not change the state they are given"
        near[staying] |= close
        exits[staying[leaving]] = k
        found = policy.answer(after[leaving])
        assert len(found) == leaving.sum(), f"answer must return {leaving.sum()} classes, got {len(found)}"
        answers[staying[leaving]] = found
        staying, state = staying[~leaving], after[~leaving]
    assert len(staying) == 0, f"all samples must leave at the final exit, {len(staying)} stayed"
    return exits, answers, int(near.sum())


def _check_data(policy: Policy, read: Read | None) -> None:
    assert policy.num_exits >= 1, f"a policy needs at least one exit, got {policy.num_exits}"
    label: object = policy.label()
    assert isinstance(label, str), f"label must return a text, got {shortened(label)}"
    assert label, "label must return a text for tables, got an empty one"
    assert pickle.loads(pickle.dumps(policy)) == policy, f"{policy} must equal its copy"
    assert hash(copy.deepcopy(policy)) == hash(policy), f"equal policies must have equal hashes, got {policy}"
    table = json.loads(json.dumps(policy.to_table(), allow_nan=False))
    assert table.get("kind") == policy.kind, f"the table's kind must be {policy.kind!r}, got {table.get('kind')!r}"
    if read is not None:
        assert read(table) == policy, f"{policy} must come back from its table {table}"


def _check_answers(policy: Policy, table: ExitTable, exits: NDArray[np.int64], answers: NDArray[np.int64]) -> None:
    last = policy.last_reachable
    assert 0 <= last < policy.num_exits, f"last_reachable must be an exit, got {last}"
    assert exits.max() <= last, f"no sample may leave after last_reachable ({last}), one left at {exits.max()}"
    assert 0 <= answers.min() <= answers.max() < table.num_classes, f"answers must be classes, got {set(answers)}"


def _check_alone(policy: Policy, table: ExitTable, exits: NDArray[np.int64], answers: NDArray[np.int64]) -> None:
    for index in range(0, len(table), 7):
        alone = stepwise(policy, table.take(np.array([index])))
        together = (exits[index], answers[index])
        assert (alone[0][0], alone[1][0]) == together, f"sample {index} is decided differently alone than in its batch"
    order = np.arange(len(table))[::-1]
    turned = stepwise(policy, table.take(order))
    same = np.array_equal(turned[0], exits[order]) and np.array_equal(turned[1], answers[order])
    assert same, "the order of samples must not matter"


def _check_table(
    policy: Policy, table: ExitTable, exits: NDArray[np.int64], answers: NDArray[np.int64], near: int
) -> None:
    done = policy.apply(table)
    assert np.array_equal(done.exit_index, exits), "in apply, samples must leave where they do in decide"
    assert np.array_equal(done.answer, answers), "apply must give the same answers as answer"
    assert done.near == near, f"apply must count the {near} samples of near, got {done.near}"


def _check_noise(policy: Policy, table: ExitTable) -> None:
    noise = np.random.default_rng(1).normal(size=table.logits.shape) * 1e-7
    other = replace(table, logits=(table.logits * (1 + noise)).astype(np.float32))
    here, there = policy.apply(table), policy.apply(other)
    changed = int((here.exit_index != there.exit_index).sum())
    assert changed <= here.near, (
        f"{changed} decisions change with the last bits of the logits, near reports {here.near}"
    )


def _check_mask(mask: Any, n: int, name: str) -> None:
    shape = getattr(mask, "shape", None)
    kind = getattr(mask, "dtype", None)
    assert shape == (n,), f"{name} must return {n} booleans, got shape {shape}"
    assert kind == np.bool_, f"{name} must return booleans, got {kind}"
