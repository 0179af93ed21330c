"""The contract tests of a branch, for the author of a family to run on every supported shape."""

import copy
import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from eenas.backbones.extra_state import check_extra_state, split_state
from eenas.backbones.features import FeatureShape
from eenas.backbones.transforms.image_transform import InputTransform
from eenas.branches.abilities import auxiliary_loss_of, features_only, takes_previous
from eenas.branches.branch import Branch
from eenas.branches.building import built, logits_problem
from eenas.branches.fc import Fc
from eenas.branches.registry import branch_from_table, family
from eenas.designs.design import Design
from eenas.escaping import shortened
from eenas.measurement.macs import count_macs
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.policy import Policy
from eenas.seeding import seeded
from eenas.testing.named import home_of

MACS_TOLERANCE = 0.15
"""The allowed relative difference of two counters of MACs. One of them counts biases."""


class BranchContract:
    """A pytest class for a branch. Derive from it and set `branch`.

        class TestMine(BranchContract):
            branch = "./my_branch.py:MyBranch"

    `branch` is a branch, or the name of a family as in a search space, which is built with `sizes`. It is tested on
    features of each of `shapes`.
    """

    branch: ClassVar[Branch | str]
    sizes: ClassVar[Mapping[str, Any]] = {}
    shapes: ClassVar[Sequence[FeatureShape]] = (FeatureShape((24, 16, 16)),)
    num_classes: ClassVar[int] = 10

    def test_it_is_data(self) -> None:
        """See `check_table`."""
        check_table(self.made())

    def test_it_keeps_the_contract(self) -> None:
        """See `check_branch`."""
        for shape in self.shapes:
            check_branch(self.made(), shape, self.num_classes)

    def made(self) -> Branch:
        """Return the branch."""
        if isinstance(self.branch, Branch):
            return self.branch
        return family(self.branch, trust_code=True, relative_to=home_of(self))(**self.sizes)


def check_branch(branch: Branch, feature_shape: FeatureShape, num_classes: int, *, macs: int | None = None) -> None:
    """Check a branch at features of one shape against the contract of `Branch`. Needs at least two classes.

    The checks follow a branch's life: its table; its creation; a training step with its auxiliary loss, if any;
    evaluation with one sample; autocast; saving and loading of its state; its MACs by two counters, and against a
    manual count in `macs`; a network that stops; and the GPU, if there is one. A module that reads the previous logits
    (`eenas.branches.abilities`) gets some. Raises AssertionError with the violated rule.
    """
    check_table(branch)
    branch.check(feature_shape)
    module = _build(branch, feature_shape, num_classes)
    _check_birth(branch, module, feature_shape, num_classes)
    _check_training(module, feature_shape, num_classes)
    _check_evaluation(module, feature_shape, num_classes)
    _check_autocast(module, feature_shape, num_classes)
    _check_state(module, _build(branch, feature_shape, num_classes, seed=1), feature_shape)
    _check_macs(branch, feature_shape, num_classes, macs)
    _check_network(branch, feature_shape, num_classes)
    if torch.cuda.is_available():
        _check_cuda(module, feature_shape, num_classes)


def check_table(branch: Branch) -> None:
    """Check that a branch is frozen and comparable data that survives copies and tables without loss."""
    table = branch.to_table()
    assert table["kind"] == branch.kind, f"the table's kind must be {branch.kind!r}, got {table['kind']!r}"
    assert branch_from_table(table) == branch, f"{branch} must come back from its table {table}"
    assert pickle.loads(pickle.dumps(branch)) == branch, f"{branch} must equal its copy"
    assert hash(copy.deepcopy(branch)) == hash(branch), f"equal branches must have equal hashes, got {branch}"
    label: object = branch.label()
    assert isinstance(label, str), f"label must return a text, got {shortened(label)}"
    assert label, "label must return a text for tables, got an empty one"
    for name in branch.sizes:
        assert hasattr(branch, name), f"sizes names {name!r}, but {type(branch).__name__} has no such field"


