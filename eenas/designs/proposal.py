"""A proposal: one plain scalar for every parameter of a search space, drawn by whoever suggests."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from eenas.designs.domains import Domain, Scalar
from eenas.designs.space import Space
from eenas.errors import DesignError, nearest
from eenas.escaping import shortened

Proposal: TypeAlias = Mapping[str, Scalar]
Suggest: TypeAlias = Callable[[str, Domain], Scalar]


def draw(space: Space, suggest: Suggest) -> Proposal:
    """Ask `suggest(name, domain)` for every parameter of the space, always the same ones in the same order.

    Raises DesignError for an answer outside its domain.
    """
    return check_proposal(space, {name: suggest(name, domain) for name, domain in space.parameters().items()})


def check_proposal(space: Space, proposal: Proposal) -> Proposal:
    """The proposal itself, in the space's order, if it has every parameter, no other one, and only allowed values."""
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
