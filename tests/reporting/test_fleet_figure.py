"""The facts and the figure of a simulated fleet."""

import numpy as np
import pytest

from eenas.deployment.fleet.arrivals import Arrivals
from eenas.deployment.fleet.fleet import Fleet
from eenas.deployment.fleet.fleet_runs import DecidedNetwork, ReliabilityTarget, fleet_runs
from eenas.deployment.fleet.sample_decisions import SampleDecisions
from eenas.deployment.fleet.split_times import SplitTimes
from eenas.reporting.facts.tiers.fleet_facts import fleet_data, fleet_rows, fleet_summary
from eenas.reporting.figures.tiers.fleet_figure import draw_fleet, fleet_facts

NETWORK = DecidedNetwork(
    name="<b>net</b>",
    kind="threshold",
    times=SplitTimes(device_ms=(4.0,), cut_ms=5.0, sent_bytes=8000, server_ms=(10.0,), name="layer1"),
    deciding=SampleDecisions(
        exits=np.arange(100) % 2, right=np.arange(100) % 10 > 0, right_on_device=np.arange(100) % 3 > 0
    ),
)


@pytest.fixture(scope="module")
def found():
    fleet = Fleet(seconds=30, arrivals=Arrivals(rate=1), watts=2.0)
    return fleet_runs(NETWORK, fleet, (500, 10, 10), ReliabilityTarget(accuracy=0.8, latency_ms=100))


def test_rows_are_in_order_of_devices(found):
    rows = fleet_rows(found)
    assert [row.devices for row in rows] == ["10", "500"]
    assert rows[0].median == f"{found.outcomes[0].quantile(0.5):.4g}"
    assert float(rows[1].p99) > float(rows[0].p99)
    assert rows[0].dropped == "0.0 %"


def test_sentences_name_unstable_queues_and_targets(found):
    lines = fleet_summary(found)
    assert sum("Unstable" in line for line in lines) == 1
    assert "Unstable with 500 devices" in lines[2]
    assert sum("edge inference outage" in line for line in lines) == 2


def test_data_and_figure_hold_the_same_numbers(found):
    data, facts = fleet_data(found), fleet_facts(found)
    assert [run["devices"] for run in data["runs"]] == [10, 500]
    medians = next(line for line in facts.latencies if line.name == "median")
    assert medians.y == tuple(run["latency_ms"]["median"] for run in data["runs"])
    assert data["runs"][1]["reliability"]["missed_deadline"] == 1.0
    line = facts.distributions[0]
    assert list(line.x) == sorted(line.x)
    drawing = draw_fleet(facts)
    assert len(drawing.data) == len(facts.distributions) + len(facts.latencies) + len(facts.shares)
    assert "<b>net" not in str(drawing.layout.title.text)


def test_one_number_of_devices_has_one_pane(found):
    single = fleet_runs(NETWORK, Fleet(seconds=10))
    assert len(draw_fleet(fleet_facts(single)).data) == 1
    assert single.reliabilities == ()
