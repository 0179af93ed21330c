"""The families for tokens against slow computations, and every family that reads a mask against its padding."""

import warnings
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.branches.fc import Fc
from eenas.branches.learned import Learned
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc
from eenas.branches.tokens.attention_fc import AttentionFc
from eenas.branches.tokens.pooler_fc import PoolerFc
from eenas.branches.tokens.token_conv import TokenConv
from eenas.errors import BranchError
from eenas.testing.branch_contract import check_branch

TEXT = FeatureShape((12, 9), carried=1, prefix_tokens=1, is_set=True)
MEAN = replace(TEXT, prefix_tokens=0)
SERIES = FeatureShape((9, 12), carried=1, is_series=True)
GRAPH = FeatureShape((12, 11), carried=3, is_set=True)
SHAPES = {"text": TEXT, "text without a class token": MEAN, "series": SERIES, "graph": GRAPH}
BRANCHES: tuple[Branch, ...] = (
    Fc(),
    Mlp(width=8),
    PoolFc(pool="avg"),
    PoolFc(pool="max"),
    PoolFc(pool="mixed"),
    PoolerFc(width=8),
    PoolerFc(width=0, norm="none"),
    PoolerFc(width=8, reads="mean"),
    AttentionFc(width=8, heads=2),
    AttentionFc(width=0),
    TokenConv(width=8, layers=2, pool="avg"),
    TokenConv(width=8, pool="max"),
    TokenConv(width=8, pool="mixed"),
)


def _packed(shape: FeatureShape, lengths: list[int], longest: int, *, seed: int = 0) -> Tensor:
    """Return packed features with the same samples for every `longest`, and noise in the padding."""
    generator = torch.Generator().manual_seed(3)
    padding = torch.Generator().manual_seed(seed)
    noise = 1e3 * torch.randn(len(lengths), longest, shape.channels, generator=padding)
    mask = torch.zeros(len(lengths), longest, shape.carried)
    for index, length in enumerate(lengths):
        noise[index, :length] = torch.randn(length, shape.channels, generator=generator)
        mask[index, :length] = 1
    packed = torch.cat([noise, mask], dim=2)
    return packed.transpose(1, 2) if shape.is_series else packed


def _stands(branch: Branch, shape: FeatureShape) -> bool:
    return not (isinstance(branch, TokenConv) and shape is GRAPH)


CASES = [
    pytest.param(branch, shape, id=f"{branch.label()} {getattr(branch, 'norm', '')} {name}")
    for branch in BRANCHES
    for name, shape in SHAPES.items()
    if _stands(branch, shape)
]


@pytest.mark.parametrize(("branch", "shape"), CASES)
def test_contract(branch: Branch, shape: FeatureShape) -> None:
    check_branch(branch, shape, 3)


@pytest.mark.parametrize(("branch", "shape"), CASES)
def test_padding_changes_nothing(branch: Branch, shape: FeatureShape) -> None:
    torch.manual_seed(0)
    module = branch.build(shape, 3).eval()
    lengths = [5, 2, 7]
    expected = module(_packed(shape, lengths, 7))
    for longest in (8, 16):
        torch.testing.assert_close(module(_packed(shape, lengths, longest, seed=longest)), expected)


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.label())
def test_a_full_mask_is_no_mask(branch: Branch) -> None:
    if isinstance(branch, TokenConv):
        masked, plain = SERIES, FeatureShape((8, 12), is_series=True)
    else:
        masked, plain = TEXT, FeatureShape((12, 8), prefix_tokens=1, is_set=True)
    module, other = branch.build(masked, 3).eval(), branch.build(plain, 3).eval()
    sources = sorted(module.parameters(), key=lambda each: each.ndim)  # the order of parts is the family's own
    for value, source in zip(sorted(other.parameters(), key=lambda each: each.ndim), sources, strict=True):
        value.data.copy_(source.data)
    x = masked.example(4)
    features = x[:, :8] if masked.is_series else x[..., :8]
    torch.testing.assert_close(module(x), other(features))


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.label())
def test_nothing_but_padding_gives_finite_logits(branch: Branch) -> None:
    x = TEXT.example(2)
    x[..., 8] = 0
    logits = branch.build(TEXT, 3)(x.requires_grad_())
    logits.sum().backward()
    assert logits.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_the_pooler_is_a_tanh_of_the_class_token() -> None:
    module = PoolerFc(width=0, norm="none").build(TEXT, 3).eval()
    pooler, classifier = (layer for layer in module if isinstance(layer, nn.Linear))
    assert pooler.weight.shape == (8, 8)
    x = _packed(TEXT, [3, 6], 8)
    torch.testing.assert_close(module(x), classifier(pooler(x[:, 0, :8]).tanh()))


