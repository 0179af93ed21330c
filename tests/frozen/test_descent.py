"""One step of an optimiser: down the loss, with a bounded gradient, or not at all."""

import pytest
import torch

from eenas.frozen.descent import descend


@pytest.mark.parametrize(("clip", "moved"), [(0.0, 4.0), (1.0, 1.0), (9.0, 4.0)])
def test_a_step_follows_the_gradient_up_to_its_largest_norm(clip, moved):
    weight = torch.tensor([2.0], requires_grad=True)
    weight.grad = torch.tensor([100.0])  # what an earlier step left
    assert descend(weight.square().sum(), torch.optim.SGD([weight], lr=1.0), clip=clip)
    assert weight.item() == pytest.approx(2.0 - moved)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_step_follows_a_loss_that_is_not_finite(value):
    weight = torch.tensor([2.0], requires_grad=True)
    assert not descend(weight.sum() * value, torch.optim.SGD([weight], lr=1.0))
    assert weight.item() == 2.0
    assert weight.grad is None
