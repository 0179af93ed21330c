"""The simulation of a fleet: against a slow one, against closed forms, and its figures."""

import dataclasses
import math

import numpy as np
import pytest

from eenas.deployment.fleet.arrivals import Arrivals
from eenas.deployment.fleet.bandwidth_trace import BandwidthTrace
from eenas.deployment.fleet.device_queues import DeviceWork, through_devices
from eenas.deployment.fleet.fleet import Fleet
from eenas.deployment.fleet.fleet_link import FleetLink
from eenas.deployment.fleet.sample_decisions import SampleDecisions
from eenas.deployment.fleet.server_queue import ServerQueue, serve, serve_one_by_one
from eenas.deployment.fleet.simulator import simulate_fleet
from eenas.deployment.fleet.split_times import SplitTimes
from eenas.errors import SimulationError
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.part_times import PartTimes
from eenas.measurement.tiers.tier_costs import TieredNetwork, tier_costs
from eenas.measurement.tiers.tiers import Tier, Tiers

from .slow_fleet import SlowFleet

TIMES = SplitTimes(device_ms=(4.0, 9.0), cut_ms=11.0, sent_bytes=8000, server_ms=(2.0, 5.0), answer_bytes=100)
LINK = FleetLink(link=Link(mbit=6, round_trip_ms=50))


def decisions(exits, samples=400, seed=0):
    random = np.random.default_rng(seed)
    return SampleDecisions(
        exits=random.integers(exits, size=samples),
        right=random.random(samples) < 0.9,
        right_on_device=random.random(samples) < 0.6,
    )


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("deadline", [None, 40.0])
def test_stages_are_those_of_a_simulation_event_by_event(seed, deadline):
    random = np.random.default_rng(seed)
    queue = ServerQueue(
        workers=int(random.integers(1, 4)),
        max_batch=int(random.choice([1, 3, 8])),
        wait_ms=float(random.choice([0.0, 6.0, 25.0])),
        batch_factors=((1, 1), (4, 2.5)),
    )
    owners, arrived = Arrivals(rate=30).draw(6, 3.0, random)
    work = DeviceWork(
        owners=owners,
        arrived=arrived,
        device_ms=random.uniform(1, 20, len(owners)),
        sends=random.random(len(owners)) < 0.7,
        link_ms=random.uniform(1, 20, len(owners)),
        given_up=arrived + (np.inf if deadline is None else deadline),
    )
    there, exits = random.uniform(1, 9, len(owners)), random.integers(3, size=len(owners))
    parts = np.array([3.0, 1.0, 4.0])
    slow = SlowFleet(work, there, queue, exits, parts).run()
    fast = through_devices(work)
    for name in ("finished", "sending", "sent"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), atol=1e-6)
    sent = np.nonzero(np.isfinite(fast.sent))[0]
    assert len(sent) > 20
    sent = sent[np.argsort(fast.sent[sent] + there[sent])]
    served = serve(queue, (fast.sent + there)[sent], exits[sent], parts, work.given_up[sent])
    np.testing.assert_allclose(served.begun, slow.begun[sent], atol=1e-6)
    np.testing.assert_allclose(served.answered, slow.answered[sent], atol=1e-6)
    if deadline is not None:
        assert np.isnan(served.begun).any() or np.isnan(fast.sent[work.sends]).any()


@pytest.mark.parametrize(
    ("given_up", "begun"),
    [
        ((99.0, 99.0, 99.0, 99.0), (4.0, 4.0, 4.0, 17.0)),  # full with the third
        ((99.0, 3.0, 99.0, 99.0), (7.0, np.nan, 7.0, 7.0)),  # the second has left when the third comes
        ((3.0, 99.0, 99.0, 99.0), (np.nan, 7.0, 7.0, 7.0)),
        ((3.0, 99.0, 99.0, 6.0), (np.nan, 12.0, 12.0, np.nan)),  # the wait of the second counts
        ((3.0, 3.0, 3.0, 8.0), (np.nan, np.nan, np.nan, np.nan)),
    ],
)
def test_samples_that_are_given_up_fill_no_batch_and_end_no_wait(given_up, begun):
    queue, arrived = ServerQueue(max_batch=3, wait_ms=10.0), np.array([1.0, 2.0, 4.0, 7.0])
    served = serve(queue, arrived, np.zeros(4, dtype=np.int64), np.array([2.0]), np.array(given_up))
    np.testing.assert_allclose(served.begun, begun)


