"""Experts with their own batch normalisation: all else of the backbone is shared, and statistics are those of data."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from eenas.branches.fc import Fc
from eenas.designs.design import Placed
from eenas.errors import DesignError
from eenas.networks.assembly import build_network
from eenas.networks.experts.expert_network import ExpertNetwork, own_state
from eenas.networks.experts.own_norms import estimate_norms, norm_state, norms_of, with_own_norms
from tests.networks.experts_network import base_network, classifier_of, expert_network
from tests.smallest_networks import loaded, small_design


def chosen(count, number):
    return np.full(count, number, dtype=np.int64)


def test_experts_share_convolutions_and_nothing_of_batch_normalisation():
    network = expert_network(own_norms=True)
    norms = {f"{name}.{key}" for name, norm in norms_of(network.body).items() for key in norm.state_dict()}
    assert norms
    first, other = (dict(network.body_of(number).state_dict()) for number in (0, 1))
    assert first.keys() == other.keys()
    own = {key for key in first if first[key].data_ptr() != other[key].data_ptr()}
    assert own == norms
    assert {key for key in own_state(network) if key.startswith("bodies.1.")} == {f"bodies.1.{key}" for key in norms}


def test_the_first_expert_answers_as_the_network_that_was_given_and_the_others_by_their_statistics():
    base = base_network()
    network, x = expert_network(base, own_norms=True), torch.randn(12, 3, 8, 8)
    for mine, theirs in zip(network(x, chosen(12, 0)), base(x), strict=True):
        torch.testing.assert_close(mine, theirs)
    features = [network.features(x, number) for number in range(3)]
    assert all((one - other).abs().max() > 1e-3 for one, other in zip(features[0], features[1], strict=True))
    assert all((one - other).abs().max() > 1e-3 for one, other in zip(features[1], features[2], strict=True))
    mixed = np.arange(12) % 3
    whole = network(x, mixed)
    for number in range(3):
        rows = torch.from_numpy(np.flatnonzero(mixed == number))
        for mine, own in zip(whole, network.expert_logits(number, network.features(x[rows], number)), strict=True):
            torch.testing.assert_close(mine[rows], own)


def test_a_copy_and_loaded_weights_answer_alike():
    network, x = expert_network(own_norms=True), torch.randn(9, 3, 8, 8)
    before = network(x, chosen(9, 2))
    other = expert_network(own_norms=True)
    with torch.no_grad():
        for tensor in (*other.parameters(), *other.buffers()):
            tensor.zero_()
    other(x, chosen(9, 2))
    other.load_state_dict(network.state_dict())
    for each in (copy.deepcopy(network), other):
        for mine, theirs in zip(each(x, chosen(9, 2)), before, strict=True):
            torch.testing.assert_close(mine, theirs)


def test_statistics_are_the_means_over_batches():
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5)).eval()
    body = with_own_norms(module)
    batches = [torch.randn(8, 3, 4, 4) * 2 + 1 for _ in range(3)]
    before = {key: value.clone() for key, value in module.state_dict().items()}
    estimate_norms(body, batches)
    for layer, inputs in ((0, batches), (2, [])):
        if layer == 2:  # what the first layer gives with the statistics of each batch
            for batch in batches:
                mean, var = batch.mean((0, 2, 3), keepdim=True), batch.var((0, 2, 3), keepdim=True, unbiased=False)
                inputs.append(module[1]((batch - mean) / (var + 1e-5).sqrt()).detach())
        torch.testing.assert_close(body[layer].running_mean, torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0))
        torch.testing.assert_close(body[layer].running_var, torch.stack([x.var((0, 2, 3)) for x in inputs]).mean(0))
    assert not any(each.training for each in body.modules())
    assert body[0].momentum == 0.1
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert norm_state(body).keys() == {key for key in before if not key.startswith("1.")}


def test_a_backbone_without_statistics_of_batch_normalisation_is_refused():
    module = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU()), nn.Sequential(nn.Flatten(), nn.Linear(144, 4))
    )
    base = build_network(small_design(Placed("0", Fc())), loaded(module), seed=1)
    with pytest.raises(DesignError, match='none; set batch_norm to "shared"'):
        ExpertNetwork(base, classifier_of(base.transform), own_norms=True)
