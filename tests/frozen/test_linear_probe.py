"""The linear probe: scikit-learn's logistic regression, with a penalty that suits the samples."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from eenas.errors import TrainingError
from eenas.frozen.linear_probe import PENALTIES, choose_penalty, fit_probe


def blobs(samples: int, *, spread: float = 1.0, classes: int = 3, seed: int = 0):
    """Features [N, 5] around a centre for each class, of other scales in each direction, and labels."""
    generator = np.random.default_rng(seed)
    labels = np.arange(samples) % classes
    centres = np.random.default_rng(1).normal(size=(classes, 5))
    features = (centres[labels] + spread * generator.normal(size=(samples, 5))) * [1, 10, 0.1, 1, 1] + [0, 5, 0, 0, 0]
    return torch.tensor(features, dtype=torch.float32), torch.tensor(labels)


def test_it_is_a_logistic_regression():
    features, labels = blobs(200)
    penalty = 0.03
    probe = fit_probe(features, labels, 3, penalty)
    x = ((features - features.mean(0)) / features.std(0, correction=0)).numpy()
    other = LogisticRegression(C=1 / (penalty * len(labels)), max_iter=1000, tol=1e-8).fit(x, labels.numpy())
    expected = other.predict_proba(x)
    np.testing.assert_allclose(probe.logits(features).softmax(1).numpy(), expected, atol=2e-3)


def test_features_that_never_vary_do_no_harm():
    features, labels = blobs(60)
    wide = torch.cat([features, torch.full((60, 2), 3.0)], dim=1)
    probe = fit_probe(wide, labels, 3, 0.01)
    assert torch.isfinite(probe.weight).all()
    other = fit_probe(features, labels, 3, 0.01)
    assert torch.equal(probe.logits(wide).argmax(1), other.logits(features).argmax(1))


def test_the_penalty_suits_the_samples():
    clear, _ = choose_penalty(*blobs(300, spread=0.3), 3, seed=0)
    noise = torch.randn(60, 40, generator=torch.Generator().manual_seed(0))
    strong, logits = choose_penalty(noise, torch.arange(60) % 3, 3, seed=0)
    assert clear < strong == PENALTIES[0]
    assert logits.shape == (60, 3)


def test_no_sample_is_judged_by_a_classifier_that_saw_it():
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(100, 200, generator=generator), torch.arange(100) % 2
    _, logits = choose_penalty(features, labels, 2, seed=0)
    probe = fit_probe(features, labels, 2, 1e-4)
    assert (probe.logits(features).argmax(1) == labels).all()  # it can learn noise by heart
    assert (logits.argmax(1) == labels.numpy()).mean() < 0.7


@pytest.mark.parametrize("counts", [(1, 1), (2, 1), (3, 3), (20, 1)])
def test_few_samples_are_enough(counts):
    labels = torch.tensor([0] * counts[0] + [1] * counts[1])
    features = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    penalty, logits = choose_penalty(features, labels, 2, seed=0)
    assert penalty in PENALTIES
    assert np.isfinite(logits).all()


def test_features_that_are_no_numbers_are_refused():
    features, labels = blobs(30)
    features[0, 0] = float("nan")
    for call in (lambda: fit_probe(features, labels, 3, 0.1), lambda: choose_penalty(features, labels, 3, seed=0)):
        with pytest.raises(TrainingError, match="not finite; check its weights"):
            call()