@pytest.mark.parametrize(("kind", "wait"), [("M/D/1", 0.5), ("M/M/1", 1.0)])
def test_waits_are_those_of_queueing_theory(kind, wait):
    """Mean waits of rho / (1 - rho) times the service, half of that if every service takes the same time."""
    random, count, load = np.random.default_rng(3), 100_000, 0.7
    arrived = np.cumsum(random.exponential(1.0, count))
    work = np.full(count, load) if kind == "M/D/1" else random.exponential(load, count)
    served = serve_one_by_one(1, arrived, work, np.full(count, np.inf))
    assert (served.begun - arrived).mean() == pytest.approx(wait * load / (1 - load) * load, rel=0.1)


def test_several_workers_wait_as_erlang_says():
    random, count, workers, offered = np.random.default_rng(4), 100_000, 3, 2.1
    arrived = np.cumsum(random.exponential(1.0, count))
    served = serve_one_by_one(workers, arrived, random.exponential(offered, count), np.full(count, np.inf))
    last = offered**workers / math.factorial(workers) * workers / (workers - offered)
    waits = last / (sum(offered**n / math.factorial(n) for n in range(workers)) + last)
    assert (served.begun - arrived).mean() == pytest.approx(waits * offered / (workers - offered), rel=0.1)


def test_a_device_waits_as_queueing_theory_says():
    fleet = Fleet(devices=50, seconds=1500, arrivals=Arrivals(rate=1.2), warm_up_s=50)
    times = SplitTimes(device_ms=(500.0,))
    found = simulate_fleet(times, decisions(1), fleet)
    assert found.device_wait_ms.mean() == pytest.approx(500 * 0.6 / (2 * 0.4), rel=0.1)
    assert found.loads.device == pytest.approx(0.6, rel=0.02)
    assert found.loads.offered["device"] == pytest.approx(0.6, rel=0.02)
    assert found.loads.unstable == ()


def test_without_load_latency_is_the_cost_of_the_tiers():
    fleet = Fleet(devices=3, seconds=2000, arrivals=Arrivals(kind="regular", rate=0.1), link=LINK, watts=5.0)
    found = simulate_fleet(TIMES, decisions(4), fleet)
    sending = LINK.link.send_ms(8000, 100)
    wanted = np.array([4.0, 9.0, 11.0 + sending + 2.0, 11.0 + sending + 5.0])
    np.testing.assert_allclose(found.latency_ms, wanted[found.exits], atol=1e-6)
    assert found.offload_rate == pytest.approx((found.exits >= 2).mean())
    assert found.bytes_sent == 8600 * (found.exits >= 2).sum()
    np.testing.assert_allclose(found.energy_j, 5e-3 * np.array([4, 9, 11, 11])[found.exits])


@pytest.mark.parametrize("split", ["", "a", "final"])
def test_bytes_and_energy_are_those_of_the_tiers(split):
    link = Link(mbit=6, round_trip_ms=50, joules_per_mb=2)
    part = PartTimes(segments_ms=[1.0, 1.0], exits_ms=[0.1, 0.0], entry_ms=0.5)
    network = TieredNetwork(
        times=(part, part), cut_points=("a",), elements=(400,), after=(1, 2), num_classes=10, input_bytes=3000
    )
    costs = tier_costs(network, Tiers.of(link, edge=Tier(name="edge", watts=5.0)))
    fleet = Fleet(devices=3, seconds=2000, arrivals=Arrivals(rate=0.1), link=FleetLink(link=link), watts=5.0)
    found = simulate_fleet(SplitTimes.of_tiers(costs, split), decisions(2), fleet)
    wanted = costs.columns(split)
    np.testing.assert_allclose(found.energy_j, wanted["tier_energy"][found.exits])
    assert found.bytes_sent == pytest.approx(wanted["bytes_sent"][found.exits].sum())


@pytest.mark.parametrize(
    "link",
    [
        Link(mbit=6, round_trip_ms=50, jitter_ms=30),
        Link(mbit=6, round_trip_ms=50, loss=0.02),
        Link(mbit=20, round_trip_ms=5, jitter_ms=4, loss=0.01),
    ],
)
def test_drawn_transfers_have_the_expected_time_of_the_link(link):
    drawn = FleetLink(link=link).draw(200_000, 60_000, 300, np.random.default_rng(0))
    total = drawn.busy + drawn.there + drawn.back
    assert total.mean() == pytest.approx(link.send_ms(60_000, 300), rel=0.01)
    assert total.std() > 0


