"""The Pareto front of a study over the operating points of all known networks, and comparisons of their families."""

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
from eenas.policies.contexts.robustness import MEASURES
from eenas.policies.costs import LATENCY, MACS, CostValues
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.right_answers import unpack
from eenas.results.results import Comparison
from eenas.study.rivals.known_networks import BACKBONE, KnownNetwork
from eenas.study.rivals.offered_points import FrontPoint, offered, points_of, violations
from eenas.study.settings.limits import Limits

SHARES = (0.25, 0.5, 0.75, 1.0)
"""The shares of the backbone's MACs at which accuracies are compared."""
ACCEPTED_DROP = 0.01
"""The accuracy that a recommended network may lose against the backbone: one point."""


def build_front(
    networks: Sequence[KnownNetwork],
    backbone: BackboneFacts,
    limits: Limits,
    *,
    largest_class: float,
    costs: Sequence[str] = (MACS, LATENCY),
    weights: NDArray[np.float64] | None = None,
    robustness: Sequence[str] = (),
) -> tuple[FrontPoint, ...]:
    """Return the Pareto front in accuracy and every expected cost of the points within the limits, by falling accuracy.

    A cost that is not measured counts as equal for all points. Of equal points, that of the plain backbone is kept, or
    else that of the first network.
    The front marks choices: points better than guessing (`largest_class` is the share of the largest class) and not
    within noise of a cheaper one. The knee is one of the choices. The recommended point is the cheapest choice, by the
    first of `costs` (those that the study minimises), that saves something and loses at most ACCEPTED_DROP against the
    backbone; if there is none, the cheapest such point of the whole front. The backbone can be a choice, but neither
    knee nor recommended.

    If the plain backbone is better than guessing and within the limits, a point saves if at least one of `costs` is
    below the backbone's and none above, beyond SAME_COST; at no lower accuracy any cost below is enough. If the costs
    are equal, or some are below and some above, its accuracy must be higher beyond noise. `weights` are the sample
    weights of balanced accuracy; guessing then has the accuracy `largest_class` = 1 / classes.

    With `robustness`, the names of accuracies under distortions that the study maximises, the errors under distortions
    count like costs in the front and among choices, and the recommended point loses at most ACCEPTED_DROP in them, too.
    """
    items = offered(networks, backbone, limits)
    if not items:
        return ()
    names = tuple(dict.fromkeys((*costs, *(name for item in items for name in item.point.expected), *robustness)))
    values = [(item.point.accuracy, *(_cost(item, name) for name in names)) for item in items]
    mask = pareto_mask(np.array(values, dtype=np.float64), (True, *(False for _ in names)))
    different: dict[tuple[float, ...], FrontPoint] = {}
    for item, kept, value in sorted(zip(items, mask, values, strict=True), key=lambda each: each[0].kind != "plain"):
        if kept:
            different.setdefault(value, item)
    found = sorted(different.values(), key=lambda item: (-item.point.accuracy, item.point.expected[MACS]))
    accuracy = np.array([item.point.accuracy for item in found])
    all_costs = np.array([[_cost(item, name) for name in names] for item in found])
    first = all_costs[:, 0]
    right = _correct_answers(found)
    guesses = beyond_guessing(largest_class, 0 if right is None else effective_samples(right.shape[1], weights))
    marked = choices(accuracy, all_costs, floor=guesses, right=right, weights=weights)
    is_plain = np.array([item.kind == "plain" for item in found])
    chosen = np.nonzero(marked & ~is_plain)[0]
    best = int(chosen[knee(accuracy[chosen], first[chosen])]) if len(chosen) else -1
    real = accuracy > guesses + 1e-12
    plain = next((item for item in items if item.kind == "plain" and item.point.accuracy > guesses + 1e-12), None)
    saving = np.ones(len(found), dtype=np.bool_)
    if plain is not None:
        saving = np.array([_saves(item, plain, costs, weights) for item in found])
    robust = _as_robust(found, networks, robustness)
    groups = [np.nonzero(mask & ~is_plain & saving & robust)[0] for mask in (marked, real)]
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
    """Return the cheapest choice with an accuracy of at least `floor`, or else the cheapest such point, or None.

    `by` is the cost that is compared. The fallback to the whole front finds networks that are within noise of cheaper
    ones. Points at or below `guessing`, points that save nothing, and the plain backbone are excluded.
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
    """Return the point nearest to the limits and the amount by which it misses each, or None without any point."""
    best: tuple[float, FrontPoint, dict[str, float]] | None = None
    for network in networks:
        for item in points_of(network, backbone):
            missed = violations(item, network, backbone, limits)
            distance = limits.distance(missed)
            if best is None or distance < best[0]:
                best = (distance, item, {name: by for name, by in missed.items() if by > 0})
    return None if best is None else (best[1], best[2])


def best_within(front: Sequence[FrontPoint], share: float) -> FrontPoint | None:
    """Return the most accurate point with expected MACs of at most `share` of the backbone's, or None."""
    return max(
        (entry for entry in front if entry.macs_share <= share + 1e-9),
        key=lambda entry: entry.point.accuracy,
        default=None,
    )


