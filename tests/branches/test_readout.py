import pytest
import torch

from eenas.backbones.features import FeatureShape
from eenas.branches.readout import NodePooling, ReadoutBranch
from eenas.errors import BranchError
from eenas.testing.branch_contract import check_branch

NODES = FeatureShape((3, 2), carried=1, is_set=True)


def test_the_padding_is_left_out() -> None:
    packed = torch.tensor([[[1.0, 1], [3, 1], [9, 0]]])
    assert NodePooling(NODES, ("mean", "max", "sum"))(packed).tolist() == [[2, 3, 4]]
    assert NodePooling(FeatureShape((2, 1), is_set=True), ("sum",))(packed[:, :2, :1]).tolist() == [[4]]


def test_the_contract_of_branches_holds() -> None:
    check_branch(ReadoutBranch(width=4), FeatureShape((6, 9), carried=4, is_set=True), 3)


def test_other_features_and_pools_are_refused() -> None:
    with pytest.raises(BranchError, match="needs nodes or tokens, got a vector"):
        ReadoutBranch().build(FeatureShape((4,)), 3)
    with pytest.raises(BranchError, match="pools are some of mean, max, sum"):
        ReadoutBranch(pools=("median",))
