"""The cascade: the concatenation that it stands for, its table, its cost and what it passes on."""

import json

import pytest
import torch
from torch import nn

from eenas import specs
from eenas.backbones.features import FeatureShape
from eenas.branches.abilities import WithAuxiliaryLoss, features_only, takes_previous
from eenas.branches.capsule import Capsule
from eenas.branches.cascade import Cascade
from eenas.branches.conv_fc import ConvFc
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.branches.registry import branch_from_sizes, branch_from_table
from eenas.errors import BranchError, SpecError
from eenas.measurement.macs import count_macs
from eenas.measurement.profile import MemoryCache, measure_branch
from eenas.testing.branch_contract import check_branch

SHAPE = FeatureShape((6, 8, 8))


def test_it_is_the_concatenation_before_the_last_layer() -> None:
    torch.manual_seed(0)
    module = Cascade(branch=PoolFc(size=2)).build(SHAPE, 5).eval()
    nn.init.normal_(module.previous.weight)
    nn.init.normal_(module.norm.weight)
    x, previous = SHAPE.example(3), torch.randn(3, 5)
    inner = module.branch[-1]
    joined = nn.Linear(6 * 4 + 5, 5)
    joined.weight.data = torch.cat([inner.weight, module.previous.weight], dim=1).detach()
    joined.bias.data = inner.bias.detach()
    features = torch.cat([module.branch[:-1](x), module.norm(previous)], dim=1)
    torch.testing.assert_close(module(x, previous), joined(features))


def test_it_begins_as_the_branch_it_wraps() -> None:
    module = Cascade(branch=ConvFc(width=4)).build(SHAPE, 5).eval()
    x = SHAPE.example(3)
    assert torch.equal(module(x, torch.randn(3, 5)), module.branch(x))
    module.train()(x, torch.randn(3, 5))[:, 0].sum().backward()
    assert module.previous.weight.grad.abs().sum() > 0, "and leaves there with the first step"


def test_it_costs_a_square_of_classes_more() -> None:
    plain = count_macs(Fc().build(SHAPE, 5), SHAPE)
    check_branch(Cascade(branch=Fc()), SHAPE, 5, macs=plain + 25)
    cost = measure_branch(Cascade(branch=Fc()), SHAPE, 5, device=torch.device("cpu"), latency=None, cache=MemoryCache())
    assert cost.macs == plain + 25
    assert cost.parameters == 6 * 64 * 5 + 5 + 25 + 10


def test_tables_nest() -> None:
    branch = Cascade(branch=ConvFc(width=4))
    table = json.loads(json.dumps(branch.to_table()))
    assert table == {"kind": "cascade", "branch": {"kind": "conv_fc", "width": 4}}
    assert branch_from_table(table) == branch
    assert specs.digest(branch) != specs.digest(branch.branch)
    assert branch.label() == "cascade of conv_fc 4"


@pytest.mark.parametrize(
    ("table", "error", "text"),
    [
        ({"branch": {"kind": "conv_fd"}}, BranchError, r"d.json: \[b.branch\]: unknown branch structure .*'conv_fc'"),
        ({"branch": {"kind": "conv_fc", "widht": 4}}, SpecError, r"\[b.branch.widht\]: unknown key"),
        ({"branch": {"kind": "fc"}, "width": 4}, BranchError, r"\[b\]: a cascade has no keys but kind, branch, got"),
        ({}, BranchError, r"\[b.branch\]: kind of a branch must be one of"),
        (
            {"branch": {"kind": "cascade", "branch": {"kind": "fc"}}},
            BranchError,
            "other than a cascade",
        ),
    ],
)
def test_bad_tables_say_where_and_what(table: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        branch_from_table({"kind": "cascade", **table}, file="d.json", key="b")


def test_it_is_no_structure_of_a_search_space() -> None:
    with pytest.raises(BranchError, match=r"network.cascade = true"):
        branch_from_sizes("cascade", width=4, layers=1, pool="avg")


def test_a_loss_inside_is_passed_on_and_none_is_made_up() -> None:
    plain, capsule = (Cascade(branch=branch).build(SHAPE, 3) for branch in (Fc(), Capsule(width=8)))
    assert takes_previous(plain)
    assert takes_previous(capsule)
    assert not isinstance(plain, WithAuxiliaryLoss)
    assert isinstance(capsule, WithAuxiliaryLoss)
    labels = torch.tensor([0, 1])
    capsule.train()(SHAPE.example(2), torch.zeros(2, 3))
    torch.testing.assert_close(capsule.auxiliary_loss(labels), capsule.branch.auxiliary_loss(labels))  # type: ignore


def test_alone_runs_on_zeros_and_leaves_a_plain_branch_as_it_is() -> None:
    module = Cascade(branch=Fc()).build(SHAPE, 3).eval()
    nn.init.normal_(module.previous.weight)
    x = SHAPE.example(2)
    assert torch.equal(features_only(module, 3)(x), module(x, torch.zeros(2, 3)))
    assert features_only(module.branch, 3) is module.branch


def test_what_cannot_stand_inside_cannot_stand() -> None:
    with pytest.raises(BranchError, match="use fc"):
        Cascade(branch=ConvFc()).check(FeatureShape((7,)))
    Cascade(branch=Fc()).check(FeatureShape((7,)))
