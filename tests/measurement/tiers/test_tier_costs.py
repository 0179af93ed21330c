"""Costs over tiers against sums made by hand, and the names of splits."""

import dataclasses

import numpy as np
import pytest

from eenas.errors import MeasurementError
from eenas.measurement.tiers.link import BYTES, Link
from eenas.measurement.tiers.part_times import PartTimes
from eenas.measurement.tiers.tier_costs import TierCosts, TieredNetwork, tier_costs
from eenas.measurement.tiers.tiers import Tier, Tiers

EDGE = PartTimes(segments_ms=[10, 20, 30], exits_ms=[2, 0], entry_ms=1.0)
NETWORK = TieredNetwork(
    times=(EDGE, EDGE.scaled(0.1)),
    cut_points=("a", "b"),
    elements=(1000, 100),
    after=(1, 3),
    num_classes=5,
    input_bytes=3000,
)
LINK = Link(mbit=8.0, round_trip_ms=5.0, price_per_gb=2.0, joules_per_mb=3.0, overhead_bytes=100)
TWO = Tiers(tiers=(Tier(name="edge", watts=2.0), Tier(name="cloud", watts=50.0)), links=(LINK,))
ANSWER = 20 + 4 * 5


def found() -> TierCosts:
    return tier_costs(NETWORK, TWO)


def test_milliseconds_end_to_end() -> None:
    request = [LINK.send_ms(size, ANSWER) + 0.1 for size in (3000, 4000, 400)]
    columns = found()["tier_latency"].columns([[0], [1], [2], [3]])
    assert columns == pytest.approx(
        np.array(
            [
                [request[0] + 1 + 0.2, request[0] + 6 + 0.2],
                [1 + 10 + 2, 1 + 10 + 2 + request[1] + 5],
                [1 + 10 + 2, 1 + 30 + 2 + request[2] + 3],
                [1 + 10 + 2, 1 + 60 + 2],
            ]
        )
    )


def test_bytes_energy_and_price_of_a_split() -> None:
    costs = found().columns("a")
    assert costs["bytes_sent"].tolist() == [0, 4100]
    both = 4000 + ANSWER + 200
    assert costs["price"] == pytest.approx([0, both * 2e-9])
    computed = 2e-3 * 13 + 50e-3 * (0.1 + 5)
    assert costs["tier_energy"] == pytest.approx([2e-3 * 13, computed + 3 * both / 1e6])
    assert found().columns("final")["bytes_sent"].tolist() == [0, 0]
    assert found().columns("")["bytes_sent"].tolist() == [3100, 3100]


def test_codecs_change_features_and_not_the_raw_input() -> None:
    link = Link(mbit=8.0, codec="int8", compression="zstd", compression_ratio=0.5, overhead_bytes=0)
    assert tier_costs(NETWORK, Tiers.of(link)).sent_bytes.tolist() == [[3000, 504, 54, 0]]


@pytest.mark.parametrize(("carried", "refused"), [(0, ()), (1, ("int8",)), (3, ("int8", "float16"))])
def test_codecs_that_change_carried_columns_are_refused(carried: int, refused: tuple[str, ...]) -> None:
    network = dataclasses.replace(NETWORK, carried=(0, carried))
    for codec in BYTES:
        tiers = Tiers.of(Link(mbit=10, codec=codec))  # type: ignore[arg-type]
        if codec in refused:
            with pytest.raises(MeasurementError, match=f"'b', codec '{codec}' of a link: .* {codec} changes them; use"):
                tier_costs(network, tiers)
        else:
            assert tier_costs(network, tiers).sent_bytes.tolist() == tier_costs(NETWORK, tiers).sent_bytes.tolist()
    with pytest.raises(MeasurementError, match="2 cut points need as many sizes"):
        dataclasses.replace(NETWORK, carried=(1,))


def test_logits_travel_where_a_policy_needs_them() -> None:
    network = dataclasses.replace(NETWORK, logits_sent=True)
    assert tier_costs(network, Tiers.of(Link(mbit=1.0, overhead_bytes=0))).sent_bytes.tolist() == [[3000, 4020, 420, 0]]


def test_energy_and_price_are_known_where_they_are_given() -> None:
    plain = tier_costs(NETWORK, Tiers.of(Link(mbit=1.0)))
    assert plain.names == ("tier_latency", "bytes_sent")
    with pytest.raises(MeasurementError, match="no cost 'tier_energy' here; give watts to a tier"):
        plain["tier_energy"]
    with pytest.raises(MeasurementError, match="nearest: 'tier_latency'"):
        plain["latency"]


def test_splits_by_name() -> None:
    costs = found()
    assert [costs.named([each]) for each in range(4)] == ["", "a", "b", "final"]
    assert [costs.positions(name) for name in ("", "a", "b", "final")] == [(0,), (1,), (2,), (3,)]
    three = tier_costs(
        dataclasses.replace(NETWORK, times=(EDGE, EDGE, EDGE)),
        Tiers(tiers=(*TWO.tiers, Tier(name="far")), links=(LINK, LINK)),
    )
    assert three.positions(("a", "final")) == (1, 3)
    assert three.named((0, 2)) == ("", "b")
    with pytest.raises(MeasurementError, match="in order of depth"):
        three.positions(("b", "a"))
    with pytest.raises(MeasurementError, match="3 tiers need 2 cut points, one for each link, got"):
        three.positions("a")


def test_a_split_behind_the_last_exit_is_refused() -> None:
    with pytest.raises(MeasurementError, match="no split at 'c': it is no cut point before the last exit; known: "):
        found().positions("c")


def test_the_best_split_is_that_of_the_mean() -> None:
    slow = tier_costs(NETWORK, Tiers.of(Link(mbit=0.01)))
    assert slow.named(slow.best([0.5, 0.5]).split) == "final"
    fast = tier_costs(NETWORK, Tiers.of(Link(mbit=1000.0)))
    assert fast.named(fast.best([0.0, 1.0]).split) == ""
    assert slow.best([0.5, 0.5], "bytes_sent").mean == 0


def test_counts_must_fit() -> None:
    with pytest.raises(MeasurementError, match="2 tiers need as many times, got 1"):
        tier_costs(dataclasses.replace(NETWORK, times=(EDGE,)), TWO)
    with pytest.raises(MeasurementError, match="2 cut points need as many sizes"):
        dataclasses.replace(NETWORK, elements=(1,))
    with pytest.raises(MeasurementError, match="finite numbers from 0 up"):
        PartTimes(segments_ms=[-1.0], exits_ms=[0.0])
