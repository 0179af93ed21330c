from collections import OrderedDict
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.graphs import geometric
from eenas.backbones.graphs.graph_blocks import GraphBlock, Readout, graph_network
from eenas.backbones.graphs.message_layers import GCNLayer, SAGELayer, added
from eenas.backbones.load import load_backbone
from eenas.backbones.transforms.graph_transform import GraphTransform
from eenas.errors import MeasurementError, SpecError
from eenas.measurement.costs.edges import EdgesCost
from eenas.measurement.profile import BranchCost, Profile, profile_backbone

INPUTS = GraphTransform(4, 3, 8).inputs
NEEDS_GEOMETRIC = pytest.mark.skipif(geometric.installed_layers() is None, reason="torch_geometric is not installed")


def profile(module: nn.Module) -> Profile:
    backbone = load_backbone(module, num_classes=3, inputs=INPUTS)
    names = [point.name for point in backbone.cut_points]
    chain = Chain.built_from(backbone.module, backbone.example(), names)
    return profile_backbone(backbone, chain, device=torch.device("cpu"), latency=None)


class Mean(nn.Module):
    """A layer of the user that is of no known class, as a block may hold it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        mapped: Tensor = self.linear(x)
        return mapped + added(mapped[edges[0]], edges[1], len(x))


class Deep(nn.Module):
    """Two layers before the first cut point of its second half, since the first features are needed again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.shared = GCNLayer(4, 6), SAGELayer(6, 6), GCNLayer(6, 6)
        self.classifier = nn.Linear(6, 3)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        first = self.conv1(x, edge_index).relu()
        x = self.conv2(first, edge_index).relu() + first
        x = self.shared(self.shared(x, edge_index).relu(), edge_index)
        pyg: Any = geometric.installed_layers()
        logits: Tensor = self.classifier(pyg.global_mean_pool(x, batch))
        return logits


def test_each_layer_touches_every_edge_once_and_branches_none() -> None:
    torch.manual_seed(0)
    found = profile(graph_network("gin", 3, 4, width=8, blocks=3))
    assert found.messages == (1, 2, 3, 3)
    assert EdgesCost(edges=20).prefixes(found) == [20, 40, 60, 60]
    assert EdgesCost(edges=20).branch(BranchCost(macs=5, parameters=5), found.cut_points[0].shape, found) == 0


@NEEDS_GEOMETRIC
def test_layers_without_a_cut_point_of_their_own_and_repeated_ones_count() -> None:
    torch.manual_seed(0)
    found = profile(Deep())
    assert [point.name for point in found.cut_points] == ["conv1", "conv2", "shared", "shared_2"]
    assert found.messages == (1, 2, 3, 4, 4)


def test_the_layer_of_a_block_counts_whatever_its_class() -> None:
    parts = [GraphBlock(Mean(), 4, 4), GraphBlock(Mean(), 4, 4), Readout(4), nn.Linear(12, 3)]
    named = OrderedDict((f"part{number}", part) for number, part in enumerate(parts))
    assert profile(nn.Sequential(named)).messages == (1, 2, 2)


@NEEDS_GEOMETRIC
def test_a_layer_of_torch_geometric_counts_each_propagation() -> None:
    pyg: Any = geometric.installed_layers()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = pyg.GATConv(4, 8), pyg.SGConv(8, 6, K=3)
            self.classifier = nn.Linear(6, 3)

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            x = self.conv2(self.conv1(x, edge_index).relu(), edge_index)
            logits: Tensor = self.classifier(pyg.global_mean_pool(x, batch))
            return logits

    torch.manual_seed(0)
    assert profile(Net()).messages == (1, 4, 4)


def test_the_counts_are_written_and_read_back() -> None:
    torch.manual_seed(0)
    found = profile(graph_network("gcn", 3, 4, width=8, blocks=2))
    table = found.to_table()
    assert Profile.from_table(table) == found
    assert "messages" not in replace(found, messages=()).to_table()
    with pytest.raises(MeasurementError, match="messages are 3 counts"):
        Profile.from_table({**table, "messages": [1]})


def test_other_networks_and_numbers_are_refused() -> None:
    tokens = replace(profile(graph_network("gcn", 3, 4, width=8, blocks=2)), messages=(), backbone="text_transformer")
    assert all(point.shape.carried for point in tokens.cut_points)
    with pytest.raises(MeasurementError, match="networks for graphs, and text_transformer has no message-passing"):
        EdgesCost(edges=20).prefixes(tokens)
    with pytest.raises(SpecError, match="edges must be positive"):
        EdgesCost(edges=0)


@NEEDS_GEOMETRIC
@pytest.mark.parametrize("kind", ["gin", "gcn", "gat"])
def test_layers_of_torch_geometric_have_about_the_macs_of_the_plain_ones(kind: str) -> None:
    torch.manual_seed(0)
    plain, other = (profile(graph_network(name, 3, 4, width=8, blocks=2)) for name in (kind, f"pyg_{kind}"))
    for found, expected in zip((*other.macs, other.total_macs), (*plain.macs, plain.total_macs), strict=True):
        assert 8 / 9 * expected <= found <= expected  # the plain ones may compute the padding as one node more