def test_the_mean_reads_neither_class_token_nor_padding() -> None:
    module = PoolerFc(width=4, norm="none", reads="mean").build(TEXT, 3).eval()
    x = _packed(TEXT, [3, 6], 8)
    slow = torch.stack([x[0, 1:3, :8].mean(0), x[1, 1:6, :8].mean(0)])
    torch.testing.assert_close(module(x), module[4](module[1](slow).tanh()))


def test_attention_is_a_weighted_mean_per_head() -> None:
    torch.manual_seed(0)
    module = AttentionFc(width=5, heads=2).build(TEXT, 3).eval()
    x = _packed(TEXT, [3, 6], 8)
    rows = []
    for sample, length in zip(x, [3, 6], strict=True):
        tokens = module.adapter.norm(sample[:length, :8])
        weights = module.scores(tokens).softmax(dim=0)
        rows.append(torch.cat([(weights[:, head, None] * tokens).sum(0) for head in range(2)]))
    torch.testing.assert_close(module(x), module.classifier(torch.stack(rows)))


def test_convolutions_see_zeros_around_each_text() -> None:
    torch.manual_seed(0)
    module = TokenConv(width=5, layers=2, pool="max").build(MEAN, 3).eval()
    x = _packed(MEAN, [3, 6], 8)
    rows = []
    for sample, length in zip(x, [3, 6], strict=True):
        tokens = module.adapter.norm(sample[:length, :8]).T[None]
        for conv in module.convs:
            tokens = conv(tokens).relu()
        rows.append(tokens[0].amax(dim=1))
    torch.testing.assert_close(module(x), module.classifier(torch.stack(rows)))


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (FeatureShape((17, 8), prefix_tokens=1), r"places of an image, 17 x 8; use conv_stack there"),
        (FeatureShape((3, 8, 8)), r"places of an image, 3 x 8 x 8; use conv_stack there"),
        (GRAPH, r"got a set, 12 x 11; use attention_fc there"),
        (FeatureShape((12, 8), is_set=True), r"got a set, 12 x 8; use attention_fc there"),
        (FeatureShape((8,)), r"got a vector of 8; use fc or mlp there"),
    ],
)
def test_convolutions_along_no_sequence_are_refused(shape: FeatureShape, text: str) -> None:
    with pytest.raises(BranchError, match=text):
        TokenConv().check(shape)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: PoolerFc(width=-1), "pooler_fc: width must be a whole number of at least 1"),
        (lambda: PoolerFc(dropout=1.0), "pooler_fc: dropout must be a probability"),
        (lambda: PoolerFc(norm="batch"), "pooler_fc: norm must be one of layer, none, got 'batch'"),
        (lambda: PoolerFc(reads="last"), "pooler_fc: reads must be one of class, mean, got 'last'"),
        (lambda: AttentionFc(width=False), "attention_fc: width must be a whole number"),
        (lambda: AttentionFc(heads=0), "attention_fc: heads must be a whole number"),
        (lambda: TokenConv(layers=0), "token_conv: layers must be a whole number"),
        (lambda: TokenConv(pool="mean"), "token_conv: pool must be one of avg, max, mixed"),
    ],
)
def test_impossible_fields_are_refused(make: object, text: str) -> None:
    assert callable(make)
    with pytest.raises(BranchError, match=text):
        make()


def test_labels() -> None:
    assert PoolerFc(width=0, reads="mean").label() == "pooler_fc D mean"
    assert AttentionFc(width=8).label() == "attention_fc 8"
    assert AttentionFc(width=0, heads=4).label() == "attention_fc linear 4 heads"
    assert TokenConv(width=8, layers=2).label() == "token_conv 2x8 max"


def test_a_search_of_the_structure_tries_them_where_there_is_a_mask() -> None:
    kinds = {branch.kind for branch in Learned(width=8).forms(TEXT)}
    assert kinds == {"pool_fc", "fc", "mlp", "pooler_fc", "attention_fc", "token_conv"}
    assert "attention_fc" not in {branch.kind for branch in Learned(width=8).forms(FeatureShape((12, 8)))}


@pytest.mark.parametrize(
    "branch", [PoolerFc(width=8), AttentionFc(width=8), TokenConv(width=8, pool="mixed")], ids=lambda each: each.kind
)
def test_programs_take_any_batch_and_length(branch: Branch, tmp_path: Path) -> None:
    module = branch.build(MEAN, 3).eval()
    axes = {0: Dim("batch", max=64), 1: Dim("length", max=512)}
    program = torch.export.export(module, (MEAN.example(2),), dynamic_shapes=(axes,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        torch.onnx.export(program, (), str(tmp_path / "b.onnx"), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "b.onnx")
    for lengths, longest in (([5, 2, 7], 8), ([1], 1), ([3, 30], 30)):
        x = _packed(MEAN, lengths, longest)
        (logits,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), module(x).detach(), atol=1e-5, rtol=1e-4)
