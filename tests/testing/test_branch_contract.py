"""The contract tests of branches find what breaks the contract."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.branches.fc import Fc
from eenas.branches.registry import FAMILIES
from eenas.testing.branch_contract import check_branch

SHAPE = FeatureShape((3, 4, 4))


class _Bent(nn.Module):
    """A linear layer with one fault."""

    def __init__(self, fault: str, classes: int) -> None:
        super().__init__()
        self.fault = fault
        self.linear = nn.Linear(48, classes)
        self.unused = nn.Parameter(torch.zeros(1)) if fault == "unused" else None
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        if self.fault == "batch":
            flat = flat - flat.mean(dim=0)
        if self.fault == "detached":
            flat = flat.detach()
        if self.fault == "counts":
            self.count += 1
        logits: Tensor = self.linear(flat)
        if self.fault == "shape":
            return logits[:, :-1]
        return logits / 0 if self.fault == "infinite" else logits


@dataclass(frozen=True, kw_only=True)
class Bent(Branch):
    """A family whose module has the fault that it names."""

    kind = "bent"
    fault: str = ""

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """A faulty module."""
        if self.fault == "random":
            torch.seed()
        return _Bent(self.fault, num_classes)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("shape", r"logits in training must be \(4, 3\), got \(4, 2\)"),
        ("infinite", "must be finite"),
        ("detached", "gradient must flow back"),
        ("unused", "parameter unused gets no gradient"),
        ("batch", "depend on its batch"),
        ("counts", "evaluation must not change count"),
        ("random", "the same seed must build the same module"),
    ],
)
def test_faults_are_found(monkeypatch: pytest.MonkeyPatch, fault: str, text: str) -> None:
    monkeypatch.setitem(FAMILIES, "bent", Bent)
    check_branch(Bent(), SHAPE, 3)
    with pytest.raises(AssertionError, match=text):
        check_branch(Bent(fault=fault), SHAPE, 3)


def test_the_random_state_is_left_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_branch(Fc(), SHAPE, 3)
    assert torch.equal(torch.get_rng_state(), before)
