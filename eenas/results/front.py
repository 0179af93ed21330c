"""The front of a study: of all networks that it knows, the operating points that no other one beats."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eenas.errors import FrontError
from eenas.fronts.choice import cheapest_within, knee
from eenas.fronts.choices import SAME_COST, beyond_guessing, choices
from eenas.fronts.dominance import pareto_mask
from eenas.fronts.hypervolume import REFERENCE_COST, hypervolume
from eenas.networks.backbone_facts import BackboneFacts
from eenas.policies.bootstrap import advantage
from eenas.policies.class_weights import effective_samples
from eenas.policies.costs import LATENCY, MACS
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.right_answers import unpack
from eenas.results.results import Comparison
from eenas.study.rivals.known_networks import BACKBONE, KnownNetwork
from eenas.study.rivals.offered_points import FrontPoint, offered, points_of, violations
from eenas.study.settings.limits import Limits

SHARES = (0.25, 0.5, 0.75, 1.0)
"""The shares of the backbone's MACs at which accuracies are compared."""
ACCEPTED_DROP = 0.01
"""What a recommended network may lose of the backbone's accuracy: one point."""


def build_front(
    networks: Sequence[KnownNetwork],
    backbone: BackboneFacts,
    limits: Limits,
    *,
    largest_class: float,
    costs: Sequence[str] = (MACS, LATENCY),
    weights: NDArray[np.float64] | None = None,
) -> tuple[FrontPoint, ...]:
    """The points within the limits that none dominates in accuracy and every expected cost, by falling accuracy.

    A cost that was not measured is the same for all. Of equal points the first network's stays. The choices among
    them are marked (above `largest_class`, the share of the largest class, and not within noise of a cheaper one), the
    knee of the choices, and the recommended one: the cheapest by the first of `costs` (those that the study minimises)
    that saves something and loses at most ACCEPTED_DROP against the backbone. Where no choice does that, it is taken
    from the whole front. The backbone itself is a choice, but neither knee nor recommended.

    Against a plain backbone on the front that is better than guessing, a point saves where one of `costs` is below the
    backbone's and none above it, beyond SAME_COST. Where the costs are the same, or one is below and one above, its
    accuracy has to be higher beyond noise. `weights` are what the validation samples
    count where accuracies are balanced; guessing then reaches `largest_class` = 1 / classes.
    """
    items = offered(networks, backbone, limits)
    if not items:
        return ()
    names = tuple(dict.fromkeys((*costs, *(name for item in items for name in item.point.expected))))
    values = [(item.point.accuracy, *(_cost(item, name) for name in names)) for item in items]
    mask = pareto_mask(np.array(values, dtype=np.float64), (True, *(False for _ in names)))
    different: dict[tuple[float, ...], FrontPoint] = {}
    for item, kept, value in zip(items, mask, values, strict=True):
        if kept:
            different.setdefault(value, item)
    found = sorted(different.values(), key=lambda item: (-item.point.accuracy, item.point.expected[MACS]))
    accuracy = np.array([item.point.accuracy for item in found])
    dear = np.array([[_cost(item, name) for name in names] for item in found])
    counted, first = dear[:, : len(costs)], dear[:, 0]
    right = _answers(found)
    guesses = beyond_guessing(largest_class, 0 if right is None else effective_samples(right.shape[1], weights))
    marked = choices(accuracy, dear, floor=guesses, right=right, weights=weights)
    is_plain = np.array([item.kind == "plain" for item in found])
    chosen = np.nonzero(marked & ~is_plain)[0]
    best = int(chosen[knee(accuracy[chosen], first[chosen])]) if len(chosen) else -1
    real = accuracy > guesses + 1e-12
    saving = _saving(is_plain & real, accuracy, counted, right, weights)
    groups = [np.nonzero(mask & ~is_plain & saving)[0] for mask in (marked, real)]
    recommended = _cheapest(accuracy, first, groups, floor=backbone.accuracy - ACCEPTED_DROP)
    whole = next((network.right[0] for network in networks if network.name == BACKBONE and network.right), None)
    return tuple(
        replace(
            item,
            choice=bool(marked[index]) or index == recommended,
            knee=index == best,
            recommended=index == recommended,
            saves=bool(saving[index]),
            against_backbone=None if whole is None or item.right is None else interval(item.right, whole, weights),
        )
        for index, item in enumerate(found)
    )


def cheapest_losing(front: Sequence[FrontPoint], floor: float, *, guessing: float, by: str) -> FrontPoint | None:
    """The cheapest choice whose accuracy is at least `floor`, else the cheapest such point of the whole front.

    `by` is the cost that tells which is cheaper. So sampling noise hides no network that does what is asked. Points at
    or below `guessing`, those that save nothing and the plain backbone are left out.
    """
    real = [item for item in front if item.kind != "plain" and item.saves and item.point.accuracy > guessing + 1e-12]
    accuracy = np.array([item.point.accuracy for item in real])
    costs = np.array([_cost(item, by) for item in real])
    groups = (np.nonzero([item.choice for item in real])[0], np.arange(len(real)))
    index = _cheapest(accuracy, costs, groups, floor=floor)
    return None if index < 0 else real[index]


def nearest_miss(
    networks: Sequence[KnownNetwork], backbone: BackboneFacts, limits: Limits
) -> tuple[FrontPoint, dict[str, float]] | None:
    """The point that misses the limits by least, with what it misses them by; None where there is no point."""
    best: tuple[float, FrontPoint, dict[str, float]] | None = None
    for network in networks:
        for item in points_of(network, backbone):
            missed = violations(item, network, backbone, limits)
            distance = limits.distance(missed)
            if best is None or distance < best[0]:
                best = (distance, item, {name: by for name, by in missed.items() if by > 0})
    return None if best is None else (best[1], best[2])


