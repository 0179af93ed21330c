"""The command lines of netem, as text: the kernel of the machine of the tests need not have it."""

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("network namespaces are those of Linux", allow_module_level=True)

from tests.benchmarks.link_emulator import CLOUD, EDGE, EmulatedLink, netem_command

START = "tc -n {} qdisc replace dev eenas0 root netem delay"


@pytest.mark.parametrize(
    ("settings", "rest"),
    [
        ({"mbit": 6.0, "round_trip_ms": 50.0}, "25ms rate 6mbit limit 1000"),
        ({"mbit": 1.5, "round_trip_ms": 5.0, "loss": 0.01}, "2.5ms loss 1% rate 1.5mbit limit 1000"),
        # each way is half of the round trip, and from nothing to half of the jitter more
        ({"mbit": 20.0, "round_trip_ms": 40.0, "jitter_ms": 8.0, "queue": 50}, "22ms 2ms rate 20mbit limit 50"),
    ],
)
def test_both_directions_get_half_of_the_delay_and_the_whole_bandwidth(settings, rest):
    for name in (EDGE, CLOUD):
        assert " ".join(netem_command(name, EmulatedLink(**settings))) == f"{START.format(name)} {rest}"
