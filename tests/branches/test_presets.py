"""The published branches, where they stood in their papers."""

import pytest

from eenas.backbones.features import FeatureShape
from eenas.branches import presets
from eenas.branches.branch import Branch
from eenas.branches.front import Pooling
from eenas.measurement.macs import count_macs
from eenas.testing.branch_contract import check_branch


@pytest.mark.parametrize(
    ("branch", "shape"),
    [
        (presets.sdn(), FeatureShape((32, 16, 16))),
        (presets.eenet(), FeatureShape((32, 16, 16))),
        (presets.msdnet(16), FeatureShape((24, 8, 8))),
        (presets.zero_time_waste_vit(), FeatureShape((17, 24), prefix_tokens=1)),
        (presets.branchynet_lenet()[0], FeatureShape((5, 14, 14))),
        (presets.branchynet_alexnet()[0], FeatureShape((64, 16, 16))),
        (presets.branchynet_alexnet()[1], FeatureShape((96, 7, 7))),
    ],
)
def test_presets_keep_the_contract(branch: Branch, shape: FeatureShape) -> None:
    check_branch(branch, shape, 10)


def test_sdn_reads_sixteen_places_through_mixed_pooling() -> None:
    module = presets.sdn().build(FeatureShape((16, 32, 32)), 10)
    assert isinstance(module[1], Pooling)
    assert module[1].alpha is not None
    assert module[-1].in_features == 16 * 16
    assert list(presets.SDN_SHARES) == sorted(presets.SDN_SHARES)


def test_msdnet_costs_two_strided_convolutions_and_a_linear_layer() -> None:
    shape = FeatureShape((64, 16, 16))
    module = presets.msdnet().build(shape, 10)
    assert count_macs(module, shape) == 64 * 128 * 9 * 8**2 + 128 * 128 * 9 * 4**2 + 128 * 10 + 10
