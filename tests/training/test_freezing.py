"""Freezing for a phase: who learns, who stays in eval mode, and that all is given back."""

import copy

import pytest
import torch
from torch import nn

from eenas.branches.mlp import Mlp
from eenas.designs.design import Placed
from eenas.networks.assembly import build_network
from eenas.testing.smallest import SIZE
from eenas.training.freezing import frozen
from eenas.training.strategies import Phase
from tests.smallest_networks import loaded, small_design


def network(static=False):
    backbone = loaded()
    names = [point.name for point in backbone.cut_points]
    placed = tuple(Placed(names[position], Mlp(width=4)) for position in (0, 2))
    placed = placed[:1] if static else placed
    design = small_design(*placed, size=SIZE, static=static)
    return build_network(design, backbone)


def phase(trains, *exits, part=0):
    return Phase(name="one", share=1.0, trains=trains, exits=exits, part=part)


def learning(network):
    return {".".join(name.split(".")[:2]) for name, each in network.named_parameters() if each.requires_grad}


def awake(network):
    normal = (nn.BatchNorm2d, nn.BatchNorm1d)
    return {".".join(n.split(".")[:2]) for n, m in network.named_modules() if isinstance(m, normal) and m.training}


ALL = {"backbone.0", "backbone.1", "backbone.2", "backbone.3", "backbone.4", "branches.0", "branches.2"}


@pytest.mark.parametrize(
    ("one", "learns"),
    [
        (phase("all", 0, 1, 2), ALL),
        (phase("branches", 0, 1), {"branches.0", "branches.2"}),
        (phase("branches", 1), {"branches.2"}),
        (phase("backbone", 2), {name for name in ALL if name.startswith("backbone")}),
        (phase("part", 0, part=0), {"backbone.0", "branches.0"}),
        (phase("part", 1, part=1), {"backbone.1", "backbone.2", "branches.2"}),
        (phase("part", 2, part=2), {"backbone.3", "backbone.4"}),
    ],
)
def test_only_what_a_phase_trains_learns_and_is_awake(one, learns):
    whole = network().train()
    with frozen(whole, one):
        for _ in range(2):
            assert learning(whole) == learns
            assert awake(whole) <= learns
            assert awake(whole) >= {name for name in learns if name.startswith("backbone.") and name != "backbone.4"}
            whole.eval()
            whole.train()  # nothing wakes up
        twin = copy.deepcopy(whole).train()
        assert learning(twin) == learns
        assert awake(twin) <= learns
    assert learning(whole) == ALL
    assert all(module.training for module in whole.modules())


def test_it_is_given_back_after_an_error():
    whole = network()
    with pytest.raises(ZeroDivisionError), frozen(whole, phase("branches", 0)):
        raise ZeroDivisionError
    assert learning(whole) == ALL
    assert whole.kept_in_eval == ()


def test_what_was_frozen_before_stays_frozen():
    whole = network()
    whole.freeze_backbone()
    with frozen(whole, phase("all", 0, 1, 2)):
        assert learning(whole) == {"branches.0", "branches.2"}
        whole.train()
        assert not awake(whole) & {f"backbone.{k}" for k in range(4)}
    assert learning(whole) == {"branches.0", "branches.2"}
    assert not whole.train().backbone[0].training


def test_no_statistics_and_no_dropout_of_a_frozen_backbone():
    whole = network()
    whole.backbone[1].append(nn.Dropout(0.9))
    x = torch.randn(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with frozen(whole, phase("branches", 0, 1)):
        whole.train()
        before = {name: value.clone() for name, value in whole.backbone.state_dict().items()}
        first, second = (whole(x)[-1] for _ in range(2))
        assert torch.equal(first, second)
        assert not first.requires_grad
        after = whole.backbone.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_static_network_has_its_classifier_for_a_branch():
    cut = network(static=True)
    with frozen(cut, phase("branches", 0)):
        assert {name.split(".")[0] for name in learning(cut)} == {"branches"}
        assert not cut.train().backbone[0].training
    assert cut.train().backbone[0].training
