"""Proposals: always every parameter, only allowed values."""

import random

import pytest

from eenas.designs.domains import Domain, Scalar
from eenas.designs.proposal import check_proposal, draw
from eenas.designs.space import Space, load_space
from eenas.errors import DesignError


def test_every_parameter_is_asked_for_once_and_in_order() -> None:
    space = load_space("default")
    asked: list[str] = []

    def suggest(name: str, domain: Domain) -> Scalar:
        asked.append(name)
        values = domain.values()
        return domain.first if values is None else random.Random(name).choice(values)

    proposal = draw(space, suggest)
    assert asked == list(space.parameters()) == list(proposal)
    assert all(type(value) in (str, bool, int, float) for value in proposal.values())


def test_what_does_not_belong_to_the_space_is_refused() -> None:
    space = Space(branches=1, branch={"width": [8, 16], "structure": "mlp"})
    assert check_proposal(space, {"slot1.width": 8}) == {"slot1.width": 8}
    with pytest.raises(DesignError, match=r"lacks the parameter 'slot1.width'"):
        check_proposal(space, {})
    with pytest.raises(DesignError, match=r"no parameter 'slot1.wdth'; nearest: 'slot1.width'"):
        check_proposal(space, {"slot1.wdth": 8})
    with pytest.raises(DesignError, match=r"slot1.width must be one of \[8, 16\], got 9"):
        check_proposal(space, {"slot1.width": 9})
    with pytest.raises(DesignError, match="got 64"):
        draw(space, lambda name, domain: 64)