def test_a_constant_trace_is_a_constant_link():
    steady = Fleet(devices=4, seconds=100, arrivals=Arrivals(rate=2), link=LINK)
    trace = BandwidthTrace(seconds=(0.0, 1.0, 5.0), mbit=(6.0, 6.0, 6.0))
    traced = dataclasses.replace(steady, link=dataclasses.replace(LINK, trace=trace))
    one, other = (simulate_fleet(TIMES, decisions(4), each) for each in (steady, traced))
    np.testing.assert_allclose(one.latency_ms, other.latency_ms, atol=0.02)


def test_deadlines_are_kept_by_the_last_exit_of_the_device():
    slow = dataclasses.replace(TIMES, server_ms=(200.0, 500.0))
    fleet = Fleet(devices=20, seconds=60, arrivals=Arrivals(rate=1), link=LINK, deadline_ms=150)
    taken = decisions(4)
    found = simulate_fleet(slow, taken, fleet)
    assert 0.2 < found.drop_rate < 0.6
    assert found.latency_ms.max() <= 150 + 1e-6
    assert (found.exits[found.dropped] == 1).all()
    assert found.loads.unstable == ("server",)
    assert found.accuracy < taken.right.mean() - 0.05
    free = simulate_fleet(slow, taken, dataclasses.replace(fleet, deadline_ms=None))
    assert free.drop_rate == 0
    assert free.quantile(0.99) > 1000


def test_batches_raise_the_capacity_of_a_server():
    fleet = Fleet(devices=300, seconds=30, arrivals=Arrivals(rate=1), link=LINK)
    alone = simulate_fleet(TIMES, decisions(4), fleet)
    server = ServerQueue(max_batch=8, batch_factors=((1, 1), (8, 2)))
    batched = simulate_fleet(TIMES, decisions(4), dataclasses.replace(fleet, server=server))
    assert alone.loads.offered["server"] > 0.4
    assert batched.loads.offered["server"] < 0.4 * alone.loads.offered["server"]
    assert batched.mean_batch > 1
    assert batched.server_wait_ms.mean() < alone.server_wait_ms.mean()


def test_seeds_repeat_and_differ():
    fleet = Fleet(devices=5, seconds=20, link=LINK)
    one, same, other = (
        simulate_fleet(TIMES, decisions(4), dataclasses.replace(fleet, seed=seed)).latency_ms for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert len(one) != len(other) or (one != other).any()


def test_everything_on_the_device_sends_nothing():
    times = SplitTimes(device_ms=(1.0, 2.0))
    found = simulate_fleet(times, decisions(2), Fleet(devices=2, link=LINK, deadline_ms=1.5))
    assert found.bytes_sent == 0
    assert found.mean_batch is None
    assert found.drop_rate == 0
    assert found.loads.server == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Fleet(devices=0), "devices"),
        (lambda: Fleet(seconds=math.nan), "seconds"),
        (lambda: Fleet(deadline_ms=-1.0), "deadline"),
        (lambda: Fleet(seconds=10, warm_up_s=10), "warm-up must be shorter"),
        (lambda: Arrivals(rate=-0.5), "rate of arrivals"),
        (lambda: Arrivals(kind="poison"), "nearest: 'poisson'"),
        (lambda: Arrivals(kind="trace", moments=(2.0, 1.0)), "ascending"),
        (lambda: Arrivals(kind="trace"), "at least one"),
        (lambda: ServerQueue(workers=0), "workers"),
        (lambda: ServerQueue(batch_factors=((1, 1), (8, 0.5))), "ascending"),
        (lambda: ServerQueue(wait_ms=-2.0), "wait"),
        (lambda: SplitTimes(device_ms=(2.0, 1.0)), "must not decrease"),
        (lambda: SplitTimes(device_ms=()), "at least one exit"),
        (lambda: SplitTimes(device_ms=(5.0,), cut_ms=1.0, server_ms=(1.0,)), "cut_ms"),
        (lambda: SplitTimes(device_ms=(-1.0,)), "from 0 up"),
        (lambda: decisions(3, samples=0), "at least one sample"),
        (lambda: simulate_fleet(SplitTimes(device_ms=(1.0,)), decisions(3), Fleet()), "1 exit"),
        (lambda: simulate_fleet(TIMES, decisions(4), Fleet(arrivals=Arrivals(rate=1e-9))), "no sample arrived"),
        (lambda: simulate_fleet(TIMES, decisions(4), Fleet(arrivals=Arrivals(rate=1e9))), "too many"),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(SimulationError, match=words):
        make()
