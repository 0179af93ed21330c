"""Which parameters and modules lie before which exit, on backbones of every kind."""

import pytest
import torch
from torch import nn

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.branches.registry import branch_from_sizes
from eenas.designs.design import Design, Placed
from eenas.networks.assembly import build_network
from eenas.testing.smallest import smallest_backbone
from eenas.training.segments import segments
from tests.smallest_networks import small_design


def network_on(module, positions, size=8):
    backbone = load_backbone(module, num_classes=4, input_size=size)
    names = [backbone.cut_points[position].name for position in positions]
    branch = branch_from_sizes("fc", width=1, layers=1, pool="avg")
    design = small_design(*(Placed(name, branch) for name in names), size=size)
    return build_network(design, backbone), names


def test_a_chain_is_cut_between_its_children():
    network, names = network_on(smallest_backbone(4), (0, 2))
    assert names == ["0", "2"]
    first, second, last = segments(network)
    assert {name.split(".")[0] for name in first.parameters} == {"0"}
    assert {name.split(".")[0] for name in second.parameters} == {"1", "2"}
    assert {name.split(".")[0] for name in last.parameters} == {"3", "4"}
    assert {"1", "1.1", "2.2"} <= second.modules
    assert not first.modules & second.modules


class Tokens(nn.Module):
    """A transformer whose positions are owned by the whole of it; attention drops out."""

    def __init__(self):
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(1, 4, 8))
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(3)))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2) + self.positions).mean(1))


def resnet():
    return load_backbone(BackboneSpec(name="cifar_resnet20", weights="none"), num_classes=4, input_size=32)


def tokens():
    return load_backbone(Tokens(), num_classes=4, input_size=8)


@pytest.mark.parametrize("load", [resnet, tokens])
def test_every_parameter_and_module_has_one_segment(load):
    backbone = load()
    points = [backbone.cut_points[k] for k in (1, len(backbone.cut_points) // 2 + 1)]
    branch = branch_from_sizes("pool_fc", width=1, layers=1, pool="avg")
    design = Design(
        backbone="own",
        num_classes=4,
        inputs=backbone.transform.inputs,
        branches=tuple(Placed(point.name, branch) for point in points),
    )
    network = build_network(design, backbone)
    found = segments(network)
    assert len(found) == 3
    parameters = [name for segment in found for name in segment.parameters]
    assert sorted(parameters) == sorted(name for name, _ in network.backbone.named_parameters())
    modules = [name for segment in found for name in segment.modules]
    assert len(modules) == len(set(modules))
    with_statistics = {n for n, module in network.backbone.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for segment in found:  # a normalisation's statistics move where its weights do
        for module in segment.modules & with_statistics:
            assert f"{module}.weight" in segment.parameters


class Shared(nn.Module):
    """One convolution, and one dropout, used twice; a scale that no module owns; a part that nothing needs."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])
        self.act = nn.ReLU(inplace=True)
        self.middle = nn.Identity()
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        x = self.act(self.norms[0](self.conv(x * self.scale)))
        x = self.middle(x)
        x = self.act(self.norms[1](self.conv(x)))
        return self.head(x.mean((2, 3)))


def test_what_is_shared_belongs_to_the_first_that_uses_it():
    branch = branch_from_sizes("fc", width=1, layers=1, pool="avg")
    backbone = load_backbone(Shared(), num_classes=4, input_size=8)
    design = small_design(Placed("middle", branch))
    first, last = segments(build_network(design, backbone))
    assert first.parameters == {"scale", "conv.weight", "conv.bias", "norms.0.weight", "norms.0.bias"}
    assert last.parameters == {"norms.1.weight", "norms.1.bias", "head.weight", "head.bias"}
    assert {"conv", "act", "norms.0"} <= first.modules
    assert {"norms.1", "head"} <= last.modules
    assert "unused" not in first.modules | last.modules


def test_the_network_itself_is_untouched():
    network, _ = network_on(smallest_backbone(4), (0, 2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    segments(network)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
