"""A proposal: one plain scalar for every parameter of a search space, from any source of suggestions."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from eenas.designs.domains import Domain, Scalar
from eenas.designs.space import Space
from eenas.errors import DesignError, nearest
from eenas.escaping import shortened

Proposal: TypeAlias = Mapping[str, Scalar]
Suggest: TypeAlias = Callable[[str, Domain], Scalar]


def draw(space: Space, suggest: Suggest) -> Proposal:
    """Call `suggest(name, domain)` for every parameter of the space, always the same ones in the same order.

    Raises DesignError for a value outside its domain.
    """
    return check_proposal(space, {name: suggest(name, domain) for name, domain in space.parameters().items()})


def check_proposal(space: Space, proposal: Proposal) -> Proposal:
    """Return the proposal in the space's order. Raises DesignError unless it has exactly the space's parameters.

    Every value must be in its domain.
    """
    parameters = space.parameters()
    for name in proposal:
        if name not in parameters:
            raise DesignError(f"the search space has no parameter {shortened(name)}; {nearest(name, parameters)}")
    for name, domain in parameters.items():
        if name not in proposal:
            raise DesignError(f"the proposal lacks the parameter {shortened(name)}; give it a value")
        if not domain.contains(proposal[name]):
            raise DesignError(f"{name} must be one of {domain.to_table()}, got {shortened(proposal[name])}")
    return {name: proposal[name] for name in parameters}
