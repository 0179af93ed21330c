"""The learned branches: open ones as data, every operation as a discrete cell, and what it costs."""

import json

import pytest
import torch
from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.branches.cell import OPERATIONS, FactorizedReduction, edge_shape, operation
from eenas.branches.learned import Learned
from eenas.branches.learned_cell import LearnedCell
from eenas.branches.registry import branch_from_sizes, branch_from_table
from eenas.errors import BranchError
from eenas.measurement.macs import count_macs, count_parameters
from eenas.testing.branch_contract import check_branch, check_table

MAP, SMALL = FeatureShape((6, 16, 16)), FeatureShape((6, 8, 8))
SHAPES = {
    "odd map": FeatureShape((5, 7, 11)),
    "one place": FeatureShape((12, 1, 1)),
    "channels last": FeatureShape((7, 7, 8), channels_last=True),
    "tokens": FeatureShape((16, 12)),
    "class token": FeatureShape((101, 12), prefix_tokens=1),
}
NOWHERE = {"ragged tokens": FeatureShape((11, 12)), "vector": FeatureShape((20,))}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_keeps_the_contract_at_both_edges(name: str) -> None:
    check_branch(LearnedCell(width=8, operations=(name, name)), MAP, 5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_cells_keep_the_contract_wherever_there_is_a_plane(shape: FeatureShape) -> None:
    check_branch(LearnedCell(width=8, operations=("skip", "dil_conv3")), shape, 5)


def test_a_width_of_one_can_be_halved_too() -> None:
    check_branch(LearnedCell(width=1, operations=("skip", "skip")), MAP, 3)


@pytest.mark.parametrize("branch", [Learned(width=8), LearnedCell(width=8), LearnedCell(operations=OPERATIONS[:2])])
def test_open_and_found_ones_are_data(branch: Branch) -> None:
    check_table(branch)
    table = branch.to_table()
    assert json.loads(json.dumps(table)) == table
    assert branch_from_table(json.loads(json.dumps(table))) == branch


def test_a_space_draws_them_open_with_their_width() -> None:
    for kind, expected in (("learned", Learned(width=24)), ("learned_cell", LearnedCell(width=24))):
        branch = branch_from_sizes(kind, width=24, layers=2, pool="max")
        assert branch == expected
        assert branch.is_open
        with pytest.raises(BranchError, match=f"{kind} 24: an open branch cannot be built"):
            branch.build(MAP, 5)
    assert LearnedCell(width=24).label() == "learned_cell 24"
    assert LearnedCell(width=24, operations=("skip", "conv1x1")).label() == "learned_cell 24 skip+conv1x1"


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"kind": "learned", "width": 0}, "width must be a whole number"),
        (
            {"kind": "learned_cell", "operations": ["skip"]},
            "must be 2 operations, or none in an open branch, got 'skip'",
        ),
        ({"kind": "learned_cell", "operations": ["skip", "sep_conv7"]}, "unknown operation 'sep_conv7'; nearest"),
        ({"kind": "learned_cell", "operations": ["none", "skip"]}, "unknown operation 'none'"),
    ],
)
def test_bad_tables_say_what_is_wrong(table: dict[str, object], text: str) -> None:
    with pytest.raises(BranchError, match=text):
        branch_from_table(table)


@pytest.mark.parametrize("shape", NOWHERE.values(), ids=NOWHERE)
def test_a_cell_needs_a_plane_and_a_family_does_not(shape: FeatureShape) -> None:
    for cell in (LearnedCell(), LearnedCell(operations=("skip", "conv1x1"))):
        with pytest.raises(BranchError, match="use fc"):
            cell.check(shape)
    Learned().check(shape)
    for form in Learned(width=8).forms(shape):
        form.build(shape, 5)


def test_the_forms_are_the_other_families_at_this_width() -> None:
    forms = Learned(width=8).forms(MAP)
    kinds = {"pool_fc", "fc", "mlp", "conv_fc", "conv_stack", "conv_pool_fc", "capsule"}
    assert {form.kind for form in forms} == kinds
    assert all(getattr(form, "width", 8) == 8 for form in forms)
    assert len(set(forms)) == len(forms)
    assert [form.kind for form in Learned().forms(NOWHERE["vector"])] == ["fc", "mlp"]


