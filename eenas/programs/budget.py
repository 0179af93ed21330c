"""The choice of an operating point of a manifest within a budget."""

from collections.abc import Sequence

from eenas.errors import PolicyError
from eenas.percent import percent
from eenas.policies.macs_share import unit_fault
from eenas.policies.operating_point import OperatingPoint
from eenas.programs.manifest import Manifest

_SLACK = 1e-9
"""Relative tolerance of a limit: a mean over samples may miss the cost it equals by rounding."""


def within_budget(
    manifest: Manifest, macs: float | None, latency_ms: float | None, accuracy: float | None
) -> OperatingPoint:
    """The operating point for a budget: see `ExportedModel.set_budget`."""
    wanted = {"macs": macs, "latency_ms": latency_ms, "accuracy": accuracy}
    given = {name: value for name, value in wanted.items() if value is not None}
    if not given or not all(isinstance(value, int | float) and value >= 0 for value in given.values()):
        raise PolicyError(f"a budget is macs, latency_ms or accuracy, and numbers from 0 up, got {given or 'none'}")
    if macs is not None and (fault := unit_fault("macs", macs)):
        raise PolicyError(fault)
    kept, total = manifest.points, manifest.backbone_macs
    if not kept or not total:
        raise PolicyError("this model was exported without operating points; export it from a run, or set_thresholds")
    if macs is not None:
        shares = [100 * point.expected_macs / total for point in kept]
        kept = _cheap(kept, shares, 100 * macs, "{:.1f} % of the backbone's MACs")
    if latency_ms is not None:
        times = [point.expected_latency_ms for point in kept]
        known = [value for value in times if value is not None]
        if len(known) < len(times):
            raise PolicyError("the operating points of this model have no latency, got latency_ms; give macs")
        kept = _cheap(kept, known, latency_ms, "{:.3g} ms")
    best = max(point.accuracy for point in kept)
    if accuracy is not None and best < accuracy - _SLACK:
        raise PolicyError(
            f"no operating point is right on {percent(accuracy, 2)} of samples; the nearest is on {percent(best, 2)}"
        )
    good = [point for point in kept if point.accuracy >= (best if accuracy is None else accuracy - _SLACK)]
    return min(good, key=lambda point: point.expected_macs)


def _cheap(
    points: Sequence[OperatingPoint], costs: Sequence[float], limit: float, text: str
) -> tuple[OperatingPoint, ...]:
    """The points whose costs are within the limit; PolicyError where there are none."""
    kept = tuple(point for point, cost in zip(points, costs, strict=True) if cost <= limit * (1 + _SLACK))
    if not kept:
        raise PolicyError(
            f"no operating point spends at most {text.format(limit)}; the nearest spends {text.format(min(costs))}"
        )
    return kept
