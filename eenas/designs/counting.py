"""How many different architectures a search space holds on a backbone, counted without listing them."""

from collections.abc import Iterable

from eenas.branches.branch import Branch
from eenas.designs.repair import BranchMacs
from eenas.designs.routes import Routes, State
from eenas.designs.space import Space, values_of
from eenas.measurement.profile import Profile


def count_architectures(space: Space, profile: Profile, num_classes: int, branch_macs: BranchMacs) -> int:
    """The number of different architectures that the proposals of `space` resolve to on this backbone.

    An architecture is what `Design.architecture_digest` covers: which cut points carry a branch and the structure of
    each. Counted is each one once, however many proposals lead to it: uniform and metric placement that meet at the
    same cut points, sizes that a family does not use, and branches that the cost cap turns into smaller ones add
    nothing. The design without branches counts as one where every slot may be off. Training, policy and proposals that
    are infeasible are not counted. Placement by latency counts only where the profile holds latencies. With and without
    a cascade two branches or more are different architectures. Not counted is what only placement by gates, gain or
    savings may choose, and a structure to be found counts as one.

    The resolution of slot after slot is an automaton (`routes.py`) whose words are the architectures. Its different
    words are counted by the subset construction (Rabin and Scott 1959), structures that lead on alike counted together:
    the work grows with slots times cut points times structures, not with their combinations. `num_classes` has to be
    that of `branch_macs`, which is asked once for each structure and feature shape.
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
    """The number of different words of one branch."""
    found = [letter for edges in _edges(routes, start).values() for letter in _letters(edges)]
    ends = (any(routes.accepts(state) for state in _closed(routes, following)) for following, _ in found)
    return sum(letters for (_, letters), end in zip(found, ends, strict=True) if end)


def _count(routes: Routes, states: frozenset[State], known: dict[frozenset[State], int]) -> int:
    """The number of different words that lead from any of `states` (closed) to an accepting one."""
    if states not in known:
        total = int(any(routes.accepts(state) for state in states))
        for edges in _edges(routes, states).values():
            for following, letters in _letters(edges):
                total += letters * _count(routes, _closed(routes, following), known)
        known[states] = total
    return known[states]


def _closed(routes: Routes, states: Iterable[State]) -> frozenset[State]:
    """`states` and all that follow from them without placing a branch."""
    closed, waiting = set(states), list(states)
    while waiting:
        for move in routes.moves(waiting.pop()):
            if move.position is None and move.next not in closed:
                closed.add(move.next)
                waiting.append(move.next)
    return frozenset(closed)


Edges = dict[State, set[Branch]]


def _edges(routes: Routes, states: frozenset[State]) -> dict[int, Edges]:
    """For each position: where placing a branch there leads, and with which branches."""
    found: dict[int, Edges] = {}
    for state in states:
        for move in routes.moves(state):
            if move.position is not None:
                found.setdefault(move.position, {}).setdefault(move.next, set()).update(move.branches)
    return found


def _letters(edges: Edges) -> Iterable[tuple[frozenset[State], int]]:
    """Branches that lead to the same set of states counted together: (that set, how many branches)."""
    groups: dict[frozenset[State], int] = {}
    for branch in set().union(*edges.values()):
        following = frozenset(state for state, branches in edges.items() if branch in branches)
        groups[following] = groups.get(following, 0) + 1
    return groups.items()
