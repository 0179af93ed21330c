"""The contract of a cost: eenas's own kinds keep it, and whatever breaks it is said."""

from dataclasses import dataclass

import pytest

from eenas.errors import MeasurementError
from eenas.measurement.costs.cost import Cost
from eenas.measurement.costs.linear import LinearCost
from eenas.measurement.costs.measured_table import TableCost
from eenas.testing.cost_contract import check_cost, made_up_profile

VALUES = {"block1": 1.0, "block2": 4.0, "block3": 2.0, "block4": 8.0, "final": 10.0}


@dataclass(frozen=True, kw_only=True)
class Given(Cost):
    """What the tests say."""

    unit: str = "mJ"
    provenance: str = "made up"
    values: tuple[str, ...] = ("1", "0", "3", "3", "4")
    per_mac: float = 0.001

    def prefixes(self, profile):
        return [float(value) for value in self.values]

    def branch(self, branch, shape, profile):
        return self.per_mac * branch.macs


class Counting(Given):
    """Another answer each time."""

    calls = 0

    def prefixes(self, profile):
        type(self).calls += 1
        return [float(self.calls)] * 5


@pytest.mark.parametrize(
    "cost",
    [
        Given(),
        LinearCost(unit="mJ", macs=2e-6, latency=0.5, constant=1.0),
        LinearCost(unit="kB", feature_bytes=0.001),
        LinearCost(parameters=4.0),
        TableCost(unit="mJ", values=VALUES),
        TableCost(unit="mJ", values=VALUES, branches="latency"),
        TableCost(unit="mJ", values=VALUES, branches="nothing"),
    ],
    ids=str,
)
def test_costs_that_keep_it(cost):
    found = check_cost(cost)
    assert len(found.prefixes) == len(made_up_profile().cut_points) + 1


@pytest.mark.parametrize(
    ("cost", "error", "said"),
    [
        (Given(values=("1", "2")), MeasurementError, "prefixes must be 5 numbers, .* got 2"),
        (Given(values=("1", "2", "nan", "3", "4")), MeasurementError, "up to block3 must cost a finite number"),
        (Given(values=("1", "2", "3", "4", "-1")), MeasurementError, "up to the end must cost .* from 0 up, got -1.0"),
        (Given(values=("1", "2", "3", "4", "inf")), MeasurementError, "must cost a finite number"),
        (Given(per_mac=-1.0), MeasurementError, "a branch at features 8 x 4 x 4 must cost"),
        (Counting(), AssertionError, "the same profile must have the same prefixes"),
    ],
)
def test_costs_that_break_it(cost, error, said):
    with pytest.raises(error, match=said):
        check_cost(cost)
