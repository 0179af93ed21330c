"""Designs: the search space, proposals and their resolution to designs."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.designs.counting import count_architectures
    from eenas.designs.design import Design, Placed, PolicyChoice
    from eenas.designs.placement import candidates, shares
    from eenas.designs.proposal import draw
    from eenas.designs.space import Space, load_space
    from eenas.designs.training_choice import TrainingChoice

_HOMES = {
    "Design": "design",
    "Placed": "design",
    "PolicyChoice": "design",
    "Space": "space",
    "TrainingChoice": "training_choice",
    "candidates": "placement",
    "count_architectures": "counting",
    "draw": "proposal",
    "load_space": "space",
    "shares": "placement",
}
__all__ = [
    "Design",
    "Placed",
    "PolicyChoice",
    "Space",
    "TrainingChoice",
    "candidates",
    "count_architectures",
    "draw",
    "load_space",
    "shares",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
