from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.graphs import geometric
from eenas.backbones.graphs.graph_batch import GraphBatch
from eenas.backbones.graphs.graph_blocks import GraphBlock, Readout, graph_network
from eenas.backbones.graphs.message_layers import LAYERS, GCNLayer, GINLayer, MessageLayer, message_layer
from eenas.backbones.graphs.user_graphs import split_graphs
from eenas.backbones.load import load_backbone
from eenas.backbones.transforms.graph_transform import GraphTransform
from eenas.backbones.transforms.kinds import transform_from_table
from eenas.errors import BackboneError, CutError
from eenas.measurement.macs import count_macs

TRANSFORM = GraphTransform(4, 3, 8)
NEEDS_GEOMETRIC = pytest.mark.skipif(geometric.installed_layers() is None, reason="torch_geometric is not installed")


def longer(packed: Tensor, rows: int = 3) -> Tensor:
    return F.pad(packed, (0, 0, 0, rows))


@pytest.mark.parametrize(
    "kind", [*LAYERS, *(pytest.param(f"pyg_{each}", marks=NEEDS_GEOMETRIC) for each in ("gin", "gcn", "gat"))]
)
def test_padding_the_batch_and_the_exported_form_do_not_change_logits(kind: str) -> None:
    torch.manual_seed(0)
    network = graph_network(kind, 3, 4, 16, 2).eval()
    packed = TRANSFORM.example(5)
    logits = network(packed)
    assert torch.allclose(network(longer(packed)), logits, atol=1e-5)
    assert torch.allclose(network(packed[3:4]), logits[3:4], atol=1e-5)
    axes = ({0: torch.export.Dim("graphs"), 1: torch.export.Dim("nodes")},)
    program = torch.export.export(network, (packed,), dynamic_shapes=axes).module()
    assert torch.allclose(program(longer(packed[:3])), logits[:3], atol=1e-5)


