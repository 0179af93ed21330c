"""Which network to train, draw or export: the recommended one, the knee, one within limits, a name, or a file."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from eenas.designs.design import Design, PolicyChoice
from eenas.errors import FrontError
from eenas.fronts.choice import cheapest_within, knee
from eenas.policies.costs import MACS
from eenas.policies.operating_point import OperatingPoint
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
    """One way to choose; by default the recommended point of the front.

    `network` is the name of a network ("trial 8", "frozen 2", "static layer2.1", or a trial's number), `design_file` a
    design in JSON, `knee` the point where the front bends most. A trial's network is taken for the target that was
    drawn for it, unless limits are given. Otherwise it is the cheapest choice that loses at most
    `max_accuracy_drop` (in [0, 1], default ACCEPTED_DROP) against the backbone; where only a cost is limited
    (`limits.expected`), the most accurate point within it. Points that save nothing against a
    plain backbone that holds the limits are taken by their name alone, and so is the backbone itself. `limits` hold
    beside the study's own; they choose among points that the study knows, which has fitted policies for its own limits
    alone.
    """

    network: str | None = None
    design_file: Path | None = None
    knee: bool = False
    max_accuracy_drop: float | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Refuse more than one way to choose, and limits that are in per cent."""
        self.limits.check_unit()
        given = [
            name
            for name in ("network", "design_file", "knee", "max_accuracy_drop")
            if getattr(self, name) not in (None, False)
        ]
        if len(given) > 1:
            raise FrontError(f"choose in one way only, got {' and '.join(given)}")
        drop = self.max_accuracy_drop
        if drop is not None and not 0 <= drop < 1:
            raise FrontError(f"max_accuracy_drop is in accuracy (0.01 is one point) and in [0, 1), got {drop}")
        if self.design_file is not None and self.limits:
            raise FrontError("a design from a file has no scores that limits could be held against; leave them out")

    @property
    def wants_most_accurate(self) -> bool:
        """Whether the most accurate point within a cost is asked for, and not the cheapest that loses little."""
        return self.max_accuracy_drop is None and not self.knee and bool(self.limits.expected)


@dataclass(frozen=True)
class Chosen:
    """A design to train, the network of the study that it comes from ("" for a file), and the point the search saw.

    `limits` are what the design was chosen for: those of the study and of the choice; `accepted_drop` is what it was to
    lose at most of the backbone's accuracy (None: nothing was said).
    """

    design: Design
    name: str
    estimate: FrontPoint | None
    limits: Limits = field(default_factory=Limits)
    accepted_drop: float | None = None

    @property
    def point(self) -> OperatingPoint | None:
        """The operating point that the search saw."""
        return None if self.estimate is None else self.estimate.point

    @property
    def label(self) -> str:
        """The name as a part of a file name, such as "trial8", "frozen2", "static-layer2.1" or "design-4e1f22"."""
        if not self.name:
            return f"design-{self.design.digest[:6]}"
        kind, _, which = self.name.partition(" ")
        word = f"{kind}{which}" if which.isdigit() else "-".join(filter(None, (kind, which.replace(" ", ""))))
        return f"{word}-static" if self.design.static and kind != "static" else word


def choose_design(results: StudyResults, choice: Choice, *, trust_code: bool = False) -> Chosen:
    """The design that `choice` means, for the point that it means.

    Raises FrontError or StudyError when there is none, naming the nearest. A design file with branches of the user's
    own code needs `trust_code`.
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
        elif drawn is not None and not choice.limits and not _misses(results, network):
            return Chosen(network.design, network.name, drawn, limits)
        else:
            item = _point_of(results, network, choice.limits)
    else:
        item = choose_point(results, choice)
    if item.kind == "plain":
        return Chosen(item.design, item.name, item, limits)
    target = limits.expected[MACS] if MACS in choice.limits.expected else item.macs_share
    by_drop = choice.network is None and not choice.knee and not choice.wants_most_accurate
    drop = (ACCEPTED_DROP if choice.max_accuracy_drop is None else choice.max_accuracy_drop) if by_drop else None
    return Chosen(_for_point(item, target), item.name, item, limits, drop)


def choose_point(results: StudyResults, choice: Choice) -> FrontPoint:
    """The point of the front that `choice` means, unless it names a network or a file.

    Raises FrontError when nothing holds what is asked, naming the nearest miss with its distance, and when the plain
    backbone is the better answer, with its figures.
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
    """The front of the points that hold `limits` beside the study's own."""
    if not limits:
        return results.front
    return build_front(
        results.networks,
        results.backbone,
        results.settings.constraints.and_also(limits),
        largest_class=results.floor,
        weights=results.sample_weights,
        costs=results.settings.search.costs,
    )


def _most_accurate(results: StudyResults, front: Sequence[FrontPoint]) -> FrontPoint | None:
    """The most accurate network better than guessing; None where the plain backbone is, or nothing saves beside it."""
    real = [item for item in front if item.point.accuracy > results.guessing and item.kind != "plain" and item.saves]
    best = min(real, key=lambda item: (-item.point.accuracy, _cost(item, results)), default=None)
    plain = next((item for item in front if item.kind == "plain"), None)
    if best is None or plain is None or plain.point.accuracy <= best.point.accuracy:
        return best
    if best.right is None or plain.right is None:
        return None
    return None if interval(plain.right, best.right, results.sample_weights)[0] > 0 else best


def _misses(results: StudyResults, network: KnownNetwork) -> bool:
    """Whether the drawn point of a trial misses a limit of the study."""
    return any(trial.violations for trial in results.trials if trial.number == network.trial)


def _drawn_point(results: StudyResults, network: KnownNetwork) -> FrontPoint | None:
    """The point of a trial's network at the target that was drawn for it."""
    trial = next((trial for trial in results.trials if trial.number == network.trial), None)
    if trial is None or trial.chosen is None:
        return None
    return next(iter(points_of(replace(network, points=(trial.chosen,), right=()), results.backbone)))


def _static_point(results: StudyResults, network: KnownNetwork, limits: Limits) -> FrontPoint:
    """The most accurate point of a network at which every sample leaves at one branch."""
    held = results.settings.constraints.and_also(limits)
    ended = [item for item in offered([network], results.backbone, held) if item.ends_at is not None]
    if not ended:
        raise FrontError(f"{network.name} has no point within the limits at which every sample leaves at one branch")
    return max(ended, key=lambda item: item.point.accuracy)


def _point_of(results: StudyResults, network: KnownNetwork, limits: Limits) -> FrontPoint:
    """The point of a named network: the cheapest within limits that loses little, else its most accurate one."""
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
        raise FrontError(f"{network.name} misses {misses}; name another network, or loosen the limit")
    accuracy = np.array([item.point.accuracy for item in own])
    costs = np.array([_cost(item, results) for item in own])
    index = None
    if not limits.expected:
        index = cheapest_within(accuracy, costs, floor=results.backbone.accuracy - ACCEPTED_DROP)
    return own[int(np.lexsort((costs, -accuracy))[0]) if index is None else index]


def _cost(item: FrontPoint, results: StudyResults) -> float:
    """What tells the cheaper of two points (`StudyResults.cheaper_by`); MACs where that was not measured."""
    value = None if results.cheaper_by == MACS else item.point.expected.get(results.cheaper_by)
    return item.macs_share if value is None else value


def _for_point(item: FrontPoint, target: float) -> Design:
    """The network of a point, its policy fitted for `target` of the backbone's MACs when it is trained."""
    design = item.network
    if design.static:
        return design.canonical()
    policy = replace(design.policy, target_macs=min(1.0, max(0.01, round(target, 4))))
    if Traits.of(design, item.point.policy).policy != policy.kind:  # a point of the default kind, which all have
        policy = PolicyChoice(target_macs=policy.target_macs)
    return replace(design, policy=policy)
