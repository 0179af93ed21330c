"""The contract tests of a branch: what the author of a family runs on it, at every shape it is meant for."""

import copy
import io
import pickle
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.branches.registry import branch_from_table
from eenas.measurement.macs import count_macs
from eenas.seeding import seeded

MACS_TOLERANCE = 0.15
"""How far two counters may differ: one of them counts biases."""


def check_branch(branch: Branch, feature_shape: FeatureShape, num_classes: int) -> None:
    """Check one branch at features of one shape against the contract of `Branch`.

    In the order of a branch's life: its table, its birth, a training step, evaluation with one sample, autocast, its
    state saved and loaded, its MACs by two counters. Raises AssertionError that says what does not hold.
    """
    check_table(branch)
    branch.check(feature_shape)
    module = _build(branch, feature_shape, num_classes)
    _check_birth(branch, module, feature_shape, num_classes)
    _check_training(module, feature_shape, num_classes)
    _check_evaluation(module, feature_shape, num_classes)
    _check_autocast(module, feature_shape, num_classes)
    _check_state(module, _build(branch, feature_shape, num_classes, seed=1), feature_shape)
    _check_macs(module, feature_shape)


def check_table(branch: Branch) -> None:
    """A branch is data: frozen, comparable, copied and written to a table without loss."""
    table = branch.to_table()
    assert table["kind"] == branch.kind, f"the table's kind must be {branch.kind!r}, got {table['kind']!r}"
    assert branch_from_table(table) == branch, f"{branch} must come back from its table {table}"
    assert pickle.loads(pickle.dumps(branch)) == branch, f"{branch} must be the same after a copy"
    assert hash(copy.deepcopy(branch)) == hash(branch), f"equal branches must have equal hashes, {branch} has not"
    assert branch.label(), "a branch needs a label for tables"
    for name in branch.sizes:
        assert hasattr(branch, name), f"sizes names {name!r}, which {type(branch).__name__} has no field for"


def _check_birth(branch: Branch, module: nn.Module, shape: FeatureShape, num_classes: int) -> None:
    again, x = _build(branch, shape, num_classes), _example(shape, 2)
    assert _equal(module.eval(), again.eval(), x), "the same seed must build the same module"
    kinds = {value.dtype for value in module.parameters()}
    assert kinds <= {torch.float32}, f"parameters must be float32, got {kinds}"


def _check_training(module: nn.Module, shape: FeatureShape, num_classes: int) -> None:
    x = _example(shape, 4).requires_grad_()
    labels = torch.arange(4) % num_classes
    logits = module.train()(x)
    _check_logits(logits, 4, num_classes, "in training")
    nn.functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None, "a gradient must flow back into the backbone"
    assert torch.isfinite(x.grad).all(), "the gradient into the backbone must be finite"
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, f"parameter {name} gets no gradient"
        assert torch.isfinite(parameter.grad).all(), f"the gradient of {name} must be finite"
    module.zero_grad(set_to_none=True)


@torch.no_grad()
def _check_evaluation(module: nn.Module, shape: FeatureShape, num_classes: int) -> None:
    module.eval()
    x = _example(shape, 5)
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    together = module(x)
    _check_logits(together, 5, num_classes, "in evaluation")
    for index in range(5):
        alone = module(x[index : index + 1])
        _check_logits(alone, 1, num_classes, "for one sample")
        assert torch.allclose(alone[0], together[index], atol=1e-4, rtol=1e-4), "a sample's logits depend on its batch"
    for name, value in module.state_dict().items():
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
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    other.load_state_dict(torch.load(stream, weights_only=True))
    x = _example(shape, 3)
    assert _equal(module, other.eval(), x), "the logits must be the same after saving and loading the state"
    assert _equal(module, copy.deepcopy(module), x), "a deep copy must give the same logits"


def _check_macs(module: nn.Module, shape: FeatureShape) -> None:
    macs = count_macs(module, shape)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        copy.deepcopy(module).to("meta").eval()(torch.zeros(1, *shape.dims, device="meta"))
    reference = counter.get_total_flops() // 2
    biases = sum(value.numel() for name, value in module.named_parameters() if name.endswith("bias"))
    near = abs(macs - reference) <= MACS_TOLERANCE * reference + biases
    assert near, f"ptflops counts {macs} MACs and torch {reference}: an operation escapes one of them"
    assert macs > 0, "a branch that costs nothing computes nothing"


def _check_logits(logits: Tensor, batch: int, num_classes: int, when: str) -> None:
    expected = (batch, num_classes)
    assert tuple(logits.shape) == expected, f"logits {when} must be {expected}, got {tuple(logits.shape)}"
    assert torch.isfinite(logits).all(), f"logits {when} must be finite"


def _build(branch: Branch, shape: FeatureShape, num_classes: int, seed: int = 0) -> nn.Module:
    with seeded(seed):
        return branch.build(shape, num_classes)


def _example(shape: FeatureShape, batch: int) -> Tensor:
    with seeded(batch):
        return shape.example(batch)


@torch.no_grad()
def _equal(one: Callable[[Tensor], Tensor], other: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    return torch.equal(one(x), other(x))
