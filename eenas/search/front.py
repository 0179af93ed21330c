"""The front of a study: of all networks that it knows, the operating points that no other one beats."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eenas.errors import FrontError
from eenas.fronts.choice import cheapest_within, knee
from eenas.fronts.choices import choices
from eenas.fronts.dominance import pareto_mask
from eenas.fronts.hypervolume import hypervolume
from eenas.policies.bootstrap import interval_of_counts
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.right_answers import unpack
from eenas.search.known_networks import BACKBONE, KnownNetwork
from eenas.search.limits import Limits
from eenas.search.results import BackboneFacts, Comparison, FrontPoint

SHARES = (0.25, 0.5, 0.75, 1.0)
"""The shares of the backbone's MACs at which accuracies are compared."""
REFERENCE_COST = 1.1
ACCEPTED_DROP = 0.01
"""What a recommended network may lose of the backbone's accuracy: one point."""


def offered(networks: Sequence[KnownNetwork], backbone: BackboneFacts, limits: Limits) -> list[FrontPoint]:
    """Every operating point of every network that holds all limits, in the order of the networks."""
    return [
        item
        for network in networks
        for item in points_of(network, backbone)
        if all(by <= 1e-9 for by in _violations(network, item.point, backbone, limits).values())
    ]


def points_of(network: KnownNetwork, backbone: BackboneFacts) -> list[FrontPoint]:
    """The operating points of one network, limits aside."""
    right: Sequence[str | None] = network.right or (None,) * len(network.points)
    found = []
    for point, text in zip(network.points, right, strict=True):
        latency = point.expected_latency_ms
        found.append(
            FrontPoint(
                name=network.name,
                kind=network.kind,
                trial=network.trial,
                design=network.design,
                point=point,
                macs_share=point.expected_macs / backbone.macs,
                latency_share=None if latency is None or not backbone.latency_ms else latency / backbone.latency_ms,
                right=text,
            )
        )
    return found


def build_front(
    networks: Sequence[KnownNetwork],
    backbone: BackboneFacts,
    limits: Limits,
    *,
    largest_class: float,
    by_latency: bool = False,
) -> tuple[FrontPoint, ...]:
    """The points within the limits that none dominates in accuracy, expected MACs and latency, by falling accuracy.

    Where latency was not measured it is the same for all. Of equal points the first network's stays. The choices among
    them are marked (above `largest_class`, the share of the largest class, and not within noise of a cheaper one), the
    knee of the choices, and the recommended one: the cheapest in MACs, or in milliseconds with `by_latency`, that loses
    at most ACCEPTED_DROP against the backbone. The backbone itself is a choice, but neither knee nor recommended.
    """
    items = offered(networks, backbone, limits)
    if not items:
        return ()
    values = [(item.point.accuracy, *_costs(item)) for item in items]
    mask = pareto_mask(np.array(values, dtype=np.float64), (True, False, False))
    different: dict[tuple[float, ...], FrontPoint] = {}
    for item, kept, value in zip(items, mask, values, strict=True):
        if kept:
            different.setdefault(value, item)
    found = sorted(different.values(), key=lambda item: (-item.point.accuracy, item.point.expected_macs))
    accuracy = np.array([item.point.accuracy for item in found])
    costs = np.array([_costs(item)[::-1] if by_latency else _costs(item) for item in found])
    marked = choices(accuracy, costs, floor=largest_class, right=_answers(found))
    chosen = np.nonzero(marked & np.array([item.kind != "plain" for item in found]))[0]
    best = int(chosen[knee(accuracy[chosen], costs[chosen, 0])]) if len(chosen) else -1
    taken = cheapest_within(accuracy[chosen], costs[chosen, 0], floor=backbone.accuracy - ACCEPTED_DROP)
    recommended = -1 if taken is None else int(chosen[taken])
    whole = next((network.right[0] for network in networks if network.name == BACKBONE and network.right), None)
    return tuple(
        replace(
            item,
            choice=bool(marked[index]),
            knee=index == best,
            recommended=index == recommended,
            against_backbone=None if whole is None or item.right is None else interval(item.right, whole),
        )
        for index, item in enumerate(found)
    )


