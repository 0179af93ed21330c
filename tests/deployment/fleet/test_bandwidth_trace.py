"""Bandwidth over time: its file, and the time of sending over it."""

import numpy as np
import pytest

from eenas.deployment.fleet.bandwidth_trace import BandwidthTrace
from eenas.errors import SimulationError

TRACE = BandwidthTrace(seconds=(0.0, 1.0, 2.5, 3.0), mbit=(8.0, 0.0, 2.0, 16.0))


def slow_end(trace, start_ms, size, step_ms=0.25):
    """The first moment at which the bandwidth of small steps has sent everything."""
    bits, now = 8.0 * size, start_ms
    while bits > 0:
        place = (now / 1000.0) % trace.period
        width = [mbit for second, mbit in zip(trace.seconds, trace.mbit, strict=True) if second <= place][-1]
        bits -= width * 1000.0 * step_ms
        now += step_ms
    return now


@pytest.mark.parametrize("seed", range(20))
def test_sending_takes_as_long_as_in_small_steps(seed):
    random = np.random.default_rng(seed)
    start, size = random.uniform(0, 20_000), random.choice([10.0, 10_000, 400_000, 1_500_000])
    assert TRACE.end_ms(start, size) == pytest.approx(slow_end(TRACE, start, size), abs=1.0)


def test_a_message_ends_when_its_last_bit_is_sent_not_after_the_outage_that_follows():
    assert TRACE.end_ms(0.0, 1_000_000) == pytest.approx(1000.0)
    assert TRACE.end_ms(0.0, 1_000_001) > 2500.0
    assert TRACE.end_ms(1700.0, 0) == pytest.approx(1700.0)


def test_the_period_and_the_mean_include_the_last_bandwidth():
    assert TRACE.period == 4.0
    assert TRACE.mean_mbit == pytest.approx((8 * 1 + 2 * 0.5 + 16 * 1) / 4)
    assert BandwidthTrace(seconds=(0.0,), mbit=(3.0,)).end_ms(5_250.0, 375) == pytest.approx(5_251.0)


def test_a_file_is_read_by_the_names_of_its_columns(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("mbit,place,seconds\n8,a,100\n0,b,101\n2,c,102.5\n16,d,103\n\n")
    found = BandwidthTrace.read(file)
    assert (found.seconds, found.mbit) == (TRACE.seconds, TRACE.mbit)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "column seconds is missing"),
        ("seconds\n1\n", "column mbit is missing"),
        ("seconds,mbit\n", "no lines"),
        ("seconds,mbit\n0,1\n1\n", "line 3"),
        ("seconds,mbit\n0,fast\n", "line 2"),
        ("seconds,mbit\n0,1\n2,1\n1,1\n", "sort the trace"),
        ("seconds,mbit\n0,1\n0,1\n", "sort the trace"),
        ("seconds,mbit\n0,-1\n", "from 0 up"),
        ("seconds,mbit\n0,0\n1,0\n", "at least one above 0"),
        ("seconds,mbit\n0,nan\n", "from 0 up"),
        ('seconds,mbit\n"0,1\n', "line 2|CSV"),
    ],
)
def test_bad_traces_are_refused(tmp_path, text, words):
    file = tmp_path / "t.csv"
    file.write_text(text)
    with pytest.raises(SimulationError, match=words) as caught:
        BandwidthTrace.read(file)
    assert "\n" not in str(caught.value)


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    for file in (tmp_path / "t.csv", tmp_path / "none.csv", tmp_path):
        with pytest.raises(SimulationError, match=str(file)):
            BandwidthTrace.read(file)
