"""Branches at tokens and series with a mask: the padding changes nothing, and families for maps refuse them."""

import pytest
import torch

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import PooledTokens, VectorAdapter
from eenas.branches.conv_fc import ConvFc
from eenas.branches.conv_stack import ConvStack
from eenas.branches.fc import Fc
from eenas.branches.masked import masked_maximum, masked_mean
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc
from eenas.errors import BranchError
from eenas.testing import check_branch

TOKENS = FeatureShape((12, 9), is_set=True, carried=1)
CLASS = FeatureShape((12, 10), is_set=True, carried=2, prefix_tokens=1)
SERIES = FeatureShape((9, 12), is_series=True, carried=1)
BRANCHES = (Fc(), Mlp(width=8), PoolFc(pool="avg"), PoolFc(pool="max"), PoolFc(pool="mixed"))


def masked(shape, lengths, size=12):
    """Features of `shape` with `size` places, of which the first `lengths` are real, and the same without padding."""
    features = torch.randn(len(lengths), *shape.dims, generator=torch.Generator().manual_seed(0))
    features = features[:, :, :size] if shape.is_series else features[:, :size]
    mask = features.narrow(1, shape.channels, 1) if shape.is_series else features.narrow(2, shape.channels, 1)
    mask.fill_(0)
    for row, length in enumerate(lengths):
        mask[row].flatten()[:length] = 1
    return features


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.label())
@pytest.mark.parametrize("shape", [TOKENS, CLASS, SERIES])
def test_the_padding_changes_nothing(branch, shape):
    module = branch.build(shape, 3).eval()
    features = masked(shape, [12, 5])
    short = features[1:, :, :5] if shape.is_series else features[1:, :5]
    assert torch.allclose(module(features)[1:], module(short), atol=1e-5)
    changed = features.clone()
    (changed[1, : shape.channels, 5:] if shape.is_series else changed[1, 5:, : shape.channels]).fill_(float("nan"))
    assert torch.equal(module(changed), module(features))


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.label())
def test_they_keep_the_contract_of_branches(branch):
    check_branch(branch, TOKENS, 3)


@pytest.mark.parametrize("branch", [ConvFc(width=4), ConvStack(width=4)])
@pytest.mark.parametrize("shape", [TOKENS, SERIES])
def test_families_of_one_length_refuse_a_mask(branch, shape):
    with pytest.raises(BranchError, match=r"needs features of one length, got .* with a mask; use fc, mlp or pool_fc"):
        branch.build(shape, 3)


def test_nothing_real_is_zero():
    tokens = torch.randn(2, 3, 4)
    mask = torch.tensor([[False] * 3, [True] * 3])
    for pooled in (masked_mean(tokens, mask), masked_maximum(tokens, mask)):
        assert pooled[0].eq(0).all()
        assert pooled[1].ne(0).all()
    assert torch.allclose(masked_mean(tokens, mask)[1], tokens[1].mean(dim=0))


def test_adapters_leave_out_columns_and_padding():
    features = masked(TOKENS, [12, 5])
    assert PooledTokens(TOKENS)(features).shape == (2, 8, 1, 12)
    assert PooledTokens(TOKENS)(features)[1, :, :, 5:].eq(0).all()
    assert torch.equal(VectorAdapter(CLASS, normalised=False)(masked(CLASS, [3])), masked(CLASS, [3])[:, 0, :8])
