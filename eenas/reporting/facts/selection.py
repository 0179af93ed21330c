"""Which points of a front are shown where there is no room for all of them."""

from collections.abc import Sequence

from eenas.study.rivals.offered_points import FrontPoint


def spread(front: Sequence[FrontPoint], limit: int) -> tuple[FrontPoint, ...]:
    """At most `limit` points, evenly spaced over their share of the backbone's MACs, in the order of `front`.

    Both ends, the knee and the recommended point are always among them where `limit` has room: the knee goes first,
    then the ends.
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
