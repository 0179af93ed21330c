"""The times of a split from the costs of tiers: they add up to the latency of each exit."""

import numpy as np
import pytest

from eenas.deployment.fleet.split_times import SplitTimes
from eenas.errors import MeasurementError, SimulationError
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.part_times import PartTimes
from eenas.measurement.tiers.tier_costs import TieredNetwork, tier_costs
from eenas.measurement.tiers.tiers import Tier, Tiers
from eenas.tier_names import TIER_LATENCY

LINK = Link(mbit=6.0, round_trip_ms=40.0, jitter_ms=8.0, loss=0.01, codec="float16")
CUTS = ("a", "b", "c")


def network(tiers, seed=0):
    random = np.random.default_rng(seed)
    times = tuple(
        PartTimes(segments_ms=random.uniform(1, 9, 4), exits_ms=random.uniform(0, 1, 3), entry_ms=random.uniform(0, 1))
        for _ in range(tiers)
    )
    return TieredNetwork(
        times=times,
        cut_points=CUTS,
        elements=(16_384, 8192, 4096),
        after=(1, 3, 4),
        num_classes=10,
        input_bytes=3072,
    )


@pytest.mark.parametrize("split", ["", *CUTS, "final"])
@pytest.mark.parametrize("seed", range(3))
def test_device_link_and_server_add_up_to_the_cost_of_the_tiers(split, seed):
    costs = tier_costs(network(2, seed), Tiers.of(LINK))
    found = SplitTimes.of_tiers(costs, split)
    assert found.name == split
    assert found.on_device == {"": 0, "a": 1, "b": 1, "c": 2, "final": 3}[split]
    sending = LINK.send_ms(found.sent_bytes, found.answer_bytes)
    whole = [*found.device_ms, *(found.cut_ms + sending + each for each in found.server_ms)]
    np.testing.assert_allclose(whole, costs.columns(split)[TIER_LATENCY], rtol=1e-12)
    assert found.answer_bytes == (0 if split == "final" else 20 + 4 * 10)
    if split == "":
        assert found.sent_bytes == 3072


def test_unknown_splits_and_more_tiers_are_refused():
    with pytest.raises(MeasurementError, match="'d'"):
        SplitTimes.of_tiers(tier_costs(network(2), Tiers.of(LINK)), "d")
    three = Tiers(tiers=tuple(Tier(name=name) for name in ("edge", "gateway", "cloud")), links=(LINK, LINK))
    with pytest.raises(SimulationError, match="gateway"):
        SplitTimes.of_tiers(tier_costs(network(3), three), "a")
