"""Policies of experts: every sample is decided by its own expert's policy, in tables and in batches that shrink."""

import json

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.experts.expert_fit import FEW, ExpertFitting
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.experts.routed_table import RoutedTable
from eenas.policies.fit import Fitting
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.registry import policy_from_table
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.kinds.vote import VotePolicy
from eenas.policies.operating_point import OperatingPoint, evaluate
from tests.policies.tables import random_table

NAMES = ("pristine", "gaussian_blur", "gaussian_noise")


def routed(samples=300, seed=0, contexts=True):
    table = random_table(samples=samples, seed=seed)
    chosen = np.random.default_rng(seed + 1).integers(len(NAMES), size=samples)
    return RoutedTable(
        logits=table.logits,
        labels=table.labels,
        exits=table.exits,
        costs=table.costs,
        contexts=np.where(chosen == 0, "clean", "gaussian_blur:3") if contexts else None,
        chosen=chosen,
    )


def thresholds(value, exits=4):
    return ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * exits, thresholds=(value,) * (exits - 1))


MIXED = ExpertPolicy(names=NAMES, policies=(thresholds(0.6), PatiencePolicy(exits=4, patience=1), thresholds(0.9)))


def test_each_sample_is_decided_as_by_its_own_policy_alone():
    table = routed()
    decided = MIXED.apply(table)
    for number, policy in enumerate(MIXED.policies):
        mask = table.chosen == number
        alone = policy.apply(table.of_expert(number))
        assert (decided.exit_index[mask] == alone.exit_index).all()
        assert (decided.answer[mask] == alone.answer).all()
    assert len(set(decided.exit_index.tolist())) > 1


@pytest.mark.parametrize("policies", [MIXED.policies, (VotePolicy(exits=4, ratio=0.6, least=2),) * 3])
def test_a_batch_that_shrinks_is_decided_as_the_table(policies):
    policy, table = ExpertPolicy(names=NAMES, policies=policies), routed(seed=3)
    expected = policy.apply(table)
    state, staying = policy.begin(table.chosen), np.arange(len(table))
    exits, answers = np.full(len(table), -1), np.full(len(table), -1)
    near = 0
    for k in range(4):
        near += int(policy.near(k, table.logits[staying, k], state).sum())
        leave, state = policy.decide(k, table.logits[staying, k], state)
        exits[staying[leave]], answers[staying[leave]] = k, policy.answer(state[leave])
        staying, state = staying[~leave], state[~leave]
    assert len(staying) == 0
    assert (exits == expected.exit_index).all()
    assert (answers == expected.answer).all()
    assert near == expected.near


def test_without_a_choice_all_have_the_first_expert():
    table = random_table(samples=40)
    leave, _ = MIXED.decide(0, table.logits[:, 0], MIXED.start(40))
    first = MIXED.policies[0]
    assert (leave == first.decide(0, table.logits[:, 0], first.start(40))[0]).all()


def test_a_table_without_experts_is_refused():
    with pytest.raises(PolicyError, match="RoutedTable"):
        MIXED.apply(random_table())


def test_plain_data_survive_json_and_so_does_an_operating_point():
    assert policy_from_table(json.loads(json.dumps(MIXED.to_table()))) == MIXED
    point = evaluate(MIXED, routed())
    assert OperatingPoint.from_table(json.loads(json.dumps(point.to_table()))) == point
    assert "gaussian_blur" in MIXED.label()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "experts", "names": ["a"], "policies": []}, "name and a policy"),
        ({"kind": "experts", "names": "a", "policies": [thresholds(0.5).to_table()]}, "lists"),
        ({"kind": "experts", "names": ["a", "a"], "policies": [thresholds(0.5).to_table()] * 2}, "differ"),
        ({"kind": "experts", "names": ["a"], "policies": [{"kind": "nothing"}]}, r"policies\[0\].*unknown kind"),
        (
            {
                "kind": "experts",
                "names": ["a", "b"],
                "policies": [thresholds(0.5).to_table(), thresholds(0.5, 3).to_table()],
            },
            "same exits",
        ),
        ({"kind": "experts", "names": ["a"], "policies": [MIXED.to_table()]}, "plain policies"),
    ],
)
def test_damaged_tables_are_refused(table, words):
    with pytest.raises(PolicyError, match=words):
        policy_from_table(table)


def test_an_unknown_expert_is_refused():
    with pytest.raises(PolicyError, match="from 0 to 2, got 3"):
        MIXED.begin(np.array([3]))


def test_a_table_knows_the_experts_of_the_samples_it_is_reduced_to():
    table = routed()
    part = table.take(table.chosen == 1)
    assert isinstance(part, RoutedTable)
    assert (part.chosen == 1).all()
    assert part.truncate(2).num_exits == 2
    assert {name: set(each.chosen.tolist()) for name, each in table.by_context().items()} == {
        "clean": {0},
        "gaussian_blur:3": {1, 2},
    }
    with pytest.raises(PolicyError, match="numbers from 0 up"):
        RoutedTable(**{**vars(random_table(20)), "chosen": np.full(20, -1)})


def test_every_expert_keeps_the_budget_by_itself_on_its_own_samples():
    table = routed(900)
    fitting = ExpertFitting.on(table, NAMES)
    budget = {"macs": float(table.costs["macs"].mean())}
    policy = fitting.policy(budget)
    assert policy.within_budget
    for number, own in enumerate(policy.policies):
        part = table.of_expert(number)
        assert own == Fitting(part).policy(budget)
        assert evaluate(own, part).expected["macs"] <= budget["macs"]
    assert len({own.temperatures for own in policy.policies}) == 3
    points = fitting.operating_points(table, limit=8)
    macs = [point.expected["macs"] for point in points]
    assert 3 < len(points) <= 8
    assert macs == sorted(macs)
    assert points[0].shares[0] == 1.0


def test_an_expert_with_few_calibration_samples_is_refused_by_name():
    table = routed(150)
    kept = table.take(np.flatnonzero((table.chosen != 2) | (np.cumsum(table.chosen == 2) < FEW)))
    with pytest.raises(PolicyError, match=r"'gaussian_noise' needs at least 20 calibration samples, got 1\d"):
        ExpertFitting.on(kept, NAMES)
