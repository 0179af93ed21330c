"""Which network to train, draw or export: the recommended one, the knee, one within limits, a name, or a file."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from eenas.designs.design import Design, PolicyChoice
from eenas.errors import FrontError
from eenas.fronts.choice import cheapest_within, knee
from eenas.percent import percent
from eenas.policies.operating_point import OperatingPoint
from eenas.programs.model_folder import load_design
from eenas.results.front import ACCEPTED_DROP, build_front, cheapest_losing, nearest_miss
from eenas.results.results import StudyResults
from eenas.study.context.traits import Traits
from eenas.study.rivals.known_networks import KnownNetwork, find_network
from eenas.study.rivals.offered_points import FrontPoint, points_of
from eenas.study.settings.limits import Limits, amount


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One way to choose; by default the recommended point of the front.

    `network` is the name of a network ("trial 8", "frozen 2", "static layer2.1", or a trial's number), `design_file` a
    design in JSON, `knee` the point where the front bends most. A trial's network is taken for the target that was
    drawn for it, unless limits are given. Otherwise it is the cheapest choice that loses at most
    `max_accuracy_drop` (in [0, 1], default ACCEPTED_DROP) against the backbone; where only a cost is limited
    (`limits.max_macs`, `limits.max_latency_ms`), the most accurate point within it. `limits` hold beside the study's
    own; they choose among points that the study knows, which has fitted policies for its own limits alone.
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
        costs = (self.limits.max_macs, self.limits.max_latency_ms)
        return self.max_accuracy_drop is None and not self.knee and any(cost is not None for cost in costs)


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
    limits = results.settings.constraints.and_also(choice.limits)
    if choice.design_file is not None:
        return Chosen(load_design(choice.design_file, trust_code=trust_code), "", None, limits)
    if choice.network is not None:
        network = find_network(results.networks, choice.network, study=results.name)
        drawn = _drawn_point(results, network)
        if drawn is not None and not choice.limits and not _misses(results, network):
            return Chosen(network.design, network.name, drawn, limits)
        item = _point_of(results, network, choice.limits)
    else:
        item = choose_point(results, choice)
    if item.kind == "plain":
        return Chosen(item.design, item.name, item, limits)
    target = item.macs_share if choice.limits.max_macs is None else limits.max_macs
    assert target is not None
    by_drop = choice.network is None and not choice.knee and not choice.wants_most_accurate
    drop = (ACCEPTED_DROP if choice.max_accuracy_drop is None else choice.max_accuracy_drop) if by_drop else None
    return Chosen(_for_point(item, target), item.name, item, limits, drop)


def choose_point(results: StudyResults, choice: Choice) -> FrontPoint:
    """The point of the front that `choice` means, unless it names a network or a file.

    Raises FrontError when nothing holds what is asked, naming the nearest miss with its distance.
    """
    front = front_within(results, choice.limits)
    if not front:
        raise FrontError(no_front(results, choice.limits))
    real = [item for item in front if item.point.accuracy > results.guessing and item.kind != "plain"]
    choices = [item for item in real if item.choice]
    if choice.wants_most_accurate and real:
        return min(real, key=lambda item: (-item.point.accuracy, _cost(item, results)))
    if choice.knee and choices:
        return choices[knee([item.point.accuracy for item in choices], [_cost(item, results) for item in choices])]
    drop = ACCEPTED_DROP if choice.max_accuracy_drop is None else choice.max_accuracy_drop
    floor = results.backbone.accuracy - drop
    taken = cheapest_losing(front, floor, guessing=results.guessing, by_latency=results.by_latency)
    if taken is not None and not choice.wants_most_accurate and not choice.knee:
        return taken
    raise FrontError(_nothing_within(results, real, drop, choice.limits))


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
        by_latency=results.by_latency,
    )


def no_front(results: StudyResults, limits: Limits | None = None) -> str:
    """One line that says why no point is offered, with the nearest miss, and what to do."""
    if not results.networks:
        return "no trial has finished; the same `eenas search` goes on, and its --debug shows why a trial failed"
    wanted = results.settings.constraints if limits is None else results.settings.constraints.and_also(limits)
    found = nearest_miss(results.networks, results.backbone, wanted)
    assert found is not None
    item, missed = found
    misses = " and ".join(f"{name} {_amount(name, by)}" for name, by in missed.items())
    return (
        f"no network holds the limits; the nearest is {item.name} ({percent(item.point.accuracy)} at "
        f"{percent(item.macs_share, 0)} of the MACs), which misses {misses}; loosen the limits or search longer"
    )


def _amount(name: str, by: float) -> str:
    if by == float("inf"):
        return "(not recorded for it)"
    return f"by {amount(name, by)}"


def _nothing_within(results: StudyResults, choices: Sequence[FrontPoint], drop: float, limits: Limits) -> str:
    held = " within the limits" if limits or results.settings.constraints else ""
    if not choices:
        return f"the study {results.name!r} has found nothing better than guessing{held}; search longer"
    best = max(choices, key=lambda item: item.point.accuracy)
    lost = results.backbone.accuracy - best.point.accuracy
    points = f"{100 * drop:g} point" + ("" if drop == 0.01 else "s")
    enough = np.ceil(1000 * lost) / 1000
    return (
        f"no network{held} is within {points} of the backbone; the nearest, {best.name}, loses {100 * lost:.1f} points "
        f"at {percent(best.macs_share, 0)} of the MACs; give --max-accuracy-drop {enough:g}, or search longer"
    )


def _misses(results: StudyResults, network: KnownNetwork) -> bool:
    """Whether the drawn point of a trial misses a limit of the study."""
    return any(trial.violations for trial in results.trials if trial.number == network.trial)


def _drawn_point(results: StudyResults, network: KnownNetwork) -> FrontPoint | None:
    """The point of a trial's network at the target that was drawn for it."""
    trial = next((trial for trial in results.trials if trial.number == network.trial), None)
    if trial is None or trial.chosen is None:
        return None
    return next(iter(points_of(replace(network, points=(trial.chosen,), right=()), results.backbone)))