def best_within(front: Sequence[FrontPoint], share: float) -> FrontPoint | None:
    """The most accurate of points whose expected MACs are at most `share` of the backbone's."""
    return max(
        (entry for entry in front if entry.macs_share <= share + 1e-9),
        key=lambda entry: entry.point.accuracy,
        default=None,
    )


def compare(
    items: Sequence[FrontPoint], families: Sequence[str], weights: NDArray[np.float64] | None = None
) -> tuple[Comparison, ...]:
    """The best that the search proposed at each of SHARES less the best of each rival; `families[i]` is item i's.

    Each family's point is chosen on one half of the validation samples and judged on the other, both ways round: the
    best of many is too good on the samples that chose it. The interval is the paired bootstrap's over all samples.
    Nothing where either has no point that is cheap enough, or where right answers were not kept.
    """
    groups: dict[str, list[FrontPoint]] = {}
    for item, family in zip(items, families, strict=True):
        groups.setdefault(family, []).append(item)
    answers = {family: _answers(group) for family, group in groups.items()}
    found = []
    for share in SHARES:
        judged = {family: _judged(group, answers[family], share, weights) for family, group in groups.items()}
        ours = judged.get("search")
        for family, theirs in judged.items():
            if family == "search" or ours is None or theirs is None:
                continue
            difference, low, high = advantage(ours, theirs, weights)
            found.append(Comparison(baseline=family, budget=share, difference=difference, low=low, high=high))
    return tuple(found)


def _judged(
    items: Sequence[FrontPoint],
    answers: NDArray[np.bool_] | None,
    share: float,
    weights: NDArray[np.float64] | None,
) -> NDArray[np.bool_] | None:
    """Which samples [N] the best point within a share of the MACs answers rightly, chosen on the other half of them."""
    within = [index for index, item in enumerate(items) if item.macs_share <= share + 1e-9]
    if answers is None or not within:
        return None
    own = answers[within]
    counted = own if weights is None else own * weights
    cheap = np.array([items[index].macs_share for index in within])
    first = np.random.default_rng(0).permutation(own.shape[1]) < own.shape[1] // 2
    found = np.zeros(own.shape[1], dtype=np.bool_)
    for half in (first, ~first):
        best = np.lexsort((cheap, -counted[:, ~half].sum(axis=1)))[0]
        found[half] = own[best, half]
    return found


def interval(one: str, other: str, weights: NDArray[np.float64] | None = None) -> tuple[float, float]:
    """The paired bootstrap interval of one point's advantage in accuracy, by their packed right answers."""
    ours, theirs = unpack(one), unpack(other)
    if len(ours) != len(theirs):
        raise FrontError(f"points of one study rest on the same samples, got {len(ours)} and {len(theirs)}")
    return advantage(ours, theirs, weights)[1:]


def area_by_macs(points: Sequence[OperatingPoint], backbone: BackboneFacts, chance: float) -> float:
    """Hypervolume of accuracy over the share of the backbone's MACs, from (1.1, chance)."""
    return area_over(MACS, points, backbone, chance) or 0.0


def area_over(name: str, points: Sequence[OperatingPoint], backbone: BackboneFacts, chance: float) -> float | None:
    """Hypervolume of accuracy over a cost as a share of the backbone's, from (1.1, chance); None where not known."""
    shares = [backbone.share(name, point.expected.get(name)) for point in points]
    known = [share for share in shares if share is not None]
    if not backbone.costs.get(name) or len(known) < len(shares):
        return None
    if not known:
        return 0.0
    accuracy = np.array([point.accuracy for point in points])
    return hypervolume(accuracy, np.array(known), reference_cost=REFERENCE_COST, reference_accuracy=chance)


def _cheapest(
    accuracy: NDArray[np.float64], costs: NDArray[np.float64], groups: Sequence[NDArray[np.int64]], *, floor: float
) -> int:
    """The cheapest point that is as accurate as `floor`, of the first group that has one; -1 where none has."""
    for group in groups:
        taken = cheapest_within(accuracy[group], costs[group], floor=floor)
        if taken is not None:
            return int(group[taken])
    return -1


def _saving(
    is_plain: NDArray[np.bool_],
    accuracy: NDArray[np.float64],
    costs: NDArray[np.float64],
    right: NDArray[np.bool_] | None,
    weights: NDArray[np.float64] | None,
) -> NDArray[np.bool_]:
    """Which points [M] with `costs` [M, D] are worth taking instead of the plain backbone; all, without one."""
    if not is_plain.any():
        return np.ones(len(is_plain), dtype=np.bool_)
    plain = int(np.argmax(is_plain))
    below = (costs * (1 + SAME_COST) < costs[plain]).any(axis=1)
    above = (costs > costs[plain] * (1 + SAME_COST)).any(axis=1)
    saving = below & ~above
    for index in np.nonzero((below == above) & (accuracy > accuracy[plain]))[0]:
        saving[index] = right is None or advantage(right[index], right[plain], weights)[1] > 0
    return np.asarray(saving)


def _cost(item: FrontPoint, name: str) -> float:
    """An expected cost; of one that was not measured all points have the same."""
    return item.point.expected.get(name, 0.0)


def _answers(items: Sequence[FrontPoint]) -> NDArray[np.bool_] | None:
    """Which samples each point answers rightly, [M, N]; None where that was not kept for all."""
    texts = [item.right for item in items]
    return None if any(text is None for text in texts) else np.stack([unpack(text) for text in texts if text])
