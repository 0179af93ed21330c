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
        if self.fault == "one of many" and not self.training and len(x) > 5:
            flat = flat + 1
        logits: Tensor = self.linear(flat)
        if self.fault == "shape":
            return logits[:, :-1]
        return logits / 0 if self.fault == "infinite" else logits


class _Lossy(_Bent):
    """The same with a loss of its own, which may be the fault."""

    def auxiliary_loss(self, labels: Tensor) -> Tensor:
        loss = self.linear.weight.square().sum()
        faulty = {"loss": loss / 0, "losses": loss.expand(2), "constant": loss.detach()}
        return faulty.get(self.fault, loss)


class _Greedy(_Bent):
    """One that asks for the previous logits."""

    takes_previous = True

    def forward(self, x: Tensor, previous: Tensor | None = None) -> Tensor:
        logits = super().forward(x)
        assert previous is not None
        assert previous.shape == logits.shape
        assert not previous.requires_grad
        return logits + previous


@dataclass(frozen=True, kw_only=True)
class Bent(Branch):
    """A family whose module has the fault that it names."""

    kind = "bent"
    fault: str = ""

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """A faulty module."""
        if self.fault == "random":
            torch.seed()
        kinds = {"previous": _Greedy, "": _Lossy, "loss": _Lossy, "losses": _Lossy, "constant": _Lossy}
        return kinds.get(self.fault, _Bent)(self.fault, num_classes)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("shape", r"logits in training must be \(4, 3\), got \(4, 2\)"),
        ("infinite", "must be finite"),
        ("detached", "gradient must flow into the backbone"),
        ("unused", "parameter unused must get a gradient"),
        ("batch", "depend on its batch"),
        ("counts", "evaluation must not change count"),
        ("random", "the same seed must build the same module"),
        ("loss", "an auxiliary loss must be finite"),
        ("losses", r"an auxiliary loss must be a scalar, got \(2,\)"),
        ("constant", "an auxiliary loss must have a gradient"),
        ("one of many", "exit 1 returns other logits if samples leave"),
    ],
)
def test_faults_are_found(monkeypatch: pytest.MonkeyPatch, fault: str, text: str) -> None:
    monkeypatch.setitem(FAMILIES, "bent", Bent)
    check_branch(Bent(), SHAPE, 3)
    with pytest.raises(AssertionError, match=text):
        check_branch(Bent(fault=fault), SHAPE, 3)


def test_a_module_is_given_the_previous_logits_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "bent", Bent)
    check_branch(Bent(fault="previous"), SHAPE, 3)


def test_a_count_by_hand_is_compared() -> None:
    check_branch(Fc(), SHAPE, 3, macs=48 * 3 + 3)
    with pytest.raises(AssertionError, match="the branch has 147 MACs, the manual count is 144"):
        check_branch(Fc(), SHAPE, 3, macs=48 * 3)


def test_the_random_state_is_left_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_branch(Fc(), SHAPE, 3)
    assert torch.equal(torch.get_rng_state(), before)
