"""The simulation of a fleet: each sample goes through the queues of its device, its link and the server."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.fleet.device_queues import DeviceMoments, DeviceWork, through_devices
from eenas.deployment.fleet.fleet import Fleet
from eenas.deployment.fleet.fleet_link import DrawnTransfers, shifts_of
from eenas.deployment.fleet.fleet_outcome import FleetOutcome, Loads
from eenas.deployment.fleet.sample_decisions import SampleDecisions
from eenas.deployment.fleet.server_queue import Served, serve
from eenas.deployment.fleet.split_times import SplitTimes
from eenas.errors import SimulationError, plural


class Deciding(Protocol):
    """The source of the decisions: fixed for each sample of a table, or made by a controller on each device."""

    def __len__(self) -> int:
        """The number of samples N to draw from."""

    def of(self, owners: NDArray[np.int64], samples: NDArray[np.int64]) -> SampleDecisions:
        """Return the decisions on R arrivals from their devices and samples [R], sorted by device and arrival."""


def simulate_fleet(times: SplitTimes, deciding: Deciding, fleet: Fleet) -> FleetOutcome:
    """Return what happens to the samples that arrive at the devices of a fleet.

    Queues are in order of arrival and never hold a device up: each moment follows from earlier stages alone, so that
    stages are computed one after the other. Raises SimulationError if no sample arrives after the warm-up, and for
    decisions on other exits than those of `times`.
    """
    generators = [np.random.default_rng([fleet.seed, stage]) for stage in range(4)]
    owners, arrived = fleet.arrivals.draw(fleet.devices, fleet.seconds, generators[0])
    counted = arrived >= 1000.0 * fleet.warm_up_s
    if not counted.any():
        raise SimulationError(
            f"no sample arrived within {fleet.seconds:g} s; raise the rate, the devices or the seconds"
        )
    taken = deciding.of(owners, generators[1].integers(len(deciding), size=len(owners)))
    if taken.exits.max() >= times.num_exits:
        raise SimulationError(
            f"the times are for {plural(times.num_exits, 'exit')}, a decision took exit {taken.exits.max()}"
        )
    sends = taken.exits >= times.on_device
    drawn = fleet.link.draw(len(owners), times.sent_bytes, times.answer_bytes, generators[2])
    limit = np.inf if fleet.deadline_ms is None else fleet.deadline_ms
    work = DeviceWork(
        owners=owners,
        arrived=arrived,
        device_ms=np.array([*times.device_ms, *(times.cut_ms for _ in times.server_ms)])[taken.exits],
        sends=sends,
        link_ms=drawn.busy,
        given_up=arrived + limit,
        sent_bytes=drawn.wire_bytes,
        trace=fleet.link.trace,
        shifts=shifts_of(fleet.link, fleet.devices, generators[3]),
    )
    moments = through_devices(work)
    sent = np.nonzero(np.isfinite(moments.sent))[0]
    reached = moments.sent[sent] + drawn.there[sent]
    order = np.argsort(reached, kind="stable")
    sent, reached = sent[order], reached[order]
    served = serve(fleet.server, reached, taken.exits[sent] - times.on_device, _parts(times), work.given_up[sent])
    return _outcome(times, fleet, taken, (work, drawn, moments), (sent, reached, served))


def _parts(times: SplitTimes) -> NDArray[np.float64]:
    """Return the time of each part on the server, [K - E]."""
    return np.diff(np.array((0.0, *times.server_ms)))


def _outcome(
    times: SplitTimes,
    fleet: Fleet,
    taken: SampleDecisions,
    devices: tuple[DeviceWork, DrawnTransfers, DeviceMoments],
    server: tuple[NDArray[np.int64], NDArray[np.float64], Served],
) -> FleetOutcome:
    (work, drawn, moments), (sent, reached, served) = devices, server
    count = len(work.arrived)
    answered, waited = np.where(work.sends, np.nan, moments.finished), np.zeros(count)
    answered[sent] = served.answered + drawn.back[sent]
    waited[sent] = np.nan_to_num(served.begun - reached)
    dropped = work.sends & ~(answered <= work.given_up)
    answered = np.where(dropped, np.maximum(work.given_up, moments.finished), answered)
    on_link = np.isfinite(moments.sent)
    kept = work.arrived >= 1000.0 * fleet.warm_up_s
    link = fleet.link.link
    request, answer = times.sent_bytes + link.overhead_bytes, times.answer_bytes + link.overhead_bytes
    exits = np.where(dropped, times.on_device - 1, taken.exits)
    link_waits = np.where(on_link, moments.sending - moments.finished, 0.0)
    return FleetOutcome(
        devices=fleet.devices,
        samples=count,
        seconds=fleet.seconds,
        latency_ms=(answered - work.arrived)[kept],
        device_wait_ms=(moments.finished - work.device_ms - work.arrived)[kept],
        link_wait_ms=link_waits[kept],
        server_wait_ms=waited[kept],
        exits=exits[kept],
        on_device=~work.sends[kept],
        sent=on_link[kept],
        dropped=dropped[kept],
        right=np.where(dropped, taken.right_on_device, taken.right)[kept],
        energy_j=(fleet.watts * work.device_ms / 1000.0 + on_link * link.joules(request + answer))[kept],
        bytes_sent=float(request * on_link[kept].sum()),
        mean_batch=float(served.sizes[served.sizes > 0].mean()) if (served.sizes > 0).any() else None,
        loads=_loads(times, fleet, taken, (work, drawn, moments), served),
    )


def _loads(
    times: SplitTimes,
    fleet: Fleet,
    taken: SampleDecisions,
    devices: tuple[DeviceWork, DrawnTransfers, DeviceMoments],
    served: Served,
) -> Loads:
    work, drawn, moments = devices
    total = 1000.0 * fleet.seconds * fleet.devices
    processor, link = (work.device_ms, moments.finished), (moments.sent - moments.sending, moments.sent)
    busy = [_within(end - length, end, fleet.seconds) / total for length, end in (processor, link)]
    wire = 0.0 if fleet.link.trace is None else 8e-3 * drawn.wire_bytes / fleet.link.trace.mean_mbit
    exits = taken.exits[work.sends] - times.on_device
    offered = {
        "device": float(work.device_ms.sum() / total),
        "link": float((drawn.busy + wire)[work.sends].sum() / total),
        "server": fleet.server.load(exits, _parts(times), fleet.seconds) if len(exits) else 0.0,
    }
    workers = _within(served.busy[:, 0], served.busy[:, 1], fleet.seconds) / (
        1000.0 * fleet.seconds * fleet.server.workers
    )
    return Loads(device=busy[0], link=busy[1], server=workers, offered=offered)


def _within(begun: NDArray[np.float64], ended: NDArray[np.float64], seconds: float) -> float:
    """Return the ms of intervals before the last arrival is possible; those that are NaN count as none."""
    limit = 1000.0 * seconds
    return float(np.nansum(np.clip(ended, None, limit) - np.clip(begun, None, limit)))
