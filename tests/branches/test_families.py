"""Every shipped family against the contract, and against what its description says it computes."""

import pytest
import torch
from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.branches.capsule import Capsule
from eenas.branches.cascade import Cascade
from eenas.branches.conv_fc import ConvFc
from eenas.branches.conv_pool_fc import ConvPoolFc
from eenas.branches.conv_stack import ConvStack
from eenas.branches.fc import Fc
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc
from eenas.branches.readout import ReadoutBranch
from eenas.branches.registry import FAMILIES
from eenas.branches.tokens.attention_fc import AttentionFc
from eenas.branches.tokens.pooler_fc import PoolerFc
from eenas.branches.tokens.token_conv import TokenConv
from eenas.errors import BranchError
from eenas.measurement.macs import count_macs, count_parameters
from eenas.testing.branch_contract import check_branch

SHAPES = {
    "map": FeatureShape((6, 16, 16)),
    "odd map": FeatureShape((5, 7, 9)),
    "one place": FeatureShape((12, 1, 1)),
    "channels last": FeatureShape((7, 7, 8), channels_last=True),
    "tokens": FeatureShape((16, 12)),
    "class token": FeatureShape((17, 12), prefix_tokens=1),
    "distilled": FeatureShape((18, 12), prefix_tokens=2),
    "ragged tokens": FeatureShape((11, 12)),
    "vector": FeatureShape((20,)),
    "series": FeatureShape((6, 40), is_series=True),
    "short series": FeatureShape((5, 7), is_series=True),
}
STRUCTURES: list[Branch] = [
    Fc(),
    Mlp(width=16),
    ConvFc(width=8),
    ConvStack(width=8, layers=1),
    ConvStack(width=8, layers=3, size=1),
    PoolFc(pool="avg"),
    PoolFc(pool="max", size=2),
    PoolFc(pool="mixed"),
    ConvPoolFc(width=8, layers=1, pool="max"),
    ConvPoolFc(width=8, layers=2, pool="mixed", size=1),
    ConvPoolFc(width=0, layers=1, begin="relu", norm="none"),
    ConvPoolFc(width=8, layers=2, pool="max", begin="max2", norm="batch"),
    ConvPoolFc(width=8, layers=1, pool="max", begin="max3", norm="response"),
    Mlp(width=8, norm="none", dropout=0.0),
    Capsule(width=16, d_out=6),
    PoolerFc(width=8),
    PoolerFc(width=0, norm="none", reads="mean"),
    AttentionFc(width=8, heads=2),
    AttentionFc(width=0),
    TokenConv(width=8),
    TokenConv(width=8, layers=2, pool="mixed"),
    ReadoutBranch(width=8),
    ReadoutBranch(width=8, pools=("sum",)),
    Cascade(branch=PoolFc(pool="mixed")),
    Cascade(branch=Capsule(width=8, d_out=4, routing=1)),
]


def _can_stand(branch: Branch, shape: FeatureShape) -> bool:
    if isinstance(branch, Cascade):
        return _can_stand(branch.branch, shape)
    if shape.kind == "vector":
        return isinstance(branch, Fc | Mlp | PoolerFc)
    if isinstance(branch, ReadoutBranch):
        return shape.kind == "tokens"
    if isinstance(branch, TokenConv):
        return shape.kind == "series" or shape is SHAPES["ragged tokens"]
    if isinstance(branch, PoolerFc | AttentionFc):
        return True
    if shape.kind == "series" and isinstance(branch, Capsule):
        return False
    if shape is SHAPES["one place"] and isinstance(branch, ConvPoolFc):
        return branch.begin in ("conv", "max2")
    return shape is not SHAPES["ragged tokens"] or isinstance(branch, Fc | Mlp | PoolFc)


def test_every_family_is_tested() -> None:
    """The learned ones, which build only what a search found, are tested with it."""
    assert {branch.kind for branch in STRUCTURES} - {"cascade"} == {kind for kind in FAMILIES if "learned" not in kind}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("branch", STRUCTURES, ids=lambda branch: f"{branch.label()} {getattr(branch, 'size', '')}")
def test_contract(branch: Branch, shape: FeatureShape) -> None:
    if _can_stand(branch, shape):
        check_branch(branch, shape, 5)
        return
    with pytest.raises(BranchError, match=r"use (fc|conv_pool_fc|conv_stack)"):
        branch.check(shape)
    with pytest.raises(BranchError, match=r"use (fc|conv_pool_fc|conv_stack)"):
        branch.build(shape, 5)


@pytest.mark.parametrize(
    ("branch", "share"),
    [(Fc(), 0.005), (PoolFc(), 0.001), (ConvFc(width=16), 0.02), (ConvPoolFc(width=16, layers=2), 0.02)],
    ids=["fc", "pool_fc", "conv_fc", "conv_pool_fc"],
)
def test_narrow_branches_cost_about_one_percent_of_cifar_resnet20(branch: Branch, share: float) -> None:
    for shape in (FeatureShape((16, 32, 32)), FeatureShape((32, 16, 16)), FeatureShape((64, 8, 8))):
        assert count_macs(branch.build(shape, 10), shape) <= share * 40.8e6


