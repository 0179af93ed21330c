"""Links: presets, bad input, bytes of codecs, and the time of a request held against a packet-by-packet simulation."""

import math

import numpy as np
import pytest

from eenas import specs
from eenas.errors import SpecError
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.link_presets import PRESETS
from eenas.measurement.tiers.transfer import FIRST_WINDOW, HEADERS, SEGMENT, transfer_ms


def simulated_ms(size: int, mbit: float, round_trip_ms: float) -> float:
    """The arrival of the last byte if every segment waits for its place in the window: one event after another."""
    count = max(math.ceil(size / SEGMENT), 1)
    sizes = [SEGMENT + HEADERS] * (count - 1) + [size - (count - 1) * SEGMENT + HEADERS]
    free, window, sent, acknowledged = 0.0, FIRST_WINDOW, 0, []
    arrivals: list[float] = []
    for number, each in enumerate(sizes):
        # the window grows by one with every acknowledgement
        while number - sent >= window:
            free = max(free, acknowledged[sent])
            sent += 1
            window += 1
        free += each * 8e-3 / mbit
        arrivals.append(free + round_trip_ms / 2)
        acknowledged.append(free + round_trip_ms)
    return arrivals[-1]


@pytest.mark.parametrize("mbit", [0.5, 6.0, 100.0])
@pytest.mark.parametrize("round_trip_ms", [0.0, 5.0, 50.0, 200.0])
@pytest.mark.parametrize("size", [100, 4_096, 16_384, 65_536, 400_000])
def test_slow_start_is_that_of_a_simulation_of_every_segment(size: int, round_trip_ms: float, mbit: float) -> None:
    assert transfer_ms(size, mbit=mbit, round_trip_ms=round_trip_ms) == pytest.approx(
        simulated_ms(size, mbit, round_trip_ms), rel=0.02
    )


def test_a_request_takes_its_bytes_and_one_round_trip() -> None:
    link = Link(mbit=8.0, round_trip_ms=20.0, overhead_bytes=0)
    assert link.send_ms(0) == pytest.approx(20.0 + 2 * HEADERS / 1000)
    assert link.send_ms(1_000, 400) == pytest.approx(20.0 + (1_400 + 2 * HEADERS) / 1000)
    assert Link(mbit=8.0, round_trip_ms=20.0, jitter_ms=10.0, overhead_bytes=0).send_ms(0) == pytest.approx(25.132)
    assert Link(mbit=8.0, overhead_bytes=500).send_ms(0) == pytest.approx((2 * 500 + 2 * HEADERS) / 1000)


def test_an_open_window_saves_the_pauses_of_slow_start() -> None:
    size, numbers = 65_536, {"mbit": 100.0, "round_trip_ms": 50.0}
    assert transfer_ms(size, **numbers) - transfer_ms(size, **numbers, warm=True) == pytest.approx(2 * 50, rel=0.1)
    assert Link(**numbers, warm=True).send_ms(size) < Link(**numbers).send_ms(size)


@pytest.mark.parametrize("size", [0, 4_096, 65_536, 1_000_000])
def test_time_rises_with_bytes_round_trip_and_loss_and_falls_with_bandwidth(size: int) -> None:
    base = Link(mbit=6.0, round_trip_ms=50.0).send_ms(size)
    assert Link(mbit=6.0, round_trip_ms=50.0).send_ms(size + 1_000) > base
    assert Link(mbit=12.0, round_trip_ms=50.0).send_ms(size) < base
    assert Link(mbit=6.0, round_trip_ms=60.0).send_ms(size) > base
    losses = [Link(mbit=6.0, round_trip_ms=50.0, loss=loss).send_ms(size) for loss in (0, 0.001, 0.01, 0.05, 0.2)]
    assert np.diff(losses).min() > 0


def test_a_lost_single_segment_waits_for_the_timeout() -> None:
    """One segment each way: each is lost with 1 %, and then takes another round trip and 200 ms."""
    link = Link(mbit=100.0, round_trip_ms=50.0, loss=0.01)
    clean = Link(mbit=100.0, round_trip_ms=50.0)
    assert link.send_ms(0) - clean.send_ms(0) == pytest.approx(2 * 0.01 * 250 / 0.99)