def _check_birth(branch: Branch, module: nn.Module, shape: FeatureShape, num_classes: int) -> None:
    again, x = _build(branch, shape, num_classes), _example(shape, 2)
    with torch.no_grad():
        _check_logits(module.eval()(x), 2, num_classes, "in evaluation")
    assert _equal(module, again.eval(), x), "the same seed must build the same module; leave the seed to eenas"
    kinds = {value.dtype for value in module.parameters()}
    assert kinds <= {torch.float32}, f"parameters must be float32, got {kinds}"


def _check_training(module: nn.Module, shape: FeatureShape, num_classes: int) -> None:
    device = next((each.device for each in module.parameters()), torch.device("cpu"))
    x = _example(shape, 4).to(device).requires_grad_()
    labels = torch.arange(4, device=device) % num_classes
    logits = module.train()(x)
    _check_logits(logits, 4, num_classes, "in training")
    own = auxiliary_loss_of(_inside(module), labels)
    copy.deepcopy(module)  # networks may be copied at any time
    loss = nn.functional.cross_entropy(logits.float(), labels)
    if own is not None:
        assert own.shape == (), f"an auxiliary loss must be a scalar, got {tuple(own.shape)}"
        assert torch.isfinite(own), "an auxiliary loss must be finite"
        assert own.requires_grad, "an auxiliary loss must have a gradient"
        loss = loss + 0.5 * own
    loss.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None, "a gradient must flow into the backbone"
    assert torch.isfinite(x.grad).all(), "the gradient into the backbone must be finite"
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, f"parameter {name} must get a gradient"
        assert torch.isfinite(parameter.grad).all(), f"the gradient of {name} must be finite"
    module.zero_grad(set_to_none=True)


@torch.no_grad()
def _check_evaluation(module: nn.Module, shape: FeatureShape, num_classes: int) -> None:
    module.eval()
    x = _example(shape, 5)
    kept = copy.deepcopy(split_state(module.state_dict())[0])
    together = module(x)
    _check_logits(together, 5, num_classes, "in evaluation")
    for index in range(5):
        alone = module(x[index : index + 1])
        _check_logits(alone, 1, num_classes, "for one sample")
        assert torch.allclose(alone[0], together[index], atol=1e-4, rtol=1e-4), (
            "a sample's logits must not depend on its batch"
        )
    for name, value in split_state(module.state_dict())[0].items():
        assert torch.equal(value, kept[name]), f"evaluation must not change {name}"


