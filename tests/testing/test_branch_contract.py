"""The contract tests of branches find what breaks the contract."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.abilities import logits_of
from eenas.branches.branch import Branch
from eenas.branches.cascade import Cascade
from eenas.branches.fc import Fc
from eenas.branches.registry import FAMILIES
from eenas.errors import BranchError
from eenas.measurement.profile import measure_branch
from eenas.measurement.runtime import branch_to_time
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
        if self.fault == "nan" or (self.fault == "nan in training" and self.training):
            return logits * float("nan")
        changed = {"infinite": logits / 0, "double": logits.double(), "tuple": (logits, logits), "none": None}
        return changed.get(self.fault, logits)  # type: ignore[return-value]


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

    def label(self) -> str:
        """A text, or a fault."""
        return {"number as label": 3, "no label": ""}.get(self.fault, "bent")  # type: ignore[return-value]

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """A faulty module."""
        if self.fault == "random":
            torch.seed()
        kinds = {"previous": _Greedy, "": _Lossy, "loss": _Lossy, "losses": _Lossy, "constant": _Lossy}
        return kinds.get(self.fault, _Bent)(self.fault, num_classes)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("shape", r"logits in evaluation must be \(2, 3\), got \(2, 2\)"),
        ("infinite", r"logits in evaluation must be finite, got \[-?inf, -?inf, -?inf\]"),
        ("nan", r"logits in evaluation must be finite, got \[nan, nan, nan\]"),
        ("nan in training", "logits in training must be finite, got"),
        (
            "double",
            "logits in evaluation must be float32, the dtype of the features, got torch.float64; remove the cast",
        ),
        ("tuple", r"forward must return one tensor, the logits \(2, 3\) in evaluation, got tuple"),
        ("none", r"forward must return one tensor, the logits \(2, 3\) in evaluation, got NoneType"),
        ("number as label", "label must return a text, got 3"),
        ("no label", "label must return a text for tables, got an empty one"),
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


@dataclass(frozen=True, kw_only=True)
class Unbuilt(Branch):
    """A family whose build returns no module."""

    kind = "unbuilt"
    returned: str = "nothing"

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """Return a value that is no module."""
        return {"nothing": None, "function": nn.functional.relu}[self.returned]  # type: ignore[return-value]


@pytest.mark.parametrize(("returned", "got"), [("nothing", "None"), ("function", "the function relu")])
def test_a_build_without_a_module_is_named_in_the_contract_and_in_a_network(
    monkeypatch: pytest.MonkeyPatch, returned: str, got: str
) -> None:
    monkeypatch.setitem(FAMILIES, "unbuilt", Unbuilt)
    branch, text = Unbuilt(returned=returned), f"unbuilt: build must return a torch.nn.Module, got {got}; return the"
    with pytest.raises(BranchError, match=text):
        check_branch(branch, SHAPE, 3)
    with pytest.raises(BranchError, match=text):
        branch_to_time(branch, SHAPE, 3)
    with pytest.raises(BranchError, match=text):
        Cascade(branch=branch).build(SHAPE, 3)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("shape", r"logits of a branch must be \(1, 3\), got \(1, 2\)"),
        ("nan", r"logits of a branch must be finite, got \[nan, nan, nan\]"),
        ("tuple", r"forward must return one tensor, the logits \(1, 3\) of a branch, got tuple"),
        ("none", r"forward must return one tensor, the logits \(1, 3\) of a branch, got NoneType"),
    ],
)
def test_a_search_refuses_the_same_when_it_counts_the_branch(fault: str, text: str) -> None:
    cpu = torch.device("cpu")
    assert measure_branch(Bent(), SHAPE, 3, device=cpu, latency=None).macs > 0
    with pytest.raises(BranchError, match=f"^bent: {text}; check forward and the last layer of build$"):
        measure_branch(Bent(fault=fault), SHAPE, 3, device=cpu, latency=None)


@pytest.mark.parametrize(("fault", "got"), [("tuple", "tuple"), ("none", "NoneType")])
def test_a_network_refuses_a_branch_that_returns_no_tensor(fault: str, got: str) -> None:
    module = Bent(fault=fault).build(SHAPE, 3)
    with pytest.raises(BranchError, match=f"_Bent: forward of a branch must return one tensor, .* got {got}; return"):
        logits_of(module, SHAPE.example(2), None)


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