def test_bytes_of_codecs() -> None:
    assert Link(mbit=1.0).encoded_bytes(1_000) == 4_000
    assert Link(mbit=1.0, codec="float16").encoded_bytes(1_000) == 2_000
    assert Link(mbit=1.0, codec="int8").encoded_bytes(1_000) == 1_008
    assert Link(mbit=1.0, compression="zstd").encoded_bytes(1_000) == 4_000
    assert Link(mbit=1.0, compression="zstd", compression_ratio=0.75).encoded_bytes(1_000) == 3_000


def test_price_and_energy() -> None:
    link = Link(mbit=1.0, price_per_gb=2.0, joules_per_mb=5.0)
    assert link.price(1e6) == pytest.approx(0.002)
    assert link.joules(2e6) == pytest.approx(10.0)


def test_presets_give_the_numbers_that_are_missing() -> None:
    assert Link.of_preset("4g") == Link(mbit=5.85, round_trip_ms=50.0, preset="4g")
    assert specs.from_table(Link, {"preset": "4g"}) == Link.of_preset("4g")
    assert specs.from_table(Link, {"preset": "4g", "mbit": 2}).mbit == 2.0
    assert {name: (each.mbit, each.round_trip_ms) for name, each in PRESETS.items()} == {
        "3g": (1.10, 100.0),
        "4g": (5.85, 50.0),
        "wifi": (18.80, 10.0),
        "sao_paulo": (93.6, 10.0),
        "fremont": (73.3, 180.0),
        "paris": (60.0, 216.0),
    }
    assert Link.of_preset("wifi").label == "wifi (18.8 Mbit/s, 10 ms)"
    assert Link(mbit=2.0).label == "2 Mbit/s, 0 ms"


@pytest.mark.parametrize(
    "link",
    [
        Link(mbit=2.0),
        Link.of_preset("paris"),
        Link(mbit=1.5, round_trip_ms=3.0, jitter_ms=1.0, loss=0.01, codec="int8", compression="lz4", warm=True),
    ],
)
def test_a_link_survives_its_table(link: Link) -> None:
    assert specs.from_table(Link, specs.to_table(link)) == link


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ({}, "a link needs a bandwidth; give mbit = 5.85 or a preset"),
        ({"preset": "5g"}, "unknown preset '5g' of a link; known: '3g', '4g'"),
        ({"preset": "wi-fi"}, "nearest: 'wifi'"),
        ({"preset": 4}, "unknown preset 4"),
        ({"mbit": -1}, "mbit must be above 0 and at most 1,000,000 Mbit/s, got -1"),
        ({"mbit": 0}, "mbit must be above 0"),
        ({"mbit": math.nan}, "must be finite"),
        ({"mbit": "fast"}, r"\[link.mbit\]: must be float"),
        ({"mbit": 1, "bandwidth": 2}, "unknown key"),
        ({"mbit": 1, "loss": 1}, "loss must be from 0 to 0.5, got 1"),
        ({"mbit": 1, "round_trip_ms": -1}, "round_trip_ms must be from 0"),
        ({"mbit": 1, "codec": "int4"}, "unknown value 'int4'; nearest: 'int8'"),
        ({"mbit": 1, "compression": "gzip"}, "unknown value 'gzip'"),
        ({"mbit": 1, "compression_ratio": 0.5}, "needs a compression"),
        ({"mbit": 1, "compression": "zstd", "compression_ratio": 1.5}, "at most 1"),
    ],
)
def test_bad_links_are_refused(table: dict[str, object], wrong: str) -> None:
    with pytest.raises(SpecError, match=wrong):
        specs.from_table(Link, table, key="link")


@pytest.mark.parametrize("sent", [-1.0, math.inf, math.nan])
def test_bytes_must_be_numbers(sent: float) -> None:
    with pytest.raises(SpecError, match="bytes on a link must be a finite number from 0"):
        Link(mbit=1.0).send_ms(sent)