@pytest.mark.parametrize("shape", [MAP, SMALL], ids=str)
def test_nothing_that_can_be_found_is_cheaper_than_what_stands_in(shape: FeatureShape) -> None:
    def macs(branch: Branch) -> int:
        return count_macs(branch.build(shape, 10), shape)

    drawn = Learned(width=16)
    assert macs(drawn.stand_in(shape)) == min(macs(form) for form in drawn.forms(shape))
    cell = LearnedCell(width=4)
    assert macs(cell.stand_in(shape)) == min(macs(LearnedCell(width=4, operations=(o, o))) for o in OPERATIONS)
    found = LearnedCell(width=4, operations=("skip", "skip"))
    assert found.stand_in(shape) is found
    assert not found.is_open


def test_a_cell_costs_what_its_formula_says() -> None:
    m, places, small = 8, 16 * 16, 8 * 8
    pre, linear = 6 * m * places, m * 10 + 10
    first = {
        "skip": m * m * small,
        "avg_pool3": 0,
        "max_pool3": 0,
        "conv1x1": m * m * small,
        "sep_conv3": 2 * (9 * m + m * m) * small,
        "sep_conv5": 2 * (25 * m + m * m) * small,
        "dil_conv3": (9 * m + m * m) * small,
    }
    for one, other in zip(OPERATIONS, reversed(OPERATIONS), strict=True):
        branch = LearnedCell(width=m, operations=(one, other))
        behind = 0 if other == "skip" else first[other]
        assert count_macs(branch.build(MAP, 10), MAP) == pre + first[one] + behind + linear
    parameters = 6 * m + 2 * m + (2 * (9 * m + m * m) + 4 * m) + 2 * m + linear
    assert count_parameters(LearnedCell(width=m, operations=("sep_conv3", "max_pool3")).build(MAP, 10)) == parameters


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_operations_divide_the_side_by_their_stride(name: str, side: int) -> None:
    x = torch.randn(2, 4, side, side + 1)
    for stride in (1, 2):
        y = operation(name, 4, stride)(x)
        assert y.shape == (2, 4, -(-side // stride), -(-(side + 1) // stride))
    assert edge_shape(16, 9, 4, 0).dims == (4, 16, 9)
    assert edge_shape(16, 9, 4, 1).dims == (4, 8, 5)
    assert edge_shape(8, 8, 4, 1).dims == (4, 8, 8)


def test_the_factorised_reduction_reads_every_diagonal_place() -> None:
    module = FactorizedReduction(2, affine=False).eval()
    for conv in (module.first, module.second):
        assert conv is not None
        nn.init.constant_(conv.weight, 1.0)
    x = torch.rand(1, 2, 4, 4)
    total = x.sum(dim=1)
    scale = (1 + module.norm.eps) ** -0.5
    torch.testing.assert_close(module(x)[:, 0], scale * total[:, ::2, ::2])
    torch.testing.assert_close(module(x)[:, 1], scale * total[:, 1::2, 1::2])


def test_average_pooling_leaves_the_padding_out() -> None:
    module = operation("avg_pool3", 1, 1).eval()
    torch.testing.assert_close(module(torch.ones(1, 1, 4, 4)), torch.full((1, 1, 4, 4), (1 + 1e-5) ** -0.5))


def test_cells_export_with_a_dynamic_batch() -> None:
    branch = LearnedCell(width=5, operations=("skip", "sep_conv5"))
    for shape in (FeatureShape((3, 11, 11)), FeatureShape((101, 12), prefix_tokens=1)):
        module = branch.build(shape, 3).eval()
        batch = {0: torch.export.Dim("batch", max=64)}
        program = torch.export.export(module, (shape.example(2),), dynamic_shapes=(batch,))
        x = shape.example(5)
        torch.testing.assert_close(program.module()(x), module(x))
