"""Selection of a manifest's operating point within a budget."""

from collections.abc import Mapping

from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened
from eenas.percent import percent
from eenas.policies.costs import MACS, cost_of, key_of
from eenas.policies.macs_share import unit_fault
from eenas.policies.operating_point import OperatingPoint
from eenas.programs.manifest import Manifest

_SLACK = 1e-9
"""Relative tolerance of a limit. It absorbs the rounding of means over samples."""


def within_budget(manifest: Manifest, accuracy: float | None, costs: Mapping[str, float | None]) -> OperatingPoint:
    """Return the operating point for a budget. See `ExportedModel.set_budget`."""
    given = {cost_of(name): value for name, value in costs.items() if value is not None}
    _check_budget(manifest, given, accuracy)
    kept, total = manifest.points, manifest.backbone_macs
    if not kept or not total:
        raise PolicyError("this model was exported without operating points; export a run, or call set_thresholds")
    units = {each.name: each.unit for each in manifest.costs}
    for name, limit in given.items():
        found = [point.expected.get(name) for point in kept]
        spent = [value for value in found if value is not None]
        if len(spent) < len(found):
            raise PolicyError(f"the operating points of this model have no {name}, got {key_of(name)}; give macs")
        text = "{:.3g} " + (units.get(name) or name)
        if name == MACS:
            spent, limit, text = (
                [100 * value / total for value in spent],
                100 * limit,
                "{:.1f} % of the backbone's MACs",
            )
        kept = tuple(point for point, each in zip(kept, spent, strict=True) if each <= limit * (1 + _SLACK))
        if not kept:
            raise PolicyError(
                f"no operating point costs at most {text.format(limit)}; the nearest costs {text.format(min(spent))}"
            )
    best = max(point.accuracy for point in kept)
    if accuracy is not None and best < accuracy - _SLACK:
        raise PolicyError(
            f"no operating point has an accuracy of {percent(accuracy, 2)}; the highest is {percent(best, 2)}"
        )
    good = [point for point in kept if point.accuracy >= (best if accuracy is None else accuracy - _SLACK)]
    return min(good, key=lambda point: point.expected[MACS])


def _check_budget(manifest: Manifest, given: Mapping[str, float], accuracy: float | None) -> None:
    """Raise PolicyError unless a budget has at least one known cost or an accuracy, and numbers of at least 0."""
    known = dict.fromkeys((*(each.name for each in manifest.costs), *(n for p in manifest.points for n in p.expected)))
    names = [*(key_of(name) for name in known), "accuracy"]
    if unknown := [name for name in given if name not in known]:
        raise PolicyError(
            f"this model has no cost {shortened(unknown[0])}; {nearest(unknown[0], names)}; a budget takes "
            f"{', '.join(names)}"
        )
    values = {**{key_of(name): value for name, value in given.items()}, "accuracy": accuracy}
    values = {name: value for name, value in values.items() if value is not None}
    right = (isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 for value in values.values())
    if not values or not all(right):
        raise PolicyError(
            f"a budget takes {', '.join(names[:-1])} or accuracy, as numbers of at least 0, "
            f"got {shortened(values or 'none')}"
        )
    if MACS in given and (fault := unit_fault(MACS, given[MACS])):
        raise PolicyError(fault)
