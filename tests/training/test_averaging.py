"""The moving average of weights against its formula."""

import copy

import pytest
import torch

from eenas.networks.partly_frozen import PartlyFrozen
from eenas.testing.smallest import smallest_backbone
from eenas.training.averaging import WeightAverage


class Network(PartlyFrozen):
    def __init__(self):
        super().__init__()
        self.backbone = smallest_backbone(4)

    def forward(self, x):
        return self.backbone(x)


def step(network):
    with torch.no_grad():
        for number, value in enumerate(network.parameters()):
            value.mul_(0.9).add_(0.01 * number)
    network(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)))


def step_of_the_rest(network):
    with torch.no_grad():
        for value in network.backbone[1:].parameters():
            value.add_(1.0)


@pytest.mark.parametrize("decay", [0.2, 0.99])
def test_the_average_is_the_formula_with_its_warm_up(decay):
    network = Network().train()
    average = WeightAverage(network, decay)
    slow = {name: value.clone() for name, value in network.state_dict().items()}
    for t in range(5):
        step(network)
        average.update()
        d = min(decay, (1 + t) / (10 + t))
        for name, value in network.state_dict().items():
            slow[name] = d * slow[name] + (1 - d) * value if value.is_floating_point() else value
    last = copy.deepcopy(network.state_dict())
    with average.applied():
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value, slow[name], rtol=1e-5, atol=1e-6)
    assert all(torch.equal(value, last[name]) for name, value in network.state_dict().items())


def test_what_is_frozen_is_left_alone():
    network = Network().train()
    first = network.backbone[0]
    first.requires_grad_(False)
    network.keep_in_eval(first.modules())
    before = copy.deepcopy(first.state_dict())
    average = WeightAverage(network, 0.9)
    assert not any(name.startswith("backbone.0.") for name in average.state_dict()["averages"])
    step_of_the_rest(network)
    average.update()
    average.swap()
    assert all(torch.equal(value, before[name]) for name, value in first.state_dict().items())


def test_it_goes_on_from_its_state():
    network = Network().train()
    average = WeightAverage(network, 0.5)
    step(network)
    average.update()
    again = WeightAverage(network, 0.5)
    again.load_state_dict(copy.deepcopy(average.state_dict()))
    for each in (average, again):
        each.update()
    one, other = average.state_dict(), again.state_dict()
    assert one["steps"] == other["steps"] == 2
    assert all(torch.equal(value, other["averages"][name]) for name, value in one["averages"].items())
