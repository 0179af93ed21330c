"""The queues of the devices: the processor and then the link, each one sample at a time in order of arrival."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.fleet.bandwidth_trace import BandwidthTrace


@dataclass(frozen=True, kw_only=True, eq=False)
class DeviceWork:
    """What R samples need, sorted by device and arrival; every array is [R], times are in ms.

    `owners` are the devices and `arrived` the moments. `device_ms` is the work of the processor. A sample with `sends`
    then takes the link of its device for `link_ms`, and for the time that `sent_bytes` take over `trace`, if there is
    one, in which device d is `shifts[d]` ms ahead. It is not sent if the link is not free before the moment `given_up`.
    """

    owners: NDArray[np.int64]
    arrived: NDArray[np.float64]
    device_ms: NDArray[np.float64]
    sends: NDArray[np.bool_]
    link_ms: NDArray[np.float64]
    given_up: NDArray[np.float64]
    sent_bytes: float = 0.0
    trace: BandwidthTrace | None = None
    shifts: NDArray[np.float64] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DeviceMoments:
    """When the processor finished with each sample, and its sending began and ended, in ms [R]; NaN if not sent."""

    finished: NDArray[np.float64]
    sending: NDArray[np.float64]
    sent: NDArray[np.float64]


def through_devices(work: DeviceWork) -> DeviceMoments:
    """Return the moments of every sample. A processor and a link never work on two samples of one device at once."""
    finished, sending, sent = [], [], []
    nan, size, trace = float("nan"), work.sent_bytes, work.trace
    shifts = [0.0] * len(work.owners) if work.shifts is None else work.shifts[work.owners].tolist()
    rows = (work.owners, work.arrived, work.device_ms, work.sends, work.link_ms, work.given_up)
    device, processor, link = -1, 0.0, 0.0
    for owner, time, needed, sends, link_ms, limit, shift in zip(
        *(each.tolist() for each in rows), shifts, strict=True
    ):
        if owner != device:
            device, processor, link = owner, 0.0, 0.0
        processor = (time if time > processor else processor) + needed
        finished.append(processor)
        if sends:
            start = processor if processor > link else link
            if start < limit:
                link = start + link_ms
                if trace is not None:
                    link += trace.end_ms(start + shift, size) - shift - start
                sending.append(start)
                sent.append(link)
                continue
        sending.append(nan)
        sent.append(nan)
    return DeviceMoments(finished=np.array(finished), sending=np.array(sending), sent=np.array(sent))
