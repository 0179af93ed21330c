import pytest

from eenas.backbones.cut_points import CutPoint
from eenas.backbones.features import FeatureShape
from eenas.errors import MeasurementError, SpecError
from eenas.measurement.costs.edges import EdgesCost
from eenas.measurement.profile import BranchCost, Profile


def profile(carried: int = 3) -> Profile:
    shape = FeatureShape((5, 8), carried=carried, is_set=True)
    points = tuple(CutPoint(f"block{k}", shape, True) for k in range(2))
    return Profile(backbone="gin", cut_points=points, macs=(1, 2), total_macs=3, parameters=(1, 2), total_parameters=3)


def test_each_layer_touches_every_edge_once_and_branches_none() -> None:
    assert EdgesCost(edges=20).prefixes(profile()) == [20, 40, 40]
    assert EdgesCost(edges=20, layers=3).prefixes(profile()) == [20, 40, 60]
    assert EdgesCost(edges=20).branch(BranchCost(macs=5, parameters=5), profile().cut_points[0].shape, profile()) == 0


def test_other_networks_and_numbers_are_refused() -> None:
    with pytest.raises(MeasurementError, match="networks for graphs"):
        EdgesCost(edges=20).prefixes(profile(carried=0))
    with pytest.raises(MeasurementError, match="at least the number of cut points, 2, got 1"):
        EdgesCost(edges=20, layers=1).prefixes(profile())
    with pytest.raises(SpecError, match="edges must be positive"):
        EdgesCost(edges=0)
