"""Names of the user's modules that are words of ours, or nested in each other."""

import copy

import torch
from torch import nn

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.branches.fc import Fc
from eenas.designs.design import Placed, exit_names
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.networks.network import key_of
from tests.smallest_networks import small_design

from ..styles import block


class Words(nn.Module):
    """Blocks called as exits, and as what a network holds."""

    def __init__(self) -> None:
        super().__init__()
        self.final, self.branches, self.backbone = block(3, 8), block(8, 16), block(16, 24)
        self.fc = nn.Linear(24, 4)

    def forward(self, x):
        return self.fc(self.backbone(self.branches(self.final(x))).mean((2, 3)))


def network_at(module, *names):
    torch.manual_seed(0)
    found = load_backbone(module, num_classes=4, input_size=16)
    placed = tuple(Placed(name, Fc()) for name in names)
    return build_network(small_design(*placed, size=16), found)


def test_the_last_exit_has_a_name_of_its_own():
    assert exit_names(()) == ("final",)
    assert exit_names(("a", "b")) == ("a", "b", "final")
    assert exit_names(("final", "(final)")) == ("final", "(final)", "((final))")


def test_a_block_called_final_is_a_branch_like_others():
    network = network_at(Words(), "final", "branches").eval()
    assert network.exits == ("final", "branches", "(final)")
    assert network.exits == network.design.exits
    x = torch.randn(2, 3, 16, 16)
    first, _, last = network(x)
    assert torch.equal(first, network.branches.at("final")(network.backbone.final(x)))
    assert torch.equal(network(x, exits=[0])[0], first)
    assert torch.allclose(last, network.backbone(x))
    assert not torch.allclose(first, last)


def test_keys_are_unique_at_nested_cut_points(tmp_path):
    def make():
        first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Sequential(nn.BatchNorm2d(4)), nn.ReLU())
        return nn.Sequential(first, block(4, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))

    torch.manual_seed(0)
    found = load_backbone(make(), num_classes=4, input_size=16)
    names = [point.name for point in found.all_cut_points]
    assert any(other.startswith(f"{name}.") for name in names for other in names), "some are nested"
    network = network_at(make(), *names)
    entries = network.state_dict()
    tensors = [*network.parameters(), *network.buffers()]
    assert len(entries) == len(tensors)
    save_weights(network, tmp_path / "w.safetensors")
    other = network_at(make(), *names)
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    load_weights(other, tmp_path / "w.safetensors")
    assert all(torch.equal(value, entries[name]) for name, value in other.state_dict().items())


def test_keys_of_names_differ():
    names = ["0.1", "0/1", "0~1", "0.~1", "0", "01"]
    assert len({key_of(name) for name in names}) == len(names)
    assert not any("." in key_of(name) for name in names)


def test_weights_with_older_keys_load():
    found = load_backbone(BackboneSpec("cifar_resnet20"), num_classes=4)
    placed = (Placed("layer1.0", Fc()), Placed("layer2.1", Fc()))
    network = build_network(small_design(*placed, size=32), found)
    older = {key.replace("/", "."): value for key, value in network.state_dict().items()}
    assert older.keys() != network.state_dict().keys()
    copy.deepcopy(network).load_state_dict(older)
