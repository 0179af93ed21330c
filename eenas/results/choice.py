"""The choice of a network to train, draw or export: recommended, knee, within limits, by name, or from a file."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from eenas.designs.design import Design, PolicyChoice
from eenas.errors import FrontError
from eenas.fronts.choice import cheapest_within, knee
from eenas.policies.costs import MACS
from eenas.policies.operating_point import OperatingPoint
from eenas.policies.risk.guarantee import check_level
from eenas.programs.model_folder import load_design
from eenas.results.front import ACCEPTED_DROP, build_front, cheapest_losing, interval, nearest_miss
from eenas.results.nothing_chosen import missed_by, no_front, nothing_chosen
from eenas.results.results import StudyResults
from eenas.study.context.traits import Traits
from eenas.study.rivals.known_networks import KnownNetwork, find_network
from eenas.study.rivals.offered_points import STATIC, FrontPoint, offered, points_of
from eenas.study.settings.limits import Limits


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How to choose a network. The default is the recommended point of the front.

    At most one of these is given: `network`, the name of a network ("trial 8", "frozen 2", "static layer2.1", or the
    number of a trial); `design_file`, a design in JSON; `knee`, the point with the largest bend of the front; or
    `max_accuracy_drop` in [0, 1). A trial's network is used at its drawn target unless limits are given. By default the
    choice is the cheapest point that loses at most `max_accuracy_drop` (default ACCEPTED_DROP) against the backbone. If
    only a cost is limited (`limits.expected`), it is the most accurate point within the limit.

    The plain backbone is chosen only by name. Points that save nothing against a plain backbone within the limits are
    chosen only by name or as the knee. `limits` apply in addition to those of the study. They select among the recorded
    points; no policy is fitted for them.

    With `confidence` in (0, 1), the policy of the fully trained network keeps `max_accuracy_drop` against its own final
    exit with this probability on new data (`eenas.policies.risk`). It does not change which network is chosen;
    `max_accuracy_drop` may then be given with another way to choose.
    """

    network: str | None = None
    design_file: Path | None = None
    knee: bool = False
    max_accuracy_drop: float | None = None
    limits: Limits = field(default_factory=Limits)
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Check that there is one way to choose and that limits are not percentages."""
        self.limits.check_unit()
        if self.confidence is not None:
            check_level("confidence", self.confidence)
            if self.max_accuracy_drop is not None:
                check_level("max_accuracy_drop with a confidence", self.max_accuracy_drop)
        given = [
            name
            for name in ("network", "design_file", "knee", *(() if self.confidence else ("max_accuracy_drop",)))
            if getattr(self, name) not in (None, False)
        ]
        if len(given) > 1:
            raise FrontError(f"give only one way to choose, got {' and '.join(given)}")
        drop = self.max_accuracy_drop
        if drop is not None and not 0 <= drop < 1:
            raise FrontError(f"max_accuracy_drop must be an accuracy (0.01 is one point) in [0, 1), got {drop}")
        if self.design_file is not None and self.limits:
            raise FrontError("a design from a file has no scores to compare with limits; leave the limits out")

    @property
    def wants_most_accurate(self) -> bool:
        """Whether to choose the most accurate point within a cost limit, not the cheapest within an accuracy drop."""
        return self.max_accuracy_drop is None and not self.knee and bool(self.limits.expected)


@dataclass(frozen=True)
class Chosen:
    """A chosen design: the name of its network in the study ("" for a file), and its point in the search.

    `limits` are those of the study and of the choice together. `accepted_drop` is the accepted loss of accuracy against
    the backbone, or None if the choice did not depend on it.
    """

    design: Design
    name: str
    estimate: FrontPoint | None
    limits: Limits = field(default_factory=Limits)
    accepted_drop: float | None = None

    @property
    def point(self) -> OperatingPoint | None:
        """The operating point in the search, or None for a file."""
        return None if self.estimate is None else self.estimate.point

    @property
    def label(self) -> str:
        """The name for use in file names, such as "trial8", "frozen2", "static-layer2.1" or "design-4e1f22"."""
        if not self.name:
            return f"design-{self.design.digest[:6]}"
        kind, _, which = self.name.partition(" ")
        word = f"{kind}{which}" if which.isdigit() else "-".join(filter(None, (kind, which.replace(" ", ""))))
        return f"{word}-static" if self.design.static and kind != "static" else word


def choose_design(results: StudyResults, choice: Choice, *, trust_code: bool = False) -> Chosen:
    """Return the design and point that `choice` selects.

    Raises FrontError or StudyError if there is none, with the nearest one. A design file with custom branches needs
    `trust_code`.
    """
    choice.limits.check_costs(results.cost_names)
    limits = results.settings.constraints.and_also(choice.limits)
    if choice.design_file is not None:
        return Chosen(load_design(choice.design_file, trust_code=trust_code), "", None, limits)
    if choice.network is not None:
        name = " ".join(choice.network.split())
        network = find_network(results.networks, name.removesuffix(STATIC), study=results.name)
        drawn = _drawn_point(results, network)
        if name.endswith(STATIC) and not network.design.static:
            item = _static_point(results, network, choice.limits)
        elif drawn is not None and not choice.limits and not _violates_limits(results, network):
            return Chosen(network.design, network.name, drawn, limits)
        else:
            item = _named_point(results, network, choice.limits)
    else:
        item = choose_point(results, choice)
    if item.kind == "plain":
        return Chosen(item.design, item.name, item, limits)
    target = limits.expected[MACS] if MACS in choice.limits.expected else item.macs_share
    by_drop = choice.network is None and not choice.knee and not choice.wants_most_accurate
    drop = (ACCEPTED_DROP if choice.max_accuracy_drop is None else choice.max_accuracy_drop) if by_drop else None
    return Chosen(_design_for(item, target), item.name, item, limits, drop)


def choose_point(results: StudyResults, choice: Choice) -> FrontPoint:
    """Return the point of the front that `choice` selects. `choice` must not name a network or a file.

    Raises FrontError if no point meets the requirements, with the nearest miss and its distance, or if the plain
    backbone is the better choice, with its accuracy and costs.
    """
    front = front_within(results, choice.limits)
    if not front:
        raise FrontError(no_front(results, choice.limits))
    choices = [item for item in front if item.choice and item.kind != "plain"]
    if choice.wants_most_accurate:
        best = _most_accurate(results, front)
        if best is not None:
            return best
    if choice.knee and choices:
        return choices[knee([item.point.accuracy for item in choices], [_cost(item, results) for item in choices])]
    drop = ACCEPTED_DROP if choice.max_accuracy_drop is None else choice.max_accuracy_drop
    floor = results.backbone.accuracy - drop
    taken = cheapest_losing(front, floor, guessing=results.guessing, by=results.cheaper_by)
    if taken is not None and not choice.wants_most_accurate and not choice.knee:
        return taken
    most = choice.wants_most_accurate
    raise FrontError(nothing_chosen(results, front, drop=drop, limited=bool(choice.limits), most_accurate=most))


def front_within(results: StudyResults, limits: Limits) -> tuple[FrontPoint, ...]:
    """Return the front of the points that hold `limits` and those of the study."""
    if not limits:
        return results.front
    return build_front(
        results.networks,
        results.backbone,
        results.settings.constraints.and_also(limits),
        largest_class=results.floor,
        weights=results.sample_weights,
        costs=results.settings.search.costs,
        robustness=results.settings.search.robustness,
    )


def _most_accurate(results: StudyResults, front: Sequence[FrontPoint]) -> FrontPoint | None:
    """Return the most accurate network that saves something and is better than guessing.

    Returns None if there is none, or if the plain backbone is more accurate beyond noise.
    """
    real = [item for item in front if item.point.accuracy > results.guessing and item.kind != "plain" and item.saves]
    best = min(real, key=lambda item: (-item.point.accuracy, _cost(item, results)), default=None)
    plain = next((item for item in front if item.kind == "plain"), None)
    if best is None or plain is None or plain.point.accuracy <= best.point.accuracy:
        return best
    if best.right is None or plain.right is None:
        return None
    return None if interval(plain.right, best.right, results.sample_weights)[0] > 0 else best


def _violates_limits(results: StudyResults, network: KnownNetwork) -> bool:
    """Whether the point of a trial at its drawn target violates a limit of the study."""
    return any(trial.missed for trial in results.trials if trial.number == network.trial)


def _drawn_point(results: StudyResults, network: KnownNetwork) -> FrontPoint | None:
    """Return the point of a trial's network at its drawn target, or None."""
    trial = next((trial for trial in results.trials if trial.number == network.trial), None)
    if trial is None or trial.chosen is None:
        return None
    return next(iter(points_of(replace(network, points=(trial.chosen,), right=()), results.backbone)))


