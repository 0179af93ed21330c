"""The facts of a simulated fleet: rows for a table, sentences, and plain data for JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from eenas.deployment.fleet.fleet_outcome import FleetOutcome
from eenas.deployment.fleet.fleet_runs import FleetRuns
from eenas.errors import plural
from eenas.percent import percent

QUANTILES = {"median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
QUEUES = {"device": "the device", "link": "the link", "server": "the server"}


@dataclass(frozen=True, kw_only=True)
class FleetRow:
    """A number of devices as texts: latencies in ms, shares, joules and kilobytes of a sample, and loads.

    `energy` is "" if neither watts nor energy of the link are given.
    """

    devices: str
    median: str
    p90: str
    p99: str
    highest: str
    offloaded: str
    dropped: str
    accuracy: str
    energy: str
    kilobytes: str
    link: str
    server: str


def fleet_rows(found: FleetRuns) -> list[FleetRow]:
    """Return a row for each number of devices."""
    return [
        FleetRow(
            devices=f"{each.devices:,}",
            median=_ms(each, 0.5),
            p90=_ms(each, 0.9),
            p99=_ms(each, 0.99),
            highest=_ms(each, 1.0),
            offloaded=percent(each.offload_rate),
            dropped=percent(each.drop_rate),
            accuracy=percent(each.accuracy),
            energy=f"{each.energy_j.mean():.3g}" if each.energy_j.any() else "",
            kilobytes=f"{each.bytes_sent / len(each) / 1000:.3g}",
            link=percent(each.loads.link),
            server=percent(each.loads.server),
        )
        for each in found.outcomes
    ]


def fleet_summary(found: FleetRuns) -> list[str]:
    """Return sentences on the settings, on queues that grow without end, and on targets."""
    fleet, times = found.fleet, found.times
    place = {"": "everything on the server", "final": "everything on the device"}.get(times.name, f"split {times.name}")
    rate = "a trace of arrivals" if fleet.arrivals.moments else f"{fleet.arrivals.rate:g} samples/s a device"
    width = f"{fleet.link.trace.mean_mbit:.3g} Mbit/s on average" if fleet.link.trace else fleet.link.link.label
    workers = f"{fleet.server.workers} worker{'s' * (fleet.server.workers != 1)}"
    batches = f", batches of up to {fleet.server.max_batch}" if fleet.server.max_batch > 1 else ""
    exits = plural(times.num_exits, "exit")
    lines = [
        f"{found.name}: {exits}, {times.on_device} of them on the device; {place}; decisions by {found.decisions}.",
        f"{fleet.seconds:g} s of {rate} ({fleet.arrivals.kind}); link {width}; server with {workers}{batches}.",
    ]
    if found.origin:
        lines.append(f"{found.origin}.")
    if fleet.deadline_ms is not None:
        lines.append(f"After {fleet.deadline_ms:g} ms the last exit on the device answers.")
    lines += [_growing(each, name) for each in found.outcomes for name in each.loads.unstable]
    for each, reached in zip(found.outcomes, found.reliabilities, strict=False):
        lines.append(
            f"With {each.devices:,} devices, batches of 256 have an edge inference outage (below "
            f"{percent(reached.target_accuracy)} on the device) with probability {reached.outage:.3f}, and miss "
            f"{reached.target_ms:g} ms or this accuracy with probability {reached.missed_deadline:.3f}."
        )
    return lines


def fleet_data(found: FleetRuns) -> dict[str, Any]:
    """Return everything but the single samples as plain data for JSON."""
    fleet = asdict(found.fleet)
    fleet.pop("devices")
    if found.fleet.link.trace is not None:
        trace = found.fleet.link.trace
        fleet["link"]["trace"] = {"name": trace.name, "seconds": trace.period, "mean_mbit": trace.mean_mbit}
    if found.fleet.arrivals.moments:
        fleet["arrivals"]["moments"] = len(found.fleet.arrivals.moments)
    runs = []
    for number, each in enumerate(found.outcomes):
        run: dict[str, Any] = {
            "devices": each.devices,
            "samples": len(each),
            "latency_ms": {
                "mean": float(each.latency_ms.mean()),
                **{name: each.quantile(share) for name, share in QUANTILES.items()},
            },
            "mean_waits_ms": {
                "device": float(each.device_wait_ms.mean()),
                "link": float(each.link_wait_ms.mean()),
                "server": float(each.server_wait_ms.mean()),
            },
            "accuracy": each.accuracy,
            "offload_rate": each.offload_rate,
            "drop_rate": each.drop_rate,
            "bytes_sent": each.bytes_sent,
            "energy_j": float(each.energy_j.sum()),
            "mean_batch": each.mean_batch,
            "loads": asdict(each.loads),
            "unstable": list(each.loads.unstable),
        }
        if found.reliabilities:
            run["reliability"] = asdict(found.reliabilities[number])
        runs.append(run)
    return {
        "network": found.name,
        "decisions": found.decisions,
        "times": asdict(found.times),
        "fleet": fleet,
        "origin": found.origin or None,
        "runs": runs,
    }


def _growing(found: FleetOutcome, name: str) -> str:
    return (
        f"Unstable with {found.devices:,} devices: the samples need {percent(found.loads.offered[name], 0)} of the "
        f"time of {QUEUES[name]}, whose queue grows as long as they arrive; its latencies depend on --seconds."
    )


def _ms(found: FleetOutcome, share: float) -> str:
    return f"{found.quantile(share):.4g}"
