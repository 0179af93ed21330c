"""Copies of modules that torch alone would not copy, or whose own methods return nothing."""

import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of, evaluated


class Quiet(nn.Module):
    """Its `train` and `to` give nothing back; it keeps a feature with its graph, in an attribute and in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.kept: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.layer(x)
        self.kept = [self.seen]
        return self.seen

    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)

    def to(self, *arguments: object, **options: object) -> None:  # type: ignore[override]
        super().to(*arguments, **options)  # type: ignore[call-overload]


def test_what_a_module_keeps_of_a_pass_is_copied_without_its_graph() -> None:
    module = Quiet()
    given = module(torch.ones(1, 3))
    with pytest.raises(RuntimeError, match="deepcopy"):
        __import__("copy").deepcopy(module)
    copied = copy_of(module)
    assert torch.equal(copied.seen, given)
    assert copied.seen is copied.kept[0]
    assert not copied.seen.requires_grad
    assert copied.layer.weight is not module.layer.weight
    assert copied.layer.weight.requires_grad


def test_modes_and_devices_are_statements() -> None:
    module = Quiet()
    copied = evaluated(module, device="cpu")
    assert isinstance(copied, Quiet)
    assert not copied.training
    assert module.training


def test_older_weight_norm_is_copied() -> None:
    module = nn.utils.spectral_norm(nn.Linear(3, 2))
    module(torch.ones(1, 3))
    x = torch.ones(2, 3)
    assert torch.equal(evaluated(module)(x), evaluated(module)(x))