def _point_of(results: StudyResults, network: KnownNetwork, limits: Limits) -> FrontPoint:
    """The point of a named network: the cheapest within limits that loses little, else its most accurate one."""
    held = results.settings.constraints.and_also(limits)
    own = build_front([network], results.backbone, held, largest_class=0.0)
    if not own:
        found = nearest_miss([network], results.backbone, held)
        assert found is not None
        misses = " and ".join(
            f"{name} = {getattr(held, name):g} {_amount(name, by)}"
            + ("" if getattr(limits, name) == getattr(held, name) else " (a limit of the study)")
            for name, by in found[1].items()
        )
        raise FrontError(f"{network.name} misses {misses}; name another network, or loosen the limit")
    accuracy = np.array([item.point.accuracy for item in own])
    costs = np.array([_cost(item, results) for item in own])
    index = None
    if limits.max_macs is None and limits.max_latency_ms is None:
        index = cheapest_within(accuracy, costs, floor=results.backbone.accuracy - ACCEPTED_DROP)
    return own[int(np.lexsort((costs, -accuracy))[0]) if index is None else index]


def _cost(item: FrontPoint, results: StudyResults) -> float:
    """What tells the cheaper of two points: milliseconds where the study minimises them alone, else MACs."""
    latency = item.point.expected_latency_ms
    return latency if results.by_latency and latency is not None else item.macs_share


def _for_point(item: FrontPoint, target: float) -> Design:
    """The network of a point, its policy fitted for `target` of the backbone's MACs when it is trained."""
    design = item.network
    if design.static:
        return design.canonical()
    policy = replace(design.policy, target_macs=min(1.0, max(0.01, round(target, 4))))
    if Traits.of(design, item.point.policy).policy != policy.kind:  # a point of the default kind, which all have
        policy = PolicyChoice(target_macs=policy.target_macs)
    return replace(design, policy=policy)