def test_the_layers_are_those_of_torch_geometric() -> None:
    pyg: Any = geometric.installed_layers()
    if pyg is None:
        pytest.skip("torch_geometric is not installed")
    batch = GraphBatch.of(TRANSFORM.example(3), 4)
    # without self-loops and repetitions of the data: torch_geometric replaces the former
    edges = torch.unique(batch.edges[:, batch.edges[0] != batch.edges[1]], dim=1)
    torch.manual_seed(0)
    gcn, theirs = GCNLayer(4, 6), pyg.GCNConv(4, 6)
    theirs.lin.weight.data, theirs.bias.data = gcn.linear.weight.data, gcn.bias.data
    assert torch.allclose(gcn(batch.x, edges), theirs(batch.x, edges), atol=1e-5)
    gin = GINLayer(4, 6)
    their_gin = pyg.GINConv(gin.mlp, train_eps=True)  # which draws its weights anew
    assert torch.allclose(gin(batch.x, edges), their_gin(batch.x, edges), atol=1e-5)
    sage, their_sage = message_layer("sage", 4, 6), pyg.SAGEConv(4, 6)
    their_sage.lin_r.weight.data, their_sage.lin_l.bias.data = sage.own.weight.data, sage.own.bias.data  # type: ignore[union-attr]
    their_sage.lin_l.weight.data = sage.neighbours.weight.data  # type: ignore[union-attr]
    assert torch.allclose(sage(batch.x, edges), their_sage(batch.x, edges), atol=1e-5)
    gat, their_gat = message_layer("gat", 4, 8), pyg.GATConv(4, 2, heads=4)
    their_gat.lin.weight.data = gat.linear.weight.data  # type: ignore[union-attr]
    their_gat.att_src.data, their_gat.att_dst.data = gat.source.data[None], gat.target.data[None]  # type: ignore[union-attr]
    assert torch.allclose(gat(batch.x, edges), their_gat(batch.x, edges), atol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_first_nodes_alone_need_only_their_own_edges(kind: str) -> None:
    torch.manual_seed(0)
    layer = message_layer(kind, 4, 8)
    x, edges = torch.randn(9, 4), torch.randint(0, 9, (2, 40))
    degree = torch.bincount(edges[1], minlength=9).float()
    into = edges[:, edges[1] < 3]
    assert torch.allclose(layer(x, into, 3, degree), layer(x, edges)[:3], atol=1e-6)


def test_batch_normalisation_in_training_sees_real_nodes_only() -> None:
    torch.manual_seed(0)
    packed = TRANSFORM.example(3)
    block, padded_block = GraphBlock(GINLayer(4, 5), 4, 5), GraphBlock(GINLayer(4, 5), 4, 5)
    padded_block.load_state_dict(block.state_dict())
    one, other = block.train()(packed), padded_block.train()(longer(packed, 20))
    assert torch.allclose(other[:, :8], one, atol=1e-5)
    assert torch.equal(block.norm.running_mean, padded_block.norm.running_mean)  # type: ignore[arg-type]
    batch = GraphBatch.of(packed, 4)
    expected = F.batch_norm(block.layer(batch.x, batch.edges), None, None, training=True).relu()
    assert torch.allclose(one[..., :5][batch.mask], expected, atol=1e-4)


def test_gradients_reach_the_features_of_real_nodes() -> None:
    packed = TRANSFORM.example(2).requires_grad_()
    graph_network("gin", 3, 4, 8, 2)(packed).square().sum().backward()
    assert packed.grad is not None
    assert float(packed.grad[..., :4].abs().sum()) > 0


def test_graphs_without_edges_with_self_loops_and_isolated_nodes_run() -> None:
    network = graph_network("gin", 3, 4, 8, 2).eval()
    alone = torch.zeros(2, 3, 5)
    alone[..., 4] = 1
    assert torch.isfinite(network(alone)).all()
    loops = torch.zeros(1, 2, 7)
    loops[..., 4] = 1
    loops[0, 0, 5:] = 1
    found = network(loops)
    assert torch.isfinite(found).all()
    assert not torch.allclose(found, network(torch.cat([loops[..., :5], torch.zeros(1, 2, 2)], dim=2)))


def test_read_outs_leave_out_the_padding() -> None:
    packed = torch.tensor([[[1.0, 1], [3, 1], [9, 0]], [[-2, 1], [7, 0], [7, 0]]])
    assert Readout(1)(packed).tolist() == [[2, 3, 4], [-2, -2, -2]]
    with pytest.raises(BackboneError, match="a read-out is one of mean, max, sum, got 'median'"):
        Readout(1, ("median",))


def test_a_named_network_is_cut_behind_each_block_and_carries_mask_and_edges() -> None:
    backbone = load_backbone("gin", num_classes=3, inputs=TRANSFORM.inputs)
    assert [point.name for point in backbone.cut_points] == [f"block{number}" for number in range(5)]
    assert {(point.shape.channels, point.shape.carried) for point in backbone.cut_points} == {(64, 7)}
    chain = Chain.built_from(backbone.module, backbone.example(), ["block0", "block2"])
    packed = backbone.example(4)
    backbone.module.eval()
    assert torch.allclose(chain(longer(packed)), backbone.module(packed), atol=1e-5)
    first = 8 * (4 * 64 + 64 * 64)  # the two matrices of the first block on the 8 nodes of the reference graph
    assert first < count_macs(chain.segments[0], packed) < 1.5 * first


def test_a_transform_is_read_back_and_takes_other_sizes() -> None:
    assert transform_from_table(TRANSFORM.to_table()) == TRANSFORM
    assert TRANSFORM(torch.zeros(2, 99, 11)).shape == (2, 99, 11)
    with pytest.raises(BackboneError, match=r"floats \[N, nodes, 11\]"):
        TRANSFORM(torch.zeros(2, 99, 10))
    with pytest.raises(BackboneError, match="takes 4 features a node, and the task has 5"):
        TRANSFORM.sized(GraphTransform(5, 3, 8).inputs)


def test_a_network_for_graphs_is_refused_for_images_and_the_other_way_round() -> None:
    with pytest.raises(BackboneError, match="takes graphs"):
        load_backbone("gin", num_classes=3, input_size=32)
    with pytest.raises(BackboneError, match="gin, gcn or gat"):
        load_backbone("cifar_resnet20", num_classes=3, inputs=TRANSFORM.inputs)


def test_an_absent_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometric, "installed_layers", lambda: None)
    with pytest.raises(BackboneError, match=r"pip install 'eenas\[graph\]', or use gin"):
        graph_network("pyg_gin", 3, 4)


class Own(nn.Module):
    """A network as its users write it, here with layers of eenas."""

    def __init__(self, num_classes: int = 3, jumps: bool = False) -> None:
        super().__init__()
        self.conv1 = GINLayer(4, 6)
        self.convs = nn.ModuleList([GCNLayer(6, 6), GCNLayer(6, 5)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(6), nn.BatchNorm1d(5)])
        self.classifier = nn.Linear(5 + 6 * jumps, num_classes)
        self.jumps = jumps

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        first = x = self.conv1(x, edge_index).relu()
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.dropout(F.relu(norm(conv(x, edge_index))), p=0.5, training=self.training)
        x = torch.cat([x, first], dim=1) if self.jumps else x
        pooled = torch.zeros(8, x.shape[1], device=x.device).index_add(0, batch, x)
        logits: Tensor = self.classifier(pooled)
        return logits[:5]


