"""What a classifier reads is found where it is one linear layer, and can be given another one."""

import numpy as np
import pytest
import torch
from torch import nn

from eenas.backbones.transforms.image_transform import default_transform
from eenas.frozen.frozen_head import linear_head, put_head, read_head
from eenas.frozen.linear_probe import LinearProbe
from eenas.testing.smallest import SIZE, smallest_backbone, smallest_task

TRANSFORM = default_transform(SIZE, 3)
EXAMPLE = torch.ones(2, 3, SIZE, SIZE)


@pytest.fixture(scope="module")
def split():
    return smallest_task().validation


def test_features_are_those_that_the_classifier_reads(split):
    module = smallest_backbone().train()
    read = read_head(module, TRANSFORM, split)
    assert module.training  # its modes are put back
    assert read.features.shape == (60, 32)
    layer = module.eval()[4][2]
    images = TRANSFORM(split.images(SIZE, 3)[np.arange(60)])
    with torch.no_grad():
        assert torch.allclose(read.logits, module(images), atol=1e-6)
        assert torch.allclose(layer(read.features), read.logits, atol=1e-6)
    assert read.correct(split.labels).tolist() == (read.logits.argmax(1).numpy() == split.labels).tolist()


def test_a_head_is_put_in():
    module = smallest_backbone().eval()
    name = linear_head(module, EXAMPLE)
    assert name == "4.2"
    probe = LinearProbe(torch.ones(4, 32), torch.arange(4.0), 0.1)
    put_head(module, name, probe)
    assert torch.equal(module[4][2].weight, probe.weight)
    assert torch.equal(module[4][2].bias, probe.bias)
    assert module[4][2].weight.requires_grad


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = smallest_backbone()

    def forward(self, x):
        return 2 * self.body(x)


def without_bias():
    module = smallest_backbone()
    module[4][2] = nn.Linear(32, 4, bias=False)
    return module


def convolutional():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize("make", [Scaled, without_bias, convolutional])
def test_other_classifiers_are_left_alone(make, split):
    module = make().eval()
    assert linear_head(module, EXAMPLE) is None
    read = read_head(module, TRANSFORM, split)
    assert read.features is None
    assert read.logits.shape == (60, 4)
