"""Lack of memory while something is tried out of a module says nothing about the module."""

import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.channels import channels_of, initialise
from eenas.backbones.independence import check_independence
from eenas.backbones.layouts import ForwardPass, LayoutHints, read_shapes
from eenas.backbones.memory_format import format_of
from eenas.backbones.outputs import with_one_output
from eenas.backbones.probabilities import with_logits
from eenas.errors import MachineError
from eenas.progress import silent

X = torch.zeros(2, 3, 8, 8)


class Starved(nn.Module):
    """It runs out of memory whenever it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.LazyLinear(2)

    def forward(self, x: Tensor) -> Tensor:
        raise MemoryError


SEEN = ForwardPass(X, torch.zeros(2, 2), LayoutHints())


@pytest.mark.parametrize(
    "probe",
    [
        lambda module: format_of(module, X),
        lambda module: with_logits(module, X, "net", silent),
        lambda module: with_one_output(module, X, 2, "net", silent),
        lambda module: check_independence(module, X, "net"),
        lambda module: initialise(module, X),
        lambda module: channels_of(module, 3, (8, 8)),
        lambda module: read_shapes([("a", torch.zeros(2, 4, 6, 6))], module, X, SEEN),
    ],
    ids=["memory format", "probabilities", "outputs", "independence", "lazy layers", "channels", "layouts"],
)
def test_a_probe_passes_it_on(probe) -> None:
    with pytest.raises(MachineError, match="free memory"):
        probe(Starved())
