"""The resolution of a search space on a backbone as a small automaton, slot by slot."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import NamedTuple

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import SIZES, Branch
from eenas.designs.domains import Domain, Scalar
from eenas.designs.placement import (
    COSTS,
    at_shares,
    candidates,
    depth_target,
    fractions,
    has_latency,
    is_own,
    nearest,
    placed_by,
    shares,
)
from eenas.designs.repair import BranchMacs, branch_of, fit, obstacle
from eenas.designs.space import Space, check_fitted, values_of
from eenas.measurement.profile import Profile

Values = Mapping[str, Scalar]


class State(NamedTuple):
    """The state of a partly resolved proposal.

    `mode` indexes `Routes.modes`; `slot` slots are decided. `at` is the last position taken in free placement (-1:
    none), otherwise the number of slots that are on.
    """

    mode: int
    slot: int
    at: int


class Mode(NamedTuple):
    """A way of placement: the `positions` of the slots that are on (None in free placement), and the values for it."""

    positions: tuple[int, ...] | None
    values: Values


class Move(NamedTuple):
    """The decision on the next slot: the next state, the position taken (None: no branch), and the values for it.

    `branches` maps each branch that fits there to the values of structure and sizes that draw it.
    """

    next: State
    position: int | None
    branches: Mapping[Branch, Values]
    values: Values


class _Fits(NamedTuple):
    branches: Mapping[Branch, Values]
    dropped: Values | None


@dataclass(frozen=True, eq=False)
class Routes:
    """The automaton of `resolve`. Its paths from a start to an accepting state are the proposals placed by rule.

    Placement by gates, gain or savings is not included, since it is known only after training. The word of a path is
    the sequence of (position, branch) that it places, so the words are the architectures. With `branch_macs` None every
    branch keeps the cost cap. Metrics that the profile lacks are left out, and so is the cascade.
    """

    space: Space
    profile: Profile
    branch_macs: BranchMacs | None = None
    _known: dict[tuple[Branch, FeatureShape], int] = field(default_factory=dict, init=False)
    _fits: dict[tuple[int, int], _Fits] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Check that the backbone has enough cut points."""
        check_fitted(self.space, self.profile)

    @cached_property
    def points(self) -> tuple[int, ...]:
        """The candidates, as indices into the profile's cut points."""
        return candidates(self.profile)

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        """Every different way to place any number of branches."""
        space = self.space
        kinds = values_of(space, "placement.kind")
        found: dict[tuple[int, ...] | None, Mode] = {}
        for n in range(space.branches + 1):
            for kind in map(str, kinds):
                if kind == "uniform" or is_own(kind):
                    positions = placed_by(kind, n, self.profile)
                    found.setdefault(positions, Mode(positions, {"placement.kind": kind}))
            if "metric" in kinds:
                rules = product(values_of(space, "placement.metric"), values_of(space, "placement.distribution"))
                for metric, distribution in rules:
                    if metric not in COSTS or (metric == "latency" and not has_latency(self.profile)):
                        continue
                    have = shares(self.profile, metric)  # type: ignore[arg-type]
                    positions = at_shares(fractions(distribution, n), have)  # type: ignore[arg-type]
                    values = {"kind": "metric", "metric": metric, "distribution": distribution}
                    found.setdefault(positions, Mode(positions, {f"placement.{k}": v for k, v in values.items()}))
        if "free" in kinds:
            found[None] = Mode(None, {"placement.kind": "free"})
        return tuple(found.values())

    def starts(self) -> tuple[State, ...]:
        """Return the states before the first slot, one per mode."""
        return tuple(State(index, 0, 0 if mode.positions is not None else -1) for index, mode in enumerate(self.modes))

    def accepts(self, state: State) -> bool:
        """Whether all slots are decided and as many are on as the mode places."""
        positions = self.modes[state.mode].positions
        return state.slot == self.space.branches and (positions is None or state.at == len(positions))

    def may_be_off(self, slot: int) -> bool:
        """Whether the slot (from 1) can be drawn without a branch."""
        return False in values_of(self.space, f"slot{slot}.on")

    def moves(self, state: State) -> Iterator[Move]:
        """Yield every decision on the next slot: with a branch, off, or on and dropped by a repair. None at the end."""
        if state.slot == self.space.branches:
            return
        slot = state.slot + 1
        places: Mapping[int, Values] = {}
        if True in values_of(self.space, f"slot{slot}.on"):
            places = self._places(state, slot)
        for position, values in places.items():
            if position < len(self.points) and (branches := self.fits(slot, position).branches):
                yield Move(self._after(state, position), position, branches, {f"slot{slot}.on": True, **values})
        if self.may_be_off(slot):
            yield Move(state._replace(slot=slot), None, {}, {f"slot{slot}.on": False})
        for position, values in places.items():
            dropped: Values | None = {}
            if position < len(self.points):
                dropped = self.fits(slot, position).dropped
            if dropped is not None:
                yield Move(self._after(state, None), None, {}, {f"slot{slot}.on": True, **values, **dropped})

    def _after(self, state: State, position: int | None) -> State:
        if self.modes[state.mode].positions is not None:
            return State(state.mode, state.slot + 1, state.at + 1)
        return State(state.mode, state.slot + 1, state.at if position is None else position)

    def _places(self, state: State, slot: int) -> Mapping[int, Values]:
        """Return the possible positions of the slot if it is on. The number of candidates means behind the last one."""
        positions = self.modes[state.mode].positions
        if positions is not None:
            return {positions[state.at]: {}} if state.at < len(positions) else {}
        depths = self._depths[slot]
        places = {max(at, state.at + 1): {f"slot{slot}.depth": depth} for at, depth in depths.items()}
        return dict(sorted(places.items()))

    @cached_property
    def _depths(self) -> dict[int, dict[int, Scalar]]:
        """For each slot, every candidate that some depth selects, with one such depth."""
        have, slots = shares(self.profile, "macs"), self.space.branches
        found: dict[int, dict[int, Scalar]] = {}
        for slot in range(1, slots + 1):
            setting = self.space.setting(f"slot{slot}.depth")
            if not isinstance(setting, Domain):
                depths: list[Scalar] = [setting]
            elif (values := setting.values()) is not None:
                depths = list(values)
            else:  # a continuous range: its ends and the candidates inside select every reachable candidate
                inside = [share * slots - (slot - 1) for share in have]
                depths = [
                    *(depth for depth in inside if setting.contains(depth)),
                    setting.nearest(0),
                    setting.nearest(1),
                ]
            here: dict[int, Scalar] = {}
            for depth in depths:
                here.setdefault(nearest(depth_target(slot, slots, float(depth)), have), depth)
            found[slot] = dict(sorted(here.items()))
        return found

    def fits(self, slot: int, position: int) -> _Fits:
        """Return the branches of the slot that fit at `position`, and values (if any) whose branch would be dropped."""
        table = slot if slot in self.space.slot else 0
        if (table, position) not in self._fits:
            self._fits[table, position] = self._find_fits(slot, self.points[position])
        branches, dropped = self._fits[table, position]
        named = None if dropped is None else {f"slot{slot}.{key}": value for key, value in dropped.items()}
        return _Fits(branches, named)

    def _find_fits(self, slot: int, index: int) -> _Fits:
        options: dict[Branch, Values] = {}
        for values in product(*(values_of(self.space, f"slot{slot}.{key}") for key in ("structure", *SIZES))):
            named = dict(zip(("structure", *SIZES), values, strict=True))
            options.setdefault(branch_of(named), named)
        standing = {
            branch: values
            for branch, values in options.items()
            if obstacle(branch, self.space, self.profile, index, self._macs) is None
        }
        refused = (values for branch, values in options.items() if branch not in standing)
        dropped = (
            values
            for values in refused
            if fit(values, self.space, slot, self.profile, index, self._macs).branch is None
        )
        return _Fits(standing, next(dropped, None))

    def _macs(self, branch: Branch, shape: FeatureShape) -> int:
        if self.branch_macs is None:
            return 0
        if (branch, shape) not in self._known:
            self._known[branch, shape] = self.branch_macs(branch, shape)
        return self._known[branch, shape]