def nearest_miss(
    networks: Sequence[KnownNetwork], backbone: BackboneFacts, limits: Limits
) -> tuple[FrontPoint, dict[str, float]] | None:
    """The point that misses the limits by least, with what it misses them by; None where there is no point."""
    best: tuple[float, FrontPoint, dict[str, float]] | None = None
    for network in networks:
        for item in points_of(network, backbone):
            violations = _violations(network, item.point, backbone, limits)
            distance = limits.distance(violations)
            if best is None or distance < best[0]:
                best = (distance, item, {name: by for name, by in violations.items() if by > 0})
    return None if best is None else (best[1], best[2])


def best_within(front: Sequence[FrontPoint], share: float) -> FrontPoint | None:
    """The most accurate of points whose expected MACs are at most `share` of the backbone's."""
    return max(
        (entry for entry in front if entry.macs_share <= share + 1e-9),
        key=lambda entry: entry.point.accuracy,
        default=None,
    )


def compare(items: Sequence[FrontPoint], families: Sequence[str]) -> tuple[Comparison, ...]:
    """The best that trials found at each of SHARES less the best of each other family; `families[i]` is item i's.

    Accuracy on validation with the paired bootstrap interval of the two points; nothing where either has no point that
    is cheap enough, or where right answers were not kept.
    """
    groups: dict[str, list[FrontPoint]] = {}
    for item, family in zip(items, families, strict=True):
        groups.setdefault(family, []).append(item)
    found = []
    for share in SHARES:
        ours = best_within(groups.get("search", ()), share)
        for family, rivals in groups.items():
            theirs = None if family == "search" else best_within(rivals, share)
            if ours is None or theirs is None or ours.right is None or theirs.right is None:
                continue
            low, high = interval(ours.right, theirs.right)
            difference = ours.point.accuracy - theirs.point.accuracy
            found.append(Comparison(baseline=family, budget=share, difference=difference, low=low, high=high))
    return tuple(found)


def interval(one: str, other: str) -> tuple[float, float]:
    """The paired bootstrap interval of one point's advantage in accuracy, by their packed right answers."""
    ours, theirs = unpack(one), unpack(other)
    if len(ours) != len(theirs):
        raise FrontError(f"points of one study rest on the same samples, got {len(ours)} and {len(theirs)}")
    return interval_of_counts(int((ours & ~theirs).sum()), int((theirs & ~ours).sum()), len(ours))


def area_by_macs(points: Sequence[OperatingPoint], backbone: BackboneFacts, chance: float) -> float:
    """Hypervolume of accuracy over the share of the backbone's MACs, from (1.1, chance)."""
    return _area([p.accuracy for p in points], [p.expected_macs / backbone.macs for p in points], chance)


def area_by_latency(points: Sequence[OperatingPoint], backbone: BackboneFacts, chance: float) -> float | None:
    """Hypervolume of accuracy over the share of the backbone's latency; None where latency was not measured."""
    unit = backbone.latency_ms
    timed = [(p.accuracy, p.expected_latency_ms / unit) for p in points if p.expected_latency_ms is not None and unit]
    if not unit or len(timed) < len(points):
        return None
    return _area([accuracy for accuracy, _ in timed], [share for _, share in timed], chance)


def _area(accuracy: Sequence[float], shares: Sequence[float], chance: float) -> float:
    if not accuracy:
        return 0.0
    return hypervolume(np.array(accuracy), np.array(shares), reference_cost=REFERENCE_COST, reference_accuracy=chance)


def _costs(item: FrontPoint) -> tuple[float, float]:
    return item.point.expected_macs, item.point.expected_latency_ms or 0.0


def _answers(items: Sequence[FrontPoint]) -> NDArray[np.bool_] | None:
    """Which samples each point answers rightly, [M, N]; None where that was not kept for all."""
    texts = [item.right for item in items]
    return None if any(text is None for text in texts) else np.stack([unpack(text) for text in texts if text])


def _violations(
    network: KnownNetwork, point: OperatingPoint, backbone: BackboneFacts, limits: Limits
) -> dict[str, float]:
    branches = 0 if network.design.static else len(network.design.branches)
    return limits.violations(point, backbone_macs=backbone.macs, branches=branches, parameters=network.parameters)
