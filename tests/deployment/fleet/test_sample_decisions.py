"""Decisions on a table: the exits and answers of the policy, and the answers of the last exit on the device."""

from dataclasses import fields, replace

import numpy as np
import pytest

from eenas.deployment.fleet.sample_decisions import decide
from eenas.errors import PolicyError
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.experts.routed_table import RoutedTable
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.testing.policy_contract import random_table

TABLE = random_table(4, 5, samples=300)
PLAIN = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 4, thresholds=(0.5, 0.6, 0.7))
POLICIES = (
    PLAIN,
    PatiencePolicy(exits=4, patience=1),
    MostConfidentPolicy(score="max_softmax", temperatures=(1.0,) * 4, policy=PLAIN),
)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.kind)
@pytest.mark.parametrize("on_device", range(5))
def test_decisions_are_those_of_the_policy(policy, on_device):
    found, wanted = decide(policy, TABLE, on_device), policy.apply(TABLE)
    np.testing.assert_array_equal(found.exits, wanted.exit_index)
    np.testing.assert_array_equal(found.right, wanted.answer == TABLE.labels)
    if on_device == 0:
        assert not found.right_on_device.any()
        return
    local = wanted.exit_index < on_device
    assert local.any() or on_device == 1
    np.testing.assert_array_equal(found.right_on_device[local], found.right[local])
    if policy is not POLICIES[2] and on_device < 4:
        last = TABLE.correct()[:, on_device - 1]
        np.testing.assert_array_equal(found.right_on_device[~local], last[~local])


@pytest.mark.parametrize("on_device", range(1, 5))
def test_each_expert_answers_for_its_own_samples(on_device):
    """The second expert never stops before the end, the first one stops at once."""
    eager, patient = (replace(PLAIN, thresholds=(each,) * 3) for each in (0.0, None))
    policy = ExpertPolicy(names=("pristine", "blur"), policies=(eager, patient))
    chosen = np.arange(len(TABLE)) % 2
    shown = {each.name: getattr(TABLE, each.name) for each in fields(TABLE)}
    found = decide(policy, RoutedTable(**shown, chosen=chosen, names=policy.names), on_device)
    correct = TABLE.correct()
    np.testing.assert_array_equal(found.right_on_device, np.where(chosen, correct[:, on_device - 1], correct[:, 0]))


def test_a_policy_for_other_exits_is_refused():
    with pytest.raises(PolicyError, match="exits"):
        decide(PatiencePolicy(exits=3, patience=1), TABLE, 1)