def test_conv_fc_costs_what_its_formula_says() -> None:
    shape = FeatureShape((16, 32, 32))
    assert count_macs(ConvFc(width=16).build(shape, 10), shape) == 16 * 16 * 9 * 16**2 + 16 * 16**2 * 10 + 10


def test_conv_stack_halves_only_maps_larger_than_eight() -> None:
    module = ConvStack(width=4, layers=2, size=100)
    large, small = FeatureShape((3, 9, 9)), FeatureShape((3, 8, 8))
    assert module.build(large, 2)[-1].in_features == 4 * 5 * 5
    assert module.build(small, 2)[-1].in_features == 4 * 8 * 8


def test_fully_convolutional_form_is_the_average_of_a_1x1_convolution() -> None:
    module = ConvStack(width=6, layers=1, size=1).build(FeatureShape((3, 8, 8)), 5).eval()
    x = torch.randn(2, 3, 8, 8)
    linear = module[-1]
    conv = nn.Conv2d(6, 5, 1)
    conv.weight.data, conv.bias.data = linear.weight.data[..., None, None], linear.bias.data
    slow = conv(module[1](module[0](x))).mean(dim=(2, 3))
    torch.testing.assert_close(module(x), slow)


def test_the_class_token_answers_where_there_is_one() -> None:
    module = Fc().build(FeatureShape((5, 12), prefix_tokens=1), 3).eval()
    x = torch.randn(2, 5, 12)
    changed = x.clone()
    changed[:, 1:] = 0
    assert torch.equal(module(x), module(changed))
    mean = Fc().build(FeatureShape((5, 12)), 3).eval()
    assert not torch.allclose(mean(x), mean(changed))


def test_dropping_the_class_token_keeps_the_square() -> None:
    module = ConvFc(width=4).build(FeatureShape((17, 12), prefix_tokens=1), 3).eval()
    x = torch.randn(2, 17, 12)
    changed = x.clone()
    changed[:, 0] = 0
    assert torch.equal(module(x), module(changed))
    laid_out = module[0](x)
    torch.testing.assert_close(laid_out[:, :, 1, 2], module[0].norm(x[:, 1 + 4 + 2]))


def test_channels_last_maps_are_read_by_their_own_layout() -> None:
    module = PoolFc(size=1).build(FeatureShape((7, 9, 8), channels_last=True), 3).eval()
    x = torch.randn(2, 7, 9, 8)
    slow = module[-1](nn.functional.layer_norm(x, (8,)).mean(dim=(1, 2)))
    torch.testing.assert_close(module(x), slow)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"begin": "max3", "pool": "avg"}, r"begin = 'max3' needs pool = 'max' and size = 2, got pool = 'avg'"),
        ({"begin": "max2", "pool": "max", "size": 1}, "and size = 1"),
        ({"norm": "response"}, "needs begin = 'max2' or 'max3', got 'conv'"),
        ({"begin": "max4"}, "begin must be one of conv, relu, max2, max3, got 'max4'"),
        ({"norm": "layer"}, "norm must be one of batch, response, none"),
        ({"width": -1}, "width must be a whole number"),
        ({"width": False}, "width must be a whole number"),
    ],
)
def test_orders_that_contradict_themselves_are_refused(values: dict[str, object], text: str) -> None:
    with pytest.raises(BranchError, match=text):
        ConvPoolFc(**values)  # type: ignore[arg-type]


def test_labels_tell_the_orders_apart() -> None:
    assert ConvPoolFc(width=0, layers=1, pool="mixed", begin="relu").label() == "conv_pool_fc relu 1xC/2 mixed"
    assert ConvPoolFc(width=8, layers=2).label() == "conv_pool_fc 2x8 avg"


def test_sizes_change_the_cost() -> None:
    shape = FeatureShape((16, 16, 16))
    for narrow, wide in ((ConvFc(width=16), ConvFc(width=32)), (ConvStack(layers=1), ConvStack(layers=2))):
        assert count_macs(narrow.build(shape, 10), shape) < count_macs(wide.build(shape, 10), shape)
    assert count_parameters(PoolFc(pool="mixed").build(shape, 10)) == 1 + 16 * 16 * 10 + 10


def test_branches_export_with_a_dynamic_batch() -> None:
    for branch in (PoolFc(pool="mixed"), ConvPoolFc(width=4, pool="max"), Mlp(width=4), Capsule(width=8)):
        for shape in (FeatureShape((3, 7, 7)), FeatureShape((10, 12), prefix_tokens=1)):
            module = branch.build(shape, 3).eval()
            batch = {0: torch.export.Dim("batch", max=64)}
            program = torch.export.export(module, (shape.example(2),), dynamic_shapes=(batch,))
            x = shape.example(5)
            torch.testing.assert_close(program.module()(x), module(x))
