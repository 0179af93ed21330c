"""Exits that read the exit before them: cascades and boosted logits, all at once, in part and while samples leave."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from eenas.branches.capsule import Capsule
from eenas.branches.cascade import Cascade
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Design, Placed, TrainingChoice
from eenas.errors import DesignError
from eenas.measurement.profile import MemoryCache, measure_branch
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.policies.costs import Costs
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.scores import score
from eenas.testing.smallest import smallest_task
from tests.smallest_networks import loaded, small_design

PLAIN = PoolFc(pool="avg", size=1)
SECOND = {"cascade": Cascade(branch=PLAIN), "boosted": PLAIN, "both": Cascade(branch=Capsule(width=8, d_out=4))}


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return loaded()


def design_of(kind):
    training = TrainingChoice(loss_weights="equal" if kind == "cascade" else "boosted")
    placed = zip("012", (PLAIN, SECOND[kind], SECOND[kind]), strict=True)
    branches = tuple(Placed(cut_point=name, branch=branch) for name, branch in placed)
    return small_design(*branches, training=training)


def network_of(kind, backbone):
    network = build_network(design_of(kind), backbone, seed=1)
    with torch.no_grad():
        for name, parameter in network.branches.named_parameters():
            if ".previous." in name:
                parameter.normal_()
    return network.eval()


@pytest.fixture(params=SECOND)
def network(request, backbone):
    return network_of(request.param, backbone)


def slow_logits(network, x):
    """The definition, exit after exit, through the segments of the backbone."""
    boosted = network.design.training.loss_weights == "boosted"
    features, before, found = x, None, []
    for index, name in enumerate(("0", "1", "2", "final")):
        features = network.backbone[index](features)
        if name == "final":
            own = network.backbone[4](features)
        elif hasattr(network.branches.at(name), "takes_previous"):
            own = network.branches.at(name)(features, before)
        else:
            own = network.branches.at(name)(features)
        before = own if before is None or not boosted else before.detach() + own
        found.append(before)
        before = before.detach()
    return found


def test_all_exits_follow_the_definition(network):
    x = torch.randn(5, 3, 8, 8)
    for got, expected in zip(network(x), slow_logits(network, x), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("exits", [(0,), (2,), (1, 2), (0, 3), (3,)])
def test_wanted_exits_are_those_of_all(network, exits):
    x = torch.randn(5, 3, 8, 8)
    together = network(x)
    for index, got in zip(exits, network(x, exits=exits), strict=True):
        torch.testing.assert_close(got, together[index])


def test_the_gradient_stops_at_the_exit_before(network):
    """What an exit's loss sends into a branch before it is nothing, whether both are wanted or one."""
    x = torch.randn(4, 3, 8, 8)
    for exits in (None, (2,)):
        network.train().zero_grad()
        network(x, exits=exits)[2 if exits is None else 0].square().sum().backward()
        for name in ("0", "1"):
            assert all(parameter.grad is None for parameter in network.branches.at(name).parameters())
        assert any(parameter.grad is not None for parameter in network.branches.at("2").parameters())


def test_gradients_with_all_exits_are_the_sum_of_those_alone(network):
    """An exit that is not wanted, though another one reads it, takes no part."""
    x = torch.randn(4, 3, 8, 8)
    sums = {}
    for index in range(4):
        network.zero_grad()
        network(x, exits=(index,))[0].square().sum().backward()
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                sums[name] = sums.get(name, 0) + parameter.grad
    network.zero_grad()
    sum(logits.square().sum() for logits in network(x)).backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.grad, sums[name])


def test_boosted_equals_additive_logits_after_training_too(backbone):
    network = network_of("boosted", backbone)
    plain = copy.deepcopy(network)
    plain.design = replace(plain.design, training=TrainingChoice(loss_weights="equal"))
    x = torch.randn(6, 3, 8, 8)
    for mode in (True, False):
        torch.manual_seed(0)
        own = [logits.detach() for logits in plain.train(mode)(x)]
        got = network.train(mode)(x)
        torch.testing.assert_close([logits.detach() for logits in got], list(torch.stack(own).cumsum(dim=0)))


@pytest.mark.parametrize("count", [1, 2, 40])
@pytest.mark.parametrize("kind", SECOND)
def test_who_leaves_and_who_stays_gets_the_logits_of_forward(backbone, kind, count):
    network = network_of(kind, backbone)
    torch.manual_seed(count)
    x = torch.randn(count, 3, 8, 8)
    with torch.no_grad():
        logits = np.stack([exit_.numpy() for exit_ in network(x)], axis=1)
        other = np.stack([exit_.numpy() for exit_ in network(torch.randn(64, 3, 8, 8))], axis=1)
    limits = tuple(float(np.quantile(score(other[:, k], 1.0, "max_softmax"), 0.6)) for k in range(3))
    policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 4, thresholds=limits)
    answer = network.predict(x, policy)
    if count == 40:
        assert len(set(answer.exits.tolist())) >= 3
    for index, k in enumerate(answer.exits.tolist()):
        np.testing.assert_allclose(answer.logits[index].numpy(), logits[index, k], atol=1e-5)
        assert int(answer.classes[index]) == int(logits[index, k].argmax())


def test_the_exit_table_holds_what_the_network_answers(network):
    task = smallest_task()
    costs = ExitCosts(Costs.of(macs=[1.0, 2.0, 3.0, 4.0]), 0)
    table = exit_table(network, task.calibration, costs, batch_size=16)
    images = network.transform(task.calibration.images(8, 3)[np.arange(len(task.calibration))])
    expected = torch.stack(slow_logits(network, images), dim=1).detach().numpy()
    np.testing.assert_allclose(table.logits, expected, atol=1e-5)


def test_weights_travel(network, backbone, tmp_path):
    save_weights(network, tmp_path / "w.safetensors")
    other = build_network(Design.from_json(network.design.to_json()), backbone, seed=9)
    load_weights(other, tmp_path / "w.safetensors")
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(other.eval()(x), network(x))


def test_a_cascade_cannot_be_first(backbone):
    with pytest.raises(DesignError, match=r"cascade"):
        build_network(
            small_design(Placed(cut_point="1", branch=PLAIN), Placed(cut_point="0", branch=SECOND["cascade"])),
            backbone,
        )


def test_each_branch_says_what_it_adds_to_the_loss(backbone):
    network = network_of("both", backbone).train()
    x, labels = torch.randn(3, 3, 8, 8), torch.tensor([0, 1, 2])
    network(x)
    losses = network.auxiliary_losses(labels)
    assert [loss is None for loss in losses] == [True, False, False]
    sum(loss for loss in losses if loss is not None).backward()
    network(x, exits=(2,))
    assert [loss is None for loss in network.auxiliary_losses(labels, (2,))] == [True, True, False]
    assert network_of("cascade", backbone).auxiliary_losses(labels) == [None, None, None]
    cost = measure_branch(
        SECOND["both"], backbone.cut_points[1].shape, 4, device=torch.device("cpu"), latency=None, cache=MemoryCache()
    )
    assert cost.parameters == sum(parameter.numel() for parameter in network.branches.at("1").parameters())


def test_a_static_network_passes_its_classifiers_loss_on(backbone):
    branches = (Placed(cut_point="1", branch=Capsule(width=8)),)
    design = small_design(*branches, static=True)
    network = build_network(design, backbone).train()
    network(torch.randn(2, 3, 8, 8))
    (loss,) = network.auxiliary_losses(torch.tensor([0, 1]))
    assert loss.requires_grad
