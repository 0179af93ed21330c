"""Weights of the joint loss."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from eenas.errors import DesignError
from eenas.training.distillation import distillation_loss
from eenas.training.losses import SCHEMES, Distillation, JointLoss, exit_weights

COSTS = [1.0, 3.0, 4.0, 8.0]


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "sdn_ramp"])
def test_schemes_have_a_mean_of_one(scheme):
    assert exit_weights(scheme, COSTS, 0.5).mean() == pytest.approx(1.0)


def test_schemes_by_hand():
    np.testing.assert_allclose(exit_weights("equal", COSTS, 0), [1, 1, 1, 1])
    np.testing.assert_allclose(exit_weights("linear", COSTS, 0), np.array([1, 2, 3, 4]) * 0.4)
    branchy = exit_weights("branchy", COSTS, 0)
    assert branchy[-1] / branchy[0] == pytest.approx(0.3)
    np.testing.assert_allclose(exit_weights("cost", COSTS, 0), np.array(COSTS) / 16 * 4)
    np.testing.assert_allclose(exit_weights("sdn_ramp", COSTS, 0.0), [0.01, 0.01, 0.01, 1])
    np.testing.assert_allclose(exit_weights("sdn_ramp", COSTS, 0.5), [0.01 + 0.0625, 0.1975, 0.26, 1])
    np.testing.assert_allclose(exit_weights("sdn_ramp", COSTS, 1.0), [0.125, 0.375, 0.5, 1])


def test_one_exit_weighs_one_in_every_scheme():
    for scheme in SCHEMES:
        assert exit_weights(scheme, [5.0], 1.0) == pytest.approx(1.0)


def test_weights_of_some_exits_only():
    np.testing.assert_allclose(exit_weights("linear", COSTS, 0, exits=(0, 2)), [0.5, 1.5])
    np.testing.assert_allclose(exit_weights("sdn_ramp", COSTS, 0.5, exits=(0, 1)), [0.01 + 0.0625, 0.1975])
    for scheme in SCHEMES:
        assert exit_weights(scheme, COSTS, 0.5, exits=(1,)) == pytest.approx(1.0)


def test_the_final_exit_may_weigh_more():
    np.testing.assert_allclose(exit_weights("equal", COSTS, 0, final_weight=5.0), [0.5, 0.5, 0.5, 2.5])
    np.testing.assert_allclose(exit_weights("sdn_ramp", COSTS, 1.0, final_weight=2.0), [0.125, 0.375, 0.5, 2])
    np.testing.assert_allclose(exit_weights("equal", COSTS, 0, final_weight=5.0, exits=(0, 1)), [1, 1])


def test_joint_loss_is_the_weighted_sum():
    torch.manual_seed(0)
    logits, labels = [torch.randn(6, 3) for _ in COSTS], torch.randint(0, 3, (6,))
    slow = sum(w * functional.cross_entropy(z, labels) for w, z in zip([0.4, 0.8, 1.2, 1.6], logits, strict=True))
    torch.testing.assert_close(JointLoss("linear", COSTS)(logits, labels, 0.3), slow)


def test_a_teacher_and_losses_of_the_branches_own():
    torch.manual_seed(0)
    logits, labels, teacher = [torch.randn(6, 3) for _ in range(2)], torch.randint(0, 3, (6,)), torch.randn(6, 3)
    distillation = Distillation(weight=0.3, temperature=2.0, taught=1)
    loss = JointLoss("linear", COSTS, exits=(1, 3), distillation=distillation)
    first, last = (functional.cross_entropy(z, labels) for z in logits)
    first = 0.7 * first + 0.3 * distillation_loss(logits[0], teacher, 2.0)
    expected = (first + 0.5 * 0.8) * (2 / 3) + last * (4 / 3)
    auxiliary = [torch.tensor(0.8), None]
    torch.testing.assert_close(loss(logits, labels, 0.5, teacher=teacher, auxiliary=auxiliary), expected)


def test_learned_weights_are_as_many_as_losses():
    loss = JointLoss("uncertainty", COSTS, exits=(0, 2))
    assert loss.log_variance.shape == (2,)
    assert torch.isfinite(loss([torch.randn(6, 3)] * 2, torch.zeros(6, dtype=torch.long), 0.0))


def test_uncertainty_learns_to_trust_the_exit_that_can_be_right():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (64,))
    good, bad = 8.0 * functional.one_hot(labels, 3).float(), torch.randn(64, 3)
    loss = JointLoss("uncertainty", [1.0, 2.0])
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss([good, bad], labels, 0.0).backward()
        optimizer.step()
    assert loss.log_variance[0] < loss.log_variance[1]


def test_an_unknown_scheme_names_the_nearest():
    with pytest.raises(DesignError, match="nearest: 'linear'"):
        JointLoss("linaer", COSTS)
