"""Designs and loaded backbones at their smallest: what tests of networks, training, programs and studies share."""

from typing import Any

from torch import nn

from eenas.backbones.load import Backbone, load_backbone
from eenas.designs.design import Design, Placed
from eenas.tasks.images.image_input import image_input
from eenas.testing.smallest import smallest_backbone


def small_design(*branches: Placed, size: int = 8, **values: Any) -> Design:
    """A design with these branches for four classes of images of `size` px; `values` are others of a `Design`."""
    return Design(
        **{"backbone": "small", "num_classes": 4, "inputs": image_input(size), "branches": branches, **values}
    )


def loaded(module: nn.Module | None = None, *, size: int = 8) -> Backbone:
    """The smallest backbone, or `module`, loaded for four classes of images of `size` px."""
    return load_backbone(smallest_backbone() if module is None else module, num_classes=4, input_size=size)
