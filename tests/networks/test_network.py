"""The built network: exits at once and one after another, gradients, freezing, copies and keys."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from eenas.backbones.load import load_backbone
from eenas.backbones.transforms.image_transform import InputTransform
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import CutError, DesignError, InputError, PolicyError
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.policy import Policy
from tests.smallest_networks import small_design

IMAGES = InputTransform(32, 3, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("cifar_resnet20", num_classes=4)


def design_at(*names, classes=4):
    branches = tuple(Placed(cut_point=name, branch=PoolFc(pool="avg", size=2)) for name in names)
    return small_design(*branches, size=32, backbone="cifar_resnet20", num_classes=classes)


@pytest.fixture
def network(backbone):
    built = build_network(design_at("layer1.0", "layer2.1"), backbone, seed=3)
    with torch.no_grad():  # running statistics that are not the initial ones
        built.train()
        for _ in range(3):
            built(torch.randn(16, 3, 32, 32))
    return built.eval()


def test_all_exits_in_depth_order_and_the_last_is_the_backbone(network):
    x = torch.randn(5, 3, 32, 32)
    logits = network(x)
    assert network.exits == ("layer1.0", "layer2.1", "final")
    assert [tuple(exit_.shape) for exit_ in logits] == [(5, 4)] * 3
    torch.testing.assert_close(logits[-1], network.backbone(x))


def test_keys_name_the_cut_point(network):
    keys = network.state_dict().keys()
    assert any(key.startswith("backbone.layer1.0.") for key in keys)
    assert any(key.startswith("branches.layer2/1.") for key in keys)


def test_order_of_branches_follows_depth_not_the_design(backbone):
    network = build_network(design_at("layer3.0", "layer1.1"), backbone)
    assert network.exits == ("layer1.1", "layer3.0", "final")


def test_a_branch_does_not_depend_on_its_neighbours(backbone):
    alone = build_network(design_at("layer2.1"), backbone, seed=3)
    among = build_network(design_at("layer1.0", "layer2.1"), backbone, seed=3)
    other = build_network(design_at("layer2.1"), backbone, seed=4)
    pairs = zip(alone.branches.parameters(), among.branches.at("layer2.1").parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    weights = [next(p for p in net.branches.parameters() if p.ndim > 1) for net in (alone, other)]
    assert not torch.equal(*weights)


def thresholds_in_the_middle(network, x):
    from eenas.policies.scores import score

    logits = [exit_.detach().numpy() for exit_ in network(x)]
    limits = tuple(float(np.median(score(exit_, 1.0, "max_softmax"))) for exit_ in logits[:-1])
    return ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=limits), logits


@pytest.mark.parametrize("count", [1, 2, 33])
def test_predict_answers_like_the_exit_table(network, count):
    torch.manual_seed(count)
    policy, _ = thresholds_in_the_middle(network, torch.randn(64, 3, 32, 32))
    x = torch.randn(count, 3, 32, 32)
    with torch.no_grad():
        logits = np.stack([exit_.numpy() for exit_ in network(x)], axis=1)
    table = ExitTable(
        logits=logits,
        labels=np.zeros(count, dtype=np.int64),
        exits=network.exits,
        costs=Costs.of(macs=np.array([1.0, 2.0, 3.0])),
    )
    decisions = policy.apply(table)
    answer = network.predict(x, policy)
    differ = (answer.exits.numpy() != decisions.exit_index).sum()
    assert differ <= decisions.near
    if differ == 0:
        np.testing.assert_array_equal(answer.classes.numpy(), decisions.answer)
        expected = logits[np.arange(count), decisions.exit_index]
        np.testing.assert_allclose(answer.logits.numpy(), expected, atol=1e-5)


def test_nobody_in_a_batch_gets_no_answer(network):
    policy, _ = thresholds_in_the_middle(network, torch.randn(8, 3, 32, 32))
    for empty in (torch.zeros(0, 3, 32, 32), torch.zeros(0, 3, 32, 32, dtype=torch.uint8)):
        answer = network.predict(empty, policy)
        assert (answer.classes.shape, answer.exits.shape) == ((0,), (0,))
        assert answer.logits.shape == (0, network.design.num_classes)
        assert answer.exit_names == network.exits
    assert len(network.predict(torch.randn(2, 3, 32, 32), policy).classes) == 2


def test_predict_computes_only_for_who_stays(network):
    x = torch.randn(32, 3, 32, 32)
    policy, _ = thresholds_in_the_middle(network, x)
    sizes = []
    chain = network.chain(x[:1])
    handles = [segment.register_forward_hook(lambda m, i, o: sizes.append(len(o))) for segment in chain.segments]
    answer = network.predict(x, policy)
    for handle in handles:
        handle.remove()
    left = np.bincount(answer.exits.numpy(), minlength=3)
    assert left[0] > 0
    assert sizes[0] == 32
    assert sizes[1] == 32 - left[0]
    assert len(sizes) < 3 or sizes[2] == 32 - left[0] - left[1]


class Seen:
    """What a policy may know of n samples; only a mask indexes it."""

    def __init__(self, answers, times):
        self.answers, self.times = answers, times

    def __getitem__(self, mask):
        assert mask.dtype == np.bool_
        assert mask.shape == self.times.shape
        return Seen(self.answers[mask], self.times[mask])


@dataclass(frozen=True, kw_only=True)
class Agreed(Policy):
    """A sample leaves when two exits in a row say the same."""

    kind = "agreed"
    num_exits = 3

    def start(self, n):
        return Seen(np.full(n, -1), np.zeros(n, dtype=np.int64))

    def decide(self, k, logits, state):
        answers = logits.argmax(axis=1)
        times = np.where(answers == state.answers, state.times + 1, 0)
        return (times >= 1) | (k == 2), Seen(answers, times)

    def answer(self, state):
        return state.answers

    def near(self, k, logits, state):
        return np.zeros(len(logits), dtype=np.bool_)

    def label(self):
        return self.kind

    def to_table(self):
        return {"kind": self.kind}


@pytest.mark.parametrize("count", [1, 40])
def test_a_policy_keeps_what_it_likes_of_each_sample(network, count):
    torch.manual_seed(count)
    x = torch.randn(count, 3, 32, 32)
    with torch.no_grad():
        answers = torch.stack([exit_.argmax(dim=1) for exit_ in network(x)])
    agree = answers[0] == answers[1]
    found = network.predict(x, Agreed())
    assert found.exits.tolist() == [1 if same else 2 for same in agree]
    assert found.classes.tolist() == torch.where(agree, answers[1], answers[2]).tolist()


def test_thresholds_at_the_ends(network):
    x = torch.randn(6, 3, 32, 32)
    everybody = ThresholdPolicy(score="margin", temperatures=(1.0,) * 3, thresholds=(0.0, None))
    nobody = ThresholdPolicy(score="margin", temperatures=(1.0,) * 3, thresholds=(None, None))
    assert network.predict(x, everybody).exits.tolist() == [0] * 6
    last = network.predict(x, nobody)
    assert last.exits.tolist() == [2] * 6
    torch.testing.assert_close(last.logits, network.backbone(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_predict_refuses_a_sample_that_is_not_finite(network, dtype, value):
    network = network.to(dtype)
    policy = ThresholdPolicy(score="margin", temperatures=(1.0,) * 3, thresholds=(0.5, 0.5))
    x = torch.randn(4, 3, 32, 32, dtype=dtype)
    before = network.predict(x, policy)
    broken = x.clone()
    broken[2, 1, 7, 9] = value
    with pytest.raises(InputError, match="NaN or infinity in sample 2 of 4"):
        network.predict(broken, policy)
    assert torch.equal(network.predict(x, policy).logits, before.logits)


def test_large_finite_numbers_are_no_error(network):
    policy = ThresholdPolicy(score="margin", temperatures=(1.0,) * 3, thresholds=(0.5, 0.5))
    network.predict(torch.randn(1, 3, 32, 32), policy)
    # their sum overflows, the network's numbers do not
    assert len(network.predict(torch.full((2, 3, 32, 32), 2e35), policy).exits) == 2


@pytest.mark.parametrize("thresholds", [(0.5, 0.5), (None, None), (0.0, 0.0)])
def test_a_sample_whose_numbers_overflow_in_the_network_is_no_answer(network, thresholds):
    policy = ThresholdPolicy(score="margin", temperatures=(1.0,) * 3, thresholds=thresholds)
    x = torch.randn(4, 3, 32, 32)
    x[2] = 3e38 * x[2].sign()
    for batch, named in ((x, "sample 2 of 4"), (x[2:3], "sample 0 of 1")):
        with pytest.raises(
            InputError, match=rf"numbers of {named} overflow in the network: the logits of exit '.*' are"
        ):
            network.predict(batch, policy)
    assert len(network.predict(x[:2], policy).exits) == 2


def test_predict_sees_trained_weights_and_keeps_the_mode(network):
    x = torch.randn(4, 3, 32, 32)
    policy = ThresholdPolicy(score="margin", temperatures=(1.0,) * 3, thresholds=(None, None))
    network.predict(x, policy)
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    network(x)[-1].square().mean().backward()
    optimizer.step()
    answer = network.predict(x, policy)
    assert network.training
    network.eval()
    torch.testing.assert_close(answer.logits, network(x)[-1], atol=1e-5, rtol=1e-5)


def test_a_deep_copy_stands_alone(network):
    x = torch.randn(4, 3, 32, 32)
    network.chain(x[:1])
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert float(network(x)[0].detach().abs().sum()) > 0
    assert float(twin(x)[0].detach().abs().sum()) == 0
    assert not any("chain" in key for key in network.state_dict())


def test_freezing_survives_train_and_leaves_every_buffer(network):
    network.freeze_backbone()
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    network.train()
    network(torch.randn(8, 3, 32, 32))[0].sum().backward()
    assert network.branches.training
    assert all(torch.equal(before[name], value) for name, value in network.backbone.state_dict().items())
    assert all(parameter.grad is None for parameter in network.backbone.parameters())


def test_gradient_equilibrium_scales_as_the_paper_says():
    """On a linear chain the gradient at h_i is (own + (m - 1) downstream) / m."""
    torch.manual_seed(0)
    chain = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2))
    heads = {"0": nn.Linear(3, 2), "1": nn.Linear(3, 2)}
    network = EarlyExitNetwork(chain, heads, design=design_at("0", "1", classes=2), transform=IMAGES)
    x = torch.randn(7, 3)
    one, two = chain[0](x).detach().requires_grad_(), None
    losses = []
    own_one = torch.autograd.grad(heads["0"](one).sum(), one, retain_graph=True)[0]
    two = chain[1](one)
    own_two = torch.autograd.grad(heads["1"](two).sum(), two, retain_graph=True)[0]
    down_two = torch.autograd.grad(chain[2](two).sum(), two, retain_graph=True)[0]
    at_two = own_two / 2 + down_two / 2
    at_one = own_one / 3 + 2 / 3 * (at_two @ chain[1].weight)
    losses = network(x, equilibrium=True)
    sum(exit_.sum() for exit_ in losses).backward()
    torch.testing.assert_close(chain[0].bias.grad, at_one.sum(dim=0))
    plain = copy.deepcopy(network)
    plain.zero_grad()
    torch.testing.assert_close([e.detach() for e in plain(x)], [e.detach() for e in losses])


def test_weights_travel_in_a_file(network, backbone, tmp_path):
    save_weights(network, tmp_path / "w.safetensors")
    other = build_network(design_at("layer1.0", "layer2.1"), backbone, seed=9)
    load_weights(other, tmp_path / "w.safetensors")
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(other.eval()(x), network(x))


def test_errors_name_the_rule(network, backbone):
    with pytest.raises(CutError, match="layer9"):
        build_network(design_at("layer9.0"), backbone)
    with pytest.raises(DesignError, match="7 classes"):
        build_network(design_at("layer1.0", classes=7), backbone)
    with pytest.raises(PolicyError, match="no policy"):
        network.predict(torch.randn(1, 3, 32, 32))
    wrong = ThresholdPolicy(score="margin", temperatures=(1.0,), thresholds=())
    with pytest.raises(PolicyError, match="must be for 3 exits as the network, got 1"):
        network.predict(torch.randn(1, 3, 32, 32), wrong)


def test_a_token_free_fc_branch_builds(backbone):
    design = small_design(Placed(cut_point="layer3.1", branch=Fc()), size=32, backbone="cifar_resnet20")
    assert build_network(design, backbone)(torch.randn(2, 3, 32, 32))[0].shape == (2, 4)


def test_predict_walks_over_no_modules(network, monkeypatch):
    x = torch.randn(1, 3, 32, 32)
    policy, _ = thresholds_in_the_middle(network, torch.randn(64, 3, 32, 32))
    network.predict(x, policy)  # looks up what it runs
    for name in ("train", "eval", "modules", "named_modules", "children", "named_children", "parameters"):
        monkeypatch.setattr(nn.Module, name, None)
    monkeypatch.setattr(EarlyExitNetwork, "train", None)
    for count in (1, 5):
        assert len(network.predict(x.expand(count, -1, -1, -1), policy).classes) == count


class Dropping(nn.Module):
    """A branch that answers noise in training mode."""

    def __init__(self, module):
        super().__init__()
        self.module, self.drop = module, nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.module(x))


@pytest.mark.parametrize("count", [1, 4])
def test_predict_is_in_eval_mode_and_leaves_every_mode_as_it_is(network, count):
    network.branches._modules["layer1/0"] = Dropping(network.branches.at("layer1.0"))
    network.eval()
    x = torch.randn(count, 3, 32, 32)
    policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=(0.0, 0.0))
    expected = network.predict(x, policy).logits
    network.branches.at("layer1.0").drop.train()  # by hand, one module
    torch.testing.assert_close(network.predict(x, policy).logits, expected)
    network.train()
    modes = [module.training for module in network.modules()]
    statistics = {name: value.clone() for name, value in network.named_buffers()}
    torch.testing.assert_close(network.predict(x, policy).logits, expected)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, statistics[name]) for name, value in network.named_buffers())


def test_predict_follows_the_weights(network):
    x = torch.randn(2, 3, 32, 32)
    policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=(None, None))
    before = network.predict(x, policy).logits
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01)
    changed = network.predict(x, policy).logits
    assert not torch.allclose(changed, before)
    torch.testing.assert_close(changed, network(x)[-1])
    torch.testing.assert_close(twin.predict(x, policy).logits, before)  # a copy of its own
    network.load_state_dict(twin.state_dict())
    torch.testing.assert_close(network.predict(x, policy).logits, before)
    network.double()
    torch.testing.assert_close(network.predict(x.double(), policy).logits, before, atol=1e-4, rtol=0)


def formats(network):
    weights = [each for each in network.parameters() if each.dim() == 4 and min(each.shape[1], each.shape[2]) > 1]
    assert len(weights) > 10
    return [each.is_contiguous(memory_format=torch.channels_last) for each in weights]


def test_a_trained_and_a_loaded_network_predict_in_one_memory_format(backbone, network, tmp_path):
    policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=(None, None))
    x = torch.randn(1, 3, 32, 32)
    trained = copy.deepcopy(network).to(memory_format=torch.channels_last)
    save_weights(trained, tmp_path / "w.safetensors")
    loaded = build_network(design_at("layer1.0", "layer2.1"), backbone)
    load_weights(loaded, tmp_path / "w.safetensors")
    parameters = list(loaded.parameters())
    answers = [each.predict(x, policy).logits for each in (trained, loaded)]
    assert torch.equal(*answers)
    assert all(formats(trained))
    assert all(formats(loaded))
    assert all(one is other for one, other in zip(parameters, loaded.parameters(), strict=True))  # an optimiser's too
    loaded.to(memory_format=torch.contiguous_format)
    assert torch.equal(loaded.predict(x, policy).logits, answers[0])
    assert all(formats(loaded))
    loaded.train()
    sum(exit_.sum() for exit_ in loaded(torch.randn(4, 3, 32, 32))).backward()  # no weight is an inference tensor