def _static_point(results: StudyResults, network: KnownNetwork, limits: Limits) -> FrontPoint:
    """Return the most accurate point of a network at which all samples leave at one branch."""
    held = results.settings.constraints.and_also(limits)
    ended = [item for item in offered([network], results.backbone, held) if item.ends_at is not None]
    if not ended:
        raise FrontError(f"{network.name} has no point within the limits at which all samples leave at one branch")
    return max(ended, key=lambda item: item.point.accuracy)


def _named_point(results: StudyResults, network: KnownNetwork, limits: Limits) -> FrontPoint:
    """Return the point of a named network: the cheapest within ACCEPTED_DROP, or else the most accurate one.

    If an expected cost is limited, it is the most accurate one. Raises FrontError if no point holds the limits.
    """
    held = results.settings.constraints.and_also(limits)
    own = build_front([network], results.backbone, held, largest_class=0.0)
    if not own:
        found = nearest_miss([network], results.backbone, held)
        assert found is not None
        misses = " and ".join(
            f"{name} = {held.values[name]:g} {missed_by(name, by, results)}"
            + ("" if limits.get(name) == held.get(name) else " (a limit of the study)")
            for name, by in found[1].items()
        )
        raise FrontError(f"{network.name} misses {misses}; choose another network or loosen the limit")
    accuracy = np.array([item.point.accuracy for item in own])
    costs = np.array([_cost(item, results) for item in own])
    index = None
    if not limits.expected:
        index = cheapest_within(accuracy, costs, floor=results.backbone.accuracy - ACCEPTED_DROP)
    return own[int(np.lexsort((costs, -accuracy))[0]) if index is None else index]


def _cost(item: FrontPoint, results: StudyResults) -> float:
    """Return the cost that compares points (`StudyResults.cheaper_by`), or the share of MACs if not measured."""
    value = None if results.cheaper_by == MACS else item.point.expected.get(results.cheaper_by)
    return item.macs_share if value is None else value


def _design_for(item: FrontPoint, target: float) -> Design:
    """Return the design of a point, with `target` (a share of the backbone's MACs) as the target of its policy."""
    design = item.network
    if design.static:
        return design.canonical()
    policy = replace(design.policy, target_macs=min(1.0, max(0.01, round(target, 4))))
    if Traits.of(design, item.point.policy).policy != policy.kind:  # a point of the default kind
        policy = PolicyChoice(target_macs=policy.target_macs)
    return replace(design, policy=policy)
