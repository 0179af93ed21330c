"""The selection of a front's points where there is no room for all of them."""

from collections.abc import Sequence

from eenas.results.front import SHARES, best_within
from eenas.results.results import StudyResults
from eenas.study.rivals.offered_points import FrontPoint


def with_best(results: StudyResults, items: Sequence[FrontPoint]) -> tuple[FrontPoint, ...]:
    """Return `items`, points of the front, and the best point within each budget of SHARES of networks not among them.

    The result is in the order of the front.
    """
    shown = {item.name for item in items}
    best = [best_within(results.front, share) for share in SHARES]
    added = {item.name: item for item in best if item is not None and not (item.kind == "plain" or item.name in shown)}
    return tuple(sorted((*items, *added.values()), key=lambda item: (-item.point.accuracy, item.macs_share)))


def spread(front: Sequence[FrontPoint], limit: int) -> tuple[FrontPoint, ...]:
    """Return at most `limit` points, evenly spaced over their share of the backbone's MACs, in the order of `front`.

    If `limit` allows it, the knee, both ends and the recommended point are among them, in this order of priority.
    """
    if len(front) <= limit:
        return tuple(front)
    if limit < 1:
        return ()
    shares = [point.macs_share for point in front]
    low, high = min(shares), max(shares)
    wanted = [low + (high - low) * step / max(limit - 1, 1) for step in range(limit)]
    chosen = [index for index, point in enumerate(front) if point.knee][:1]
    recommended = [index for index, point in enumerate(front) if point.recommended]
    for number, target in enumerate((wanted[-1], wanted[0], *wanted[1:-1])):
        if number == 2 and len(chosen) < limit:
            chosen += [index for index in recommended if index not in chosen]
        if len(chosen) >= limit:
            break
        free = [index for index in range(len(front)) if index not in chosen]
        chosen.append(min(free, key=lambda index: abs(shares[index] - target)))
    return tuple(front[index] for index in sorted(chosen))
