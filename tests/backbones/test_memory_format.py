"""Channels last, where a module runs so and gives the same, in every pass over a network."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.load import Backbone, load_backbone
from eenas.backbones.memory_format import INFERENCE, PLAIN, format_of, laid, lay_out
from eenas.branches.fc import Fc
from eenas.designs.design import Placed
from eenas.frozen.candidates import Candidates, candidate_logits
from eenas.networks.assembly import build_network
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.policies.costs import Costs
from eenas.testing.smallest import smallest_task
from tests.smallest_networks import small_design

X = torch.randn(2, 3, 8, 8)


class Viewing(nn.Module):
    """A `view` behind a convolution; in training only, where that is wanted."""

    def __init__(self, in_training_alone: bool = False) -> None:
        super().__init__()
        self.a, self.b, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(256, 4)
        self.in_training_alone = in_training_alone

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.a(x).relu())
        flat = x.reshape(len(x), -1) if self.in_training_alone and not self.training else x.view(len(x), -1)
        logits: Tensor = self.fc(flat)
        return logits


class Striding(Viewing):
    """It gives something else in another format, without a word."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(x)
        logits: Tensor = self.fc(x.as_strided((len(x), 256), (256, 1)))
        return logits


class Plain(Viewing):
    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.b(self.a(x)).flatten(1))
        return logits


def test_the_format_is_tried() -> None:
    assert format_of(Plain(), X) == INFERENCE
    assert format_of(nn.Linear(3, 2), torch.zeros(2, 3)) == INFERENCE, "there is nothing to lay out"
    for module in (Viewing(), Viewing(in_training_alone=True), Striding()):
        before = {name: value.clone() for name, value in module.state_dict().items()}
        assert format_of(module, X) == PLAIN
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
        assert module.a.weight.is_contiguous()


def test_only_maps_are_laid_out() -> None:
    assert laid(X, INFERENCE).is_contiguous(memory_format=INFERENCE)
    assert laid(torch.zeros(2, 3, 4), INFERENCE).shape == (2, 3, 4)
    volume = nn.Conv3d(1, 2, 3)
    lay_out(volume)
    assert volume.weight.is_contiguous()


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    return load_backbone(Viewing(), num_classes=4, input_size=8)


def test_a_network_that_views_runs_everywhere(backbone: Backbone) -> None:
    assert backbone.memory_format == PLAIN
    task = smallest_task()
    placed = (Placed("a", Fc()),)
    network = build_network(small_design(*placed), backbone)
    table = exit_table(network, task.test, ExitCosts(Costs.of(macs=np.array([1.0, 2.0])), 0))
    candidates = Candidates(backbone, placed)
    logits = candidate_logits(candidates, task.test)
    assert np.allclose(table.logits, logits, atol=1e-5)
    features = network.transform(task.test.images(8, 3)[np.arange(4)])
    steps = network.steps(features)
    assert steps.segments[1](steps.segments[0](features)).shape == (4, 4)
