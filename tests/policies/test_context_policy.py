"""Thresholds per context: each sample is decided by the policy of its context, others by the common one."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.contexts.context_fit import FEWEST, fit_by_context, with_pristine
from eenas.policies.fit import fit
from eenas.policies.kinds.context_policy import ContextPolicy, policy_in
from eenas.policies.kinds.registry import policy_from_table
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.testing.policy_contract import check_policy
from tests.policies.tables import random_table


def threshold(value, exits=4):
    return ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * exits, thresholds=(value,) * (exits - 1))


POLICY = ContextPolicy(
    contexts=("blur:5", "blur", "clean"), policies=tuple(map(threshold, (0.2, 0.4, 0.6))), policy=threshold(0.8)
)
NAMES = np.array(["blur:5", "blur:1", "clean", "fog:2"] * 50)


def test_it_keeps_the_contract_of_a_policy():
    check_policy(POLICY, 5)


@pytest.mark.parametrize(
    ("context", "limit", "known"),
    [
        ("blur:5", 0.2, "blur:5"),
        ("blur:1", 0.4, "blur"),
        ("blur", 0.4, "blur"),
        ("clean", 0.6, "clean"),
        ("fog:2", 0.8, None),
        (None, 0.8, None),
    ],
)
def test_a_context_has_its_policy_else_that_of_its_kind_else_the_common_one(context, limit, known):
    assert POLICY.of(context) == threshold(limit)
    assert POLICY.known(context) == known
    said = pytest.warns(UserWarning, match=f"the context '{context}' was not in calibration")
    with said if context is not None and known is None else nullcontext():
        assert policy_in(POLICY, context) == threshold(limit)


def test_over_a_table_each_sample_is_decided_in_its_context():
    table = replace(random_table(), contexts=NAMES)
    found = POLICY.apply(table)
    for name, limit in (("blur:5", 0.2), ("blur:1", 0.4), ("clean", 0.6), ("fog:2", 0.8)):
        wanted = threshold(limit).apply(table.take(name == NAMES))
        assert (found.exit_index[name == NAMES] == wanted.exit_index).all()
        assert (found.answer[name == NAMES] == wanted.answer).all()
    alone = POLICY.apply(random_table())
    assert (alone.exit_index == threshold(0.8).apply(random_table()).exit_index).all()
    assert len(set(found.exit_index.tolist())) > 2


def test_it_is_read_back_from_its_table_and_says_what_it_holds():
    assert policy_from_table(POLICY.to_table()) == POLICY
    assert POLICY.label().startswith("blur:5 0.200, 0.200, 0.200; blur 0.400")
    assert POLICY.within_budget
    assert not replace(POLICY, policy=replace(threshold(0.5), within_budget=False)).within_budget
    assert replace(POLICY, policies=tuple(map(threshold, (0.0, 0.0, 0.0)))).last_reachable == 3
    assert replace(POLICY, policies=(threshold(0.0),) * 3, policy=threshold(0.0)).last_reachable == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"contexts": ("blur", "blur", "clean")}, "must differ"),
        ({"contexts": ("blur",)}, "each context needs a name and a policy, got 3"),
        ({"contexts": ("", "a", "b")}, "each context needs a name"),
        ({"contexts": 3}, "must be lists"),
        ({"policy": threshold(0.5, exits=3)}, "for the same exits"),
        ({"policy": POLICY}, "must not have contexts themselves"),
    ],
)
def test_values_that_do_not_match_are_refused(changed, message):
    with pytest.raises(PolicyError, match=message):
        replace(POLICY, **changed)


def test_a_context_is_for_policies_that_have_one():
    assert policy_in(threshold(0.5), None) == threshold(0.5)
    with pytest.raises(PolicyError, match="same thresholds in every context, got 'blur'; leave the context out"):
        policy_in(threshold(0.5), "blur")
    with pytest.raises(PolicyError, match="a context is a name such as 'clean', got 3"):
        policy_in(POLICY, 3)


def test_each_context_is_fitted_on_its_own_samples_and_few_samples_share_those_of_the_kind():
    names = np.array(["blur:1"] * FEWEST + ["blur:5"] * (FEWEST - 1) + ["noise:1"] * 10 + ["clean"] * 91)
    table = replace(random_table(), contexts=names)
    within = {"macs": float(table.costs["macs"].mean())}
    found = fit_by_context(table, within=within)
    assert found.contexts == ("blur", "blur:1", "clean")
    assert found.of("blur:1") == fit(table.take(names == "blur:1"), within=within)
    assert found.of("blur:5") == fit(table.take(np.char.startswith(names, "blur")), within=within)
    assert found.of("noise:1") == found.policy == fit(table, within=within)
    for name in ("blur:1", "clean"):
        part = table.take(names == name)
        spent = table.costs["macs"][found.of(name).apply(part).exit_index].mean()
        assert spent <= within["macs"] * (1 + 1e-9)
    with pytest.raises(PolicyError, match="need a calibration table with contexts"):
        fit_by_context(random_table())


def test_pristine_samples_join_distorted_ones_in_a_context_of_their_own():
    distorted, pristine = replace(random_table(seed=1), contexts=NAMES), random_table(samples=30, seed=1)
    joined = with_pristine(distorted, pristine)
    assert len(joined) == 230
    assert (joined.by_context()["clean"].logits[-30:] == pristine.logits).all()
    assert (joined.labels[:200] == distorted.labels).all()
    with pytest.raises(PolicyError, match="need contexts and the exits of the pristine ones"):
        with_pristine(pristine, pristine)