@torch.no_grad()
def _check_autocast(module: nn.Module, shape: FeatureShape, num_classes: int) -> None:
    x = _example(shape, 3)
    plain = module.eval()(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = module(x)
        from_cast = module(x.to(torch.bfloat16))
    for logits in (cast, from_cast):
        _check_logits(logits.float(), 3, num_classes, "under autocast")
        far = (logits.float() - plain).abs().max() > 0.1 * plain.abs().max() + 0.05
        assert not far, "logits under autocast must be close to those in float32"


def _check_state(module: nn.Module, other: nn.Module, shape: FeatureShape) -> None:
    module.eval()
    check_extra_state(module, "the module")
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    other.load_state_dict(torch.load(stream, weights_only=True))
    x = _example(shape, 3)
    assert _equal(module, other.eval(), x), "the logits must be the same after saving and loading the state"
    assert _equal(module, copy.deepcopy(module), x), "a deep copy must return the same logits"


def _check_macs(branch: Branch, shape: FeatureShape, num_classes: int, by_hand: int | None) -> None:
    with seeded(0):
        module = features_only(built(branch, shape, num_classes), num_classes)
    macs = count_macs(module, shape)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        copy.deepcopy(module).to("meta").eval()(torch.zeros(1, *shape.dims, device="meta"))
    reference = counter.get_total_flops() // 2
    biases = sum(value.numel() for name, value in module.named_parameters() if name.endswith("bias"))
    near = abs(macs - reference) <= MACS_TOLERANCE * reference + biases
    assert near, f"ptflops counts {macs} MACs and torch {reference}: one of them misses an operation"
    assert macs > 0, "the branch must have MACs"
    assert by_hand is None or macs == by_hand, f"the branch has {macs} MACs, the manual count is {by_hand}"


@torch.no_grad()
def _check_network(branch: Branch, shape: FeatureShape, num_classes: int) -> None:
    """Check that the branch behind an fc exit returns the same logits whether or not other samples leave."""
    with seeded(0):
        final = nn.Sequential(nn.Flatten(), nn.Linear(shape.elements, num_classes))
        plain = nn.Sequential(nn.Identity(), nn.Identity(), final)
        branches = {"0": Fc().build(shape, num_classes), "1": built(branch, shape, num_classes)}
    transform = InputTransform(size=1, channels=1, mean=(0.0,), std=(1.0,))
    design = Design(backbone="contract", num_classes=num_classes, inputs=transform.inputs)
    network = EarlyExitNetwork(plain, branches, design=design, transform=transform).eval()
    x = _example(shape, 7)
    together, answer = network(x), network.predict(x, _InTurn())
    for index, k in enumerate(answer.exits.tolist()):
        assert k == index % 3, "the samples must leave where the policy decides"
        near = torch.allclose(answer.logits[index], together[k][index], atol=1e-4, rtol=1e-4)
        assert near, f"exit {k} returns other logits if samples leave than if all stay"


def _check_cuda(module: nn.Module, shape: FeatureShape, num_classes: int) -> None:
    x = _example(shape, 3)
    with torch.no_grad():
        here, there = module.eval()(x), copy.deepcopy(module).to("cuda")(x.to("cuda")).cpu()
    far = (here - there).abs().max() > 0.02 * here.abs().max() + 0.01
    assert not far, "the logits on the GPU must be close to those on the CPU"
    _check_training(copy.deepcopy(module).to("cuda"), shape, num_classes)


@dataclass(frozen=True, kw_only=True)
class _InTurn(Policy):
    """Sample i of a batch leaves at exit i modulo 3. The state is the index of the sample."""

    kind: ClassVar[str] = "in turn"
    num_exits: ClassVar[int] = 3

    def start(self, n: int) -> NDArray[np.int64]:
        return np.arange(n)

    def decide(self, k: int, logits: NDArray[Any], state: Any) -> tuple[NDArray[np.bool_], Any]:
        return np.asarray(state % 3 == k), state

    def answer(self, state: Any) -> NDArray[np.int64]:
        return np.zeros(len(state), dtype=np.int64)

    def near(self, k: int, logits: NDArray[Any], state: Any) -> NDArray[np.bool_]:
        return np.zeros(len(state), dtype=np.bool_)

    def label(self) -> str:
        return self.kind

    def to_table(self) -> dict[str, Any]:
        return {"kind": self.kind}


class _Given(nn.Module):
    """A module that takes previous logits, which are derived from the features of the sample."""

    def __init__(self, module: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.module = module
        self.num_classes = num_classes

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits `[N, num_classes]` of features."""
        one = x.detach().float().flatten(1)[:, :1]
        previous = torch.cos(one * torch.arange(1, self.num_classes + 1, device=x.device))
        logits: Tensor = self.module(x, previous)
        return logits


def _inside(module: nn.Module) -> nn.Module:
    return module.module if isinstance(module, _Given) else module


def _check_logits(logits: Any, batch: int, num_classes: int, when: str) -> None:
    problem = logits_problem(logits, (batch, num_classes), when)
    assert problem is None, problem
    assert logits.dtype == torch.float32, (
        f"logits {when} must be float32, the dtype of the features, got {logits.dtype}; remove the cast from forward"
    )


def _build(branch: Branch, shape: FeatureShape, num_classes: int, seed: int = 0) -> nn.Module:
    with seeded(seed):
        module = built(branch, shape, num_classes)
    return _Given(module, num_classes) if takes_previous(module) else module


def _example(shape: FeatureShape, batch: int) -> Tensor:
    with seeded(batch):
        return shape.example(batch)


@torch.no_grad()
def _equal(one: Callable[[Tensor], Tensor], other: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    return torch.equal(one(x), other(x))