def test_a_users_network_is_split_behind_its_layers_and_trains_as_it_is() -> None:
    torch.manual_seed(0)
    own = Own()
    parts = split_graphs(own, TRANSFORM.inputs, "Own")
    assert [name for name, _ in parts.named_children()] == ["conv1", "convs_0", "convs_1", "output"]
    assert {id(each) for each in own.parameters()} == {id(each) for each in parts.parameters()}
    packed = TRANSFORM.example(5)
    batch = GraphBatch.of(packed, 4)
    for mode in (False, True):
        own.train(mode), parts.train(mode)
        torch.manual_seed(1)
        expected = own(batch.x, batch.edges, batch.graph_of)
        torch.manual_seed(1)
        assert torch.allclose(parts(packed), expected, atol=1e-5)


def test_a_jumping_connection_leaves_the_cuts_that_it_does_not_pass() -> None:
    parts = split_graphs(Own(jumps=True), TRANSFORM.inputs, "Own")
    assert [name for name, _ in parts.named_children()] == ["conv1", "convs_1", "output"]  # the joined features


def test_a_layer_that_is_called_again_is_a_part_of_its_own_each_time() -> None:
    class Again(Own):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            x = self.conv1(x, edge_index).relu()
            for _ in range(2):
                x = self.convs[0](x, edge_index).relu()
            return torch.zeros(8, 6, device=x.device).index_add(0, batch, x)[:5]

    torch.manual_seed(0)
    own = Again().eval()
    parts = split_graphs(own, TRANSFORM.inputs, "Again").eval()
    assert [name for name, _ in parts.named_children()] == ["conv1", "convs_0", "convs_0_2", "output"]
    packed = TRANSFORM.example(5)
    batch = GraphBatch.of(packed, 4)
    assert torch.allclose(parts(packed), own(batch.x, batch.edges, batch.graph_of), atol=1e-5)


def test_a_layer_is_known_by_its_class_and_not_by_the_name_of_it() -> None:
    class MessagePassing(nn.Linear):
        """Only called so."""

    class Called(Own):
        def __init__(self) -> None:
            super().__init__()
            self.first = MessagePassing(4, 4)

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            return super().forward(self.first(x), edge_index, batch)

    parts = split_graphs(Called(), TRANSFORM.inputs, "Called")
    assert [name for name, _ in parts.named_children()] == ["conv1", "convs_0", "convs_1", "output"]


def test_what_cannot_be_traced_or_run_is_said() -> None:
    class Branching(Own):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            return super().forward(x, edge_index, batch) if x.sum() > 0 else x

    with pytest.raises(CutError, match="cannot be traced"):
        split_graphs(Branching(), TRANSFORM.inputs, "Branching")
    with pytest.raises(CutError, match="does not run on nodes with 7 features"):
        split_graphs(Own(), GraphTransform(7, 3, 8).inputs, "Own")


@NEEDS_GEOMETRIC
def test_a_module_of_torch_geometric_is_loaded_and_cut() -> None:
    pyg: Any = geometric.installed_layers()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = pyg.GCNConv(4, 8), pyg.GATConv(8, 4, heads=2)
            self.classifier = nn.Linear(8, 3)

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            x = self.conv2(self.conv1(x, edge_index).relu(), edge_index).relu()
            logits: Tensor = self.classifier(pyg.global_mean_pool(x, batch))
            return logits

    torch.manual_seed(0)
    net = Net().eval()
    backbone = load_backbone(net, num_classes=3, inputs=TRANSFORM.inputs)
    assert [point.name for point in backbone.cut_points] == ["conv1", "conv2"]
    packed = backbone.example(4)
    batch = GraphBatch.of(packed, 4)
    chain = Chain.built_from(backbone.module, packed, ["conv1"])
    assert torch.allclose(chain(longer(packed)), net(batch.x, batch.edges, batch.graph_of), atol=1e-5)


def test_a_message_layer_has_a_forward_of_its_own() -> None:
    with pytest.raises(TypeError, match="abstract"):
        MessageLayer()  # type: ignore[abstract]
