"""Encoding: the parameters of a search space that resolve to a given design, with which baselines are enqueued."""

from collections.abc import Iterable
from dataclasses import asdict, replace

from eenas.branches.branch import Branch
from eenas.branches.cascade import Cascade
from eenas.designs.design import Design
from eenas.designs.domains import Domain, Scalar
from eenas.designs.proposal import Proposal
from eenas.designs.repair import BranchMacs
from eenas.designs.routes import Routes, State
from eenas.designs.space import Space, values_of
from eenas.errors import DesignError, plural
from eenas.escaping import shortened
from eenas.measurement.profile import Profile

Word = tuple[tuple[int, Branch], ...]


def encode(design: Design, space: Space, profile: Profile, *, branch_macs: BranchMacs | None = None) -> Proposal:
    """Return a proposal of `space` that resolves to the architecture of `design` on this backbone.

    Training and policy have the design's values if the space allows them, else the nearest that it allows. Without
    `branch_macs`, all branches count as within the cost cap. With it, branches over the cap are refused, and proposals
    that rely on the cap to drop a branch are found too (for example uniform placement with one branch fewer).

    A design placed by gates, gain or savings is encoded by another kind of placement, which the space must allow.
    Raises DesignError, with the first obstacle, if the space cannot express the design.
    """
    routes = Routes(space, profile, branch_macs)
    design, cascade = _unwrapped(design, space)
    word = _word(design, routes)
    found: dict[str, Scalar] | None = None
    if word or all(routes.may_be_off(slot) for slot in range(1, space.branches + 1)):
        for start in routes.starts():
            values = _path(routes, start, word, set())
            if values is not None:
                found = {**values, **routes.modes[start.mode].values}
                break
    if found is None:
        raise DesignError(_reason(design, routes, word))
    own = {"network": {"cascade": cascade}, "training": asdict(design.training), "policy": asdict(design.policy)}
    for name, domain in space.parameters().items():
        section, _, key = name.partition(".")
        found.setdefault(name, domain.nearest(own[section][key]) if section in own else domain.first)
    return {name: _fixed_type(domain, found[name]) for name, domain in space.parameters().items()}


def _fixed_type(domain: Domain, value: Scalar) -> Scalar:
    return domain.nearest(value) if domain.contains(value) else domain.first


def _unwrapped(design: Design, space: Space) -> tuple[Design, bool]:
    """Return the design with plain branches, and whether they form a cascade."""
    behind = [isinstance(placed.branch, Cascade) for placed in design.branches[1:]]
    if not behind:
        return design, False
    cascade = behind[0]
    start = "the search space cannot express this design"
    if any(wrapped != cascade for wrapped in behind):
        raise DesignError(f"{start}: only some of its branches form a cascade; wrap all but the first, or none")
    if cascade not in values_of(space, "network.cascade"):
        said = "a cascade" if cascade else "no cascade"
        raise DesignError(f"{start}: its branches form {said}; allow network.cascade = {str(cascade).lower()}")
    return replace(design, branches=tuple(placed.uncascaded for placed in design.branches)), cascade


def _word(design: Design, routes: Routes) -> Word:
    profile = routes.profile
    if design.backbone != profile.backbone:
        raise DesignError(
            f"the design is for {shortened(design.backbone)}, not for {profile.backbone!r}; use its backbone"
        )
    names = [profile.cut_points[index].name for index in routes.points]
    word: list[tuple[int, Branch]] = []
    for placed in design.branches:
        if placed.cut_point not in names:
            raise DesignError(
                f"the search space cannot express this design: {shortened(placed.cut_point)} is not among the "
                f"{len(names)} cut points in use; widen cut_points of the backbone"
            )
        word.append((names.index(placed.cut_point), placed.branch))
    return tuple(word)


def _path(routes: Routes, state: State, word: Word, failed: set[tuple[State, int]]) -> dict[str, Scalar] | None:
    """Return the values along a path from `state` that spells `word`, or None. `failed` holds known dead ends."""
    if (state, len(word)) in failed:
        return None
    if not word and routes.accepts(state):
        return {}
    for move in routes.moves(state):
        rest, values = word, dict(move.values)
        if move.position is not None:
            if not word or word[0][0] != move.position or word[0][1] not in move.branches:
                continue
            rest = word[1:]
            values |= {f"slot{move.next.slot}.{key}": each for key, each in move.branches[word[0][1]].items()}
        following = _path(routes, move.next, rest, failed)
        if following is not None:
            return values | following
    failed.add((state, len(word)))
    return None


def _reason(design: Design, routes: Routes, word: Word) -> str:
    """Return one line with the reason why the space cannot express the design."""
    space, start = routes.space, "the search space cannot express this design"
    if len(word) > space.branches:
        return (
            f"{start}: it has {plural(len(word), 'branch', 'branches')} and the space {space.branches} slots; set "
            f"branches = {len(word)}"
        )
    slots = range(1, space.branches + 1)
    if not word:
        return f"{start}: it has no branches and not every slot may be off; allow on = false"
    for placed, (position, branch) in zip(design.branches, word, strict=True):
        if not any(branch in routes.fits(slot, position).branches for slot in slots):
            return (
                f"{start}: no slot allows {branch.label()} at {placed.cut_point} within the cost cap; "
                "widen [branch] or raise cost_cap"
            )
    kinds = ", ".join(_kinds(routes))
    names = ", ".join(placed.cut_point for placed in design.branches)
    if not kinds:
        return f"{start}: its placement ({names}) was found by training, not by a rule; also allow kind = 'free'"
    return f"{start}: {kinds} placement cannot reach its cut points ({names}); allow kind = 'free' or more slots"


def _kinds(routes: Routes) -> Iterable[str]:
    return dict.fromkeys(str(mode.values["placement.kind"]) for mode in routes.modes)
