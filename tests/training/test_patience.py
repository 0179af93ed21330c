"""Patience: rounds without a gain of any exit on held-out samples are counted."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from eenas.backbones.transforms.image_transform import InputTransform
from eenas.networks.partly_frozen import PartlyFrozen
from eenas.testing.smallest import smallest_task
from eenas.training.patience import Patience


class Constant(PartlyFrozen):
    """Three exits that give the first class logits of their own, whatever they see."""

    def __init__(self, transform, values):
        super().__init__()
        self.transform, self.memory_format = transform, torch.contiguous_format
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, x):
        return [functional.pad(value.expand(len(x), 1), (0, 3)) for value in self.values]

    def set(self, *values):
        self.values.data = torch.tensor(values)


@pytest.fixture
def tune():
    train = smallest_task().train
    return train.subset(np.flatnonzero(train.labels == 0), "tune")


def network():
    transform = InputTransform(size=8, channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
    return Constant(transform, [0.0, 0.0, 0.0])


def test_it_ends_when_no_watched_exit_gains(tune):
    patience, watched = Patience(2, tune, (0, 2)), network()
    assert not patience.is_over(watched)
    watched.set(1.0, 0.0, -1.0)  # one gains, one loses
    assert not patience.is_over(watched)
    watched.set(0.5, 9.0, -0.5)  # who is not watched does not count; worse than the best is no gain
    assert not patience.is_over(watched)
    assert patience.waited == 1
    watched.set(1.0, 9.0, 0.0)  # as good as ever is no gain
    assert patience.is_over(watched)


def test_the_loss_is_the_mean_cross_entropy(tune):
    patience, watched = Patience(1, tune, (0,)), network()
    watched.set(2.0, 0.0, 0.0)
    watched.train()
    patience.is_over(watched)
    assert watched.training
    assert patience.best == [pytest.approx(-math.log(math.exp(2.0) / (math.exp(2.0) + 3)), rel=1e-5)]


def test_it_goes_on_from_its_state(tune):
    patience, watched = Patience(2, tune, (0, 1)), network()
    patience.is_over(watched)
    patience.is_over(watched)
    again = Patience(2, tune, (0, 1))
    again.load_state_dict(patience.state_dict())
    assert again.is_over(watched)
