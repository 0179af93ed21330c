"""One-line explanations of why no network is offered or recommended, with the nearest one and a remedy."""

from collections.abc import Sequence

import numpy as np

from eenas.fronts.choice import cheapest_within
from eenas.percent import percent
from eenas.policies.costs import MACS
from eenas.results.front import ACCEPTED_DROP, nearest_miss
from eenas.results.results import StudyResults
from eenas.study.rivals.known_networks import BACKBONE
from eenas.study.rivals.offered_points import FrontPoint
from eenas.study.settings.limits import Limits, amount


def no_front(results: StudyResults, limits: Limits | None = None) -> str:
    """Return one line that explains why no point is offered, with the nearest miss and a remedy."""
    if not results.networks:
        failed = any(trial.state == "failed" for trial in results.trials)
        see = ", with --debug to see why trials failed" if failed else ""
        return f"no trial has finished; rerun `eenas search` to continue{see}"
    wanted = results.settings.constraints if limits is None else results.settings.constraints.and_also(limits)
    found = nearest_miss(results.networks, results.backbone, wanted)
    assert found is not None
    item, missed = found
    misses = " and ".join(f"{name} {missed_by(name, by, results)}" for name, by in missed.items())
    return (
        f"no network holds the limits; the nearest is {_name_of(item)} ({percent(item.point.accuracy)} at "
        f"{percent(item.macs_share, 0)} of the MACs), which misses {misses}; loosen the limits or search longer"
    )


def missed_by(name: str, by: float, results: StudyResults) -> str:
    """Return, as text, the amount by which the limit `name` is missed."""
    return "(not recorded for it)" if by == float("inf") else f"by {amount(name, by, results.units)}"


def nothing_chosen(
    results: StudyResults,
    front: Sequence[FrontPoint],
    *,
    drop: float = ACCEPTED_DROP,
    limited: bool = False,
    most_accurate: bool = False,
) -> str:
    """Return one line that explains why no network of `front` is chosen, with the nearest one and a remedy.

    The choice was the cheapest network that loses at most `drop` against the backbone, or with `most_accurate` the most
    accurate one. `limited` tells whether there were limits in addition to those of the study.
    """
    is_limited = limited or bool(results.settings.constraints)
    held = " within the limits" if is_limited else ""
    real = [item for item in front if item.kind != "plain" and item.point.accuracy > results.guessing]
    plain = next((item for item in front if item.kind == "plain" and item.point.accuracy > results.guessing), None)
    if not real and (plain is None or not is_limited):
        best = max(front, key=_accuracy)
        return (
            f"the study {results.name!r} has found nothing better than guessing{held}; search longer, give the "
            f"validation split more samples, or train a network by its name (`eenas train --network {best.name!r}`)"
        )
    use = "search longer"
    if plain is not None:
        figures = _figures(plain, results)
        use = f"use the backbone as it is ({figures}; `eenas train --network {BACKBONE}` trains it further)"
    if not real:
        return f"the plain backbone alone is better than guessing{held}; {use}, loosen the limits or search longer"
    points = f"{100 * drop:g} point" + ("" if drop == 0.01 else "s")
    saving = [item for item in real if item.saves]
    dear = _cheapest([item for item in real if not item.saves], results, drop)
    if most_accurate and plain is not None:
        dear, text = None, f"the plain backbone is the most accurate network{held}"
    elif dear is not None:
        text = (
            f"the plain backbone is the better choice: no network{held} within {points} of it saves anything "
            f"(the cheapest, {_against(dear)})"
        )
    else:
        text = f"no network{held} is within {points} of the backbone"
    if not saving:
        if dear is None:
            dear = max(real, key=_accuracy)
            text += f", and none saves anything against it (the nearest, {_against(dear)})"
        return f"{text}; {use}, or take that network by its name (--network {dear.name!r})"
    nearest = max([item for item in saving if item.choice] or saving, key=_accuracy)
    lost = results.backbone.accuracy - nearest.point.accuracy
    enough = np.ceil(1000 * lost) / 1000
    return (
        f"{text}; the nearest{'' if dear is None else ' that does'}, {nearest.name}, loses {100 * lost:.1f} points at "
        f"{percent(nearest.macs_share, 0)} of the MACs; give --max-accuracy-drop {enough:g}, or "
        + (use if is_limited or dear is not None else "search longer")
    )


def _cheapest(items: Sequence[FrontPoint], results: StudyResults, drop: float) -> FrontPoint | None:
    """Return the cheapest of `items` that loses at most `drop` against the backbone, or None."""
    costs = [item.point.expected.get(results.cheaper_by, 0.0) for item in items]
    index = cheapest_within(list(map(_accuracy, items)), costs, floor=results.backbone.accuracy - drop)
    return None if index is None else items[index]


def _accuracy(item: FrontPoint) -> float:
    return item.point.accuracy


def _name_of(item: FrontPoint) -> str:
    return "the plain backbone" if item.kind == "plain" else item.name


def _against(item: FrontPoint) -> str:
    """Return a text with the accuracy of a network and its costs as shares of the backbone's."""
    others = "".join(f" and {share:.2f} × the {name}" for name, share in item.cost_shares.items() if name != MACS)
    return f"{item.name}, has {percent(item.point.accuracy)} at {percent(item.macs_share, 0)} of the MACs{others}"


def _figures(item: FrontPoint, results: StudyResults) -> str:
    others = ((name, value) for name, value in item.point.expected.items() if name != MACS)
    said = "".join(f" and {value:.3g} {results.units.get(name) or name}" for name, value in others)
    return f"{percent(item.point.accuracy)} at {percent(item.macs_share, 0)} of the MACs{said}"
