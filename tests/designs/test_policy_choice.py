"""The policy of a design: what does nothing is dropped, and what no policy has is refused."""

import pytest

from eenas.designs.design import PolicyChoice
from eenas.errors import DesignError
from eenas.policies.kinds.registry import FITTED
from eenas.policies.rule import ENSEMBLES, FINAL_RULES, Rule


@pytest.mark.parametrize(
    ("values", "branches", "expected"),
    [
        ({"kind": "vote", "score": "margin", "target_macs": 0.3, "ensemble": "geometric"}, 0, {"target_macs": 1.0}),
        ({"kind": "patience_confidence", "score": "margin"}, 1, {"score": "margin"}),
        ({"kind": "vote", "score": "margin"}, 1, {"kind": "patience"}),
        ({"per_exit": True}, 1, {}),
        ({"per_exit": True}, 2, {"per_exit": True}),
        ({"kind": "patience", "per_exit": True, "score": "entropy"}, 3, {"kind": "patience"}),
        ({"kind": "vote", "score": "entropy"}, 3, {"kind": "vote"}),
        (
            {"kind": "vote", "score": "entropy", "final_rule": "most_confident"},
            3,
            {"kind": "vote", "score": "entropy", "final_rule": "most_confident"},
        ),
        (
            {"kind": "patience_confidence", "score": "entropy", "ensemble": "geometric"},
            2,
            {"kind": "patience_confidence", "score": "entropy", "ensemble": "geometric"},
        ),
    ],
)
def test_what_does_nothing_is_dropped(values, branches, expected):
    canonical = PolicyChoice(**values).canonical(branches)
    assert canonical == PolicyChoice(**expected)
    assert canonical.canonical(branches) == canonical


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "patient"}, "policy.kind: unknown value 'patient'"),
        ({"ensemble": "mean"}, "policy.ensemble: unknown value 'mean'"),
        ({"final_rule": "first"}, "policy.final_rule: unknown value 'first'"),
    ],
)
def test_what_no_policy_has_is_refused(values, message):
    with pytest.raises(DesignError, match=message):
        PolicyChoice(**values)


@pytest.mark.parametrize("kind", FITTED)
@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize("final_rule", FINAL_RULES)
def test_every_choice_is_a_rule_that_can_be_fitted(kind, ensemble, final_rule):
    choice = PolicyChoice(kind=kind, ensemble=ensemble, final_rule=final_rule, score="margin")
    assert Rule.of(choice) == Rule(kind=kind, ensemble=ensemble, final_rule=final_rule, score="margin")
