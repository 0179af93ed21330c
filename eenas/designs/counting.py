"""The number of different architectures of a search space on a backbone, counted without enumeration."""

from collections.abc import Iterable

from eenas.branches.branch import Branch
from eenas.designs.repair import BranchMacs
from eenas.designs.routes import Routes, State
from eenas.designs.space import Space, values_of
from eenas.measurement.profile import Profile


def count_architectures(space: Space, profile: Profile, num_classes: int, branch_macs: BranchMacs) -> int:
    """Return the number of different architectures that the proposals of `space` resolve to on this backbone.

    An architecture is the part of a design that `Design.architecture_digest` covers: the cut points with a branch and
    the structure of each. Each counts once, however many proposals resolve to it: uniform and metric placement can meet
    at the same cut points, a family can ignore a size, and the cost cap can shrink a branch to another. The design
    without branches counts as one if every slot may be off. With two branches or more, the architectures with and
    without a cascade are different. A structure to be found counts as one. Placement by latency counts only if the
    profile has latencies. Not counted are training, policy, infeasible proposals, and architectures that only placement
    by gates, gain or savings can reach.

    The resolution of slot after slot is an automaton (`routes.py`), and its words are the architectures. The subset
    construction (Rabin and Scott 1959) counts its different words, with structures that lead to the same states counted
    together. The work thus grows with slots times cut points times structures, not with their combinations.
    `branch_macs` is called once per structure and feature shape and must belong to `num_classes`.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}")
    routes = Routes(space, profile, branch_macs)
    start = _closed(routes, routes.starts())
    words = _count(routes, start, {})
    empty_word = any(routes.accepts(state) for state in start)
    no_branch = all(routes.may_be_off(slot) for slot in range(1, space.branches + 1))
    longer = words - empty_word - _count_single(routes, start)
    return words - empty_word + no_branch + longer * (len(values_of(space, "network.cascade")) - 1)


def _count_single(routes: Routes, start: frozenset[State]) -> int:
    """Return the number of different words of one branch."""
    found = [letter for edges in _edges(routes, start).values() for letter in _letters(edges)]
    ends = (any(routes.accepts(state) for state in _closed(routes, following)) for following, _ in found)
    return sum(letters for (_, letters), end in zip(found, ends, strict=True) if end)


def _count(routes: Routes, states: frozenset[State], known: dict[frozenset[State], int]) -> int:
    """Return the number of different words from any of `states` (closed) to an accepting state."""
    if states not in known:
        total = int(any(routes.accepts(state) for state in states))
        for edges in _edges(routes, states).values():
            for following, letters in _letters(edges):
                total += letters * _count(routes, _closed(routes, following), known)
        known[states] = total
    return known[states]


def _closed(routes: Routes, states: Iterable[State]) -> frozenset[State]:
    """Return `states` and all states that follow without placing a branch."""
    closed, waiting = set(states), list(states)
    while waiting:
        for move in routes.moves(waiting.pop()):
            if move.position is None and move.next not in closed:
                closed.add(move.next)
                waiting.append(move.next)
    return frozenset(closed)


Edges = dict[State, set[Branch]]


def _edges(routes: Routes, states: frozenset[State]) -> dict[int, Edges]:
    """Return, for each position, the states after placing a branch there, each with its branches."""
    found: dict[int, Edges] = {}
    for state in states:
        for move in routes.moves(state):
            if move.position is not None:
                found.setdefault(move.position, {}).setdefault(move.next, set()).update(move.branches)
    return found


def _letters(edges: Edges) -> Iterable[tuple[frozenset[State], int]]:
    """Group branches that lead to the same set of states: (that set, the number of branches)."""
    groups: dict[frozenset[State], int] = {}
    for branch in set().union(*edges.values()):
        following = frozenset(state for state, branches in edges.items() if branch in branches)
        groups[following] = groups.get(following, 0) + 1
    return groups.items()
