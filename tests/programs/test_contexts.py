"""Thresholds per context in the runtime: the context that a batch is told decides, an unknown one with a warning."""

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.kinds.context_policy import ContextPolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.programs.runtime import load

from ..exported import images


def threshold(value):
    return ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=(value, value))


POLICY = ContextPolicy(contexts=("blur", "clean"), policies=(threshold(0.0), threshold(None)), policy=threshold(0.4))


@pytest.fixture
def model(exported):
    found = load(exported, threads=1)
    found.set_policy(POLICY)
    return found


def test_the_thresholds_of_the_context_decide(model):
    batch, seen = images()[0], []
    for context in ("blur:3", "blur", "clean", None):
        found = model.predict(batch, context=context)
        model.set_policy(POLICY.of(context))
        alone = model.predict(batch)
        assert (found.exits == alone.exits).all()
        assert (found.classes == alone.classes).all()
        model.set_policy(POLICY)
        assert (model.predict(batch[:1], context=context).exits == alone.exits[:1]).all()
        seen.append(float(found.exits.mean()))
    assert seen[0] == seen[1] < seen[3] < seen[2]


def test_an_unknown_context_gets_a_warning_and_the_thresholds_of_all_samples(model):
    batch, _ = images()
    with pytest.warns(UserWarning, match="the context 'fog:1' was not in calibration; its samples are decided by thr"):
        found = model.predict(batch, context="fog:1")
    assert (found.exits == model.predict(batch).exits).all()


def test_a_context_without_thresholds_per_context_is_refused(model):
    model.set_policy(threshold(0.5))
    with pytest.raises(PolicyError, match="the same thresholds in every context, got 'blur'"):
        model.predict(images()[0], context="blur")
    assert np.isfinite(model.predict(images()[0]).logits).all()
