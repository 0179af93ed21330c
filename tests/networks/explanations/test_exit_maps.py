"""Maps of relevance: against a formula, on tokens and series, without effects on the network; their faithfulness."""

import numpy as np
import pytest
import torch
from torch import nn

from eenas.branches.cascade import Cascade
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import InputError
from eenas.networks.assembly import build_network
from eenas.networks.explanations.exit_maps import exit_maps
from eenas.networks.explanations.faithfulness import faithfulness
from tests.smallest_networks import loaded, small_design


def built(*branches, module=None, size=8, **values):
    found = loaded(module, size=size)
    placed = tuple(Placed(cut_point=name, branch=branch) for name, branch in branches)
    torch.manual_seed(0)
    return build_network(small_design(*placed, size=size, **values), found)


def test_a_branch_that_averages_has_the_map_of_grad_cam():
    network = built(("1", PoolFc(pool="avg", size=1))).eval()
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    found = exit_maps(network, x, torch.tensor([0, 1, 2, 3]))
    with torch.no_grad():
        feature = network.backbone[:2](x)
    linear = next(each for each in network.branches.modules() if isinstance(each, nn.Linear))
    expected = torch.einsum("nchw,nc->nhw", feature, linear.weight.detach()).clamp(min=0)
    large = nn.functional.interpolate(expected[:, None], size=(8, 8), mode="bilinear")[:, 0]
    scaled = (large / large.amax(dim=(1, 2), keepdim=True)).nan_to_num()  # a map without evidence is zero
    np.testing.assert_allclose(found.maps[:, 0], scaled, atol=1e-5)
    assert found.places == ("1", "3")


def test_the_network_stays_as_it_was_and_the_logits_are_its_own():
    network = built(("0", PoolFc(pool="max", size=2)), ("2", Fc()))
    network.freeze_backbone()
    network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    x = torch.randn(3, 3, 8, 8)
    found = exit_maps(network, x)
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(parameter.requires_grad for parameter in network.backbone.parameters())
    network.eval()
    assert torch.equal(torch.stack(network(x), dim=1), found.logits)
    assert found.maps.shape == (3, 3, 8, 8)
    assert ((found.maps >= 0) & (found.maps <= 1)).all()
    assert not any(module._forward_hooks for module in network.backbone.modules())
    with torch.inference_mode(False), torch.no_grad():
        assert torch.equal(exit_maps(network, x).maps, found.maps)


class Tokens(nn.Module):
    """A class token and patches, and two blocks in which they see each other."""

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, 16))
        self.patch_embed = nn.Conv2d(3, 16, 2, 2)
        self.embedded = nn.Identity()
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        tokens = self.embedded(torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1))
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens[:, 0])


def test_a_class_token_has_the_map_of_the_block_before_it():
    network = built(("blocks.0", Fc()), module=Tokens())
    found = exit_maps(network, torch.randn(3, 3, 8, 8))
    assert found.places == ("embedded", "blocks.0")
    assert found.maps.shape == (3, 2, 8, 8)
    assert (found.maps.flatten(2).std(dim=2) > 0).all()


def test_a_static_network_and_a_cascade_have_maps():
    found = exit_maps(built(("1", Fc()), static=True), torch.randn(2, 3, 8, 8))
    assert found.maps.shape == (2, 1, 8, 8)
    assert exit_maps(built(("1", Fc()), ("2", Cascade(branch=Fc()))), torch.randn(2, 3, 8, 8)).maps.any()


def test_an_exit_without_places_is_refused_in_one_line():
    flat = nn.Sequential(nn.Conv2d(3, 8, 8), nn.Flatten(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    with pytest.raises(InputError, match=r"the exit 3 reads \(8,\), which has no places of the input; a map needs"):
        exit_maps(built(("3", Fc()), module=flat), torch.randn(2, 3, 8, 8))
    with pytest.raises(InputError, match=r"no cut point before the exit final has places of the input"):
        exit_maps(built(module=flat), torch.randn(2, 3, 8, 8))


def test_areas_are_those_of_probabilities_while_places_change():
    network = built(("1", PoolFc(pool="avg", size=1)))
    x = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    found = exit_maps(network, x)
    classes = found.logits[:, -1].argmax(dim=1)
    areas = faithfulness(network, x, found.maps, classes)
    for each in (areas.deletion, areas.insertion, areas.shuffled):
        assert each.shape == (8, 2)
        assert ((each >= 0) & (each <= 1)).all()
    rolled = faithfulness(network, x, found.maps.roll(-1, dims=0), classes)
    np.testing.assert_allclose(areas.shuffled, rolled.deletion, atol=1e-6)
    network.eval()
    flat = faithfulness(network, torch.zeros_like(x), torch.rand(8, 2, 8, 8), classes)
    expected = torch.stack(network(torch.zeros_like(x)), dim=1).softmax(dim=2)[torch.arange(8), :, classes]
    np.testing.assert_allclose(flat.deletion, expected.detach(), atol=1e-5)  # nothing changes, so the curve is flat