def compare(
    items: Sequence[FrontPoint], families: Sequence[str], weights: NDArray[np.float64] | None = None
) -> tuple[Comparison, ...]:
    """Compare the best point of the search with the best of each rival family at each of SHARES.

    `families[i]` is the family of item i. To avoid selection bias, the best point of a family is chosen on one half of
    the validation samples and evaluated on the other half, and vice versa. The interval is that of the paired bootstrap
    over all samples. A comparison is left out if either family has no point within the share, or if the correct answers
    were not recorded.
    """
    groups: dict[str, list[FrontPoint]] = {}
    for item, family in zip(items, families, strict=True):
        groups.setdefault(family, []).append(item)
    answers = {family: _correct_answers(group) for family, group in groups.items()}
    found = []
    for share in SHARES:
        judged = {family: _cross_evaluated(group, answers[family], share, weights) for family, group in groups.items()}
        ours = judged.get("search")
        for family, theirs in judged.items():
            if family == "search" or ours is None or theirs is None:
                continue
            difference, low, high = advantage(ours, theirs, weights)
            found.append(Comparison(baseline=family, budget=share, difference=difference, low=low, high=high))
    return tuple(found)


def _cross_evaluated(
    items: Sequence[FrontPoint],
    answers: NDArray[np.bool_] | None,
    share: float,
    weights: NDArray[np.float64] | None,
) -> NDArray[np.bool_] | None:
    """Return whether the best point within a share of the MACs is correct on each sample, [N].

    The point for each half of the samples is chosen on the other half. None if no point is within the share or the
    correct answers were not recorded.
    """
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
    """Return the paired bootstrap interval of the accuracy of `one` minus that of `other`, from packed answers."""
    ours, theirs = unpack(one), unpack(other)
    if len(ours) != len(theirs):
        raise FrontError(f"points of one study must have the same samples, got {len(ours)} and {len(theirs)}")
    return advantage(ours, theirs, weights)[1:]


def area_by_macs(points: Sequence[OperatingPoint], backbone: BackboneFacts, chance: float) -> float:
    """Return the hypervolume of accuracy over the share of the backbone's MACs, from (1.1, chance)."""
    return area_over(MACS, points, backbone, chance) or 0.0


def area_over(name: str, points: Sequence[OperatingPoint], backbone: BackboneFacts, chance: float) -> float | None:
    """Return the hypervolume of accuracy over a cost as a share of the backbone's, from (1.1, chance), if known."""
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
    """Return the cheapest point with an accuracy of at least `floor` in the first group that has one, or -1."""
    for group in groups:
        taken = cheapest_within(accuracy[group], costs[group], floor=floor)
        if taken is not None:
            return int(group[taken])
    return -1


def _saves(item: FrontPoint, plain: FrontPoint, costs: Sequence[str], weights: NDArray[np.float64] | None) -> bool:
    """Whether a point saves against the plain backbone's, or at unclear costs is more accurate beyond noise."""
    pairs = [(_cost(item, name), _cost(plain, name)) for name in costs]
    slack = 0.0 if item.point.accuracy >= plain.point.accuracy else SAME_COST
    is_below = any(cost * (1 + slack) < whole for cost, whole in pairs)
    is_above = any(cost > whole * (1 + SAME_COST) for cost, whole in pairs)
    if is_below != is_above:
        return is_below
    if item.point.accuracy <= plain.point.accuracy:
        return False
    if item.right is None or plain.right is None:
        return True
    return interval(item.right, plain.right, weights)[0] > 0


def _cost(item: FrontPoint, name: str) -> float:
    """Return an expected cost, or 0 if it is not measured. For an accuracy under distortions, return the error."""
    if name in MEASURES:
        return 1.0 - item.point.robustness.get(name, 0.0)
    return item.point.expected.get(name, 0.0)


def _as_robust(
    found: Sequence[FrontPoint], networks: Sequence[KnownNetwork], names: Sequence[str]
) -> NDArray[np.bool_]:
    """Return which points lose at most ACCEPTED_DROP against the backbone in each of these accuracies, [M]."""
    whole = next((network.points[0].robustness for network in networks if network.name == BACKBONE), CostValues())
    return np.array(
        [
            all(item.point.robustness.get(name, 0.0) >= whole.get(name, 0.0) - ACCEPTED_DROP for name in names)
            for item in found
        ],
        dtype=np.bool_,
    )


def _correct_answers(items: Sequence[FrontPoint]) -> NDArray[np.bool_] | None:
    """Return whether each point is correct on each sample, [M, N]; None unless recorded for all points."""
    texts = [item.right for item in items]
    return None if any(text is None for text in texts) else np.stack([unpack(text) for text in texts if text])
