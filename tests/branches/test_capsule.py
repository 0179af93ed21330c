"""The capsule branch against slow routing, its margin loss, its cost by hand and what it learns."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.capsule import Capsule
from eenas.branches.registry import branch_from_sizes
from eenas.errors import BranchError
from eenas.measurement.macs import count_macs, count_parameters
from eenas.testing.branch_contract import check_branch


def squash(s: Tensor) -> Tensor:
    length = s.norm()
    return length**2 / (1 + length**2) * s / length


def slow_lengths(module: nn.Module, lower: Tensor, routing: int) -> Tensor:
    """Procedure 1 of the paper for one sample, with loops: lower capsules [i, 8] to the classes' lengths."""
    size = module.size  # type: ignore[attr-defined]
    weights = module.transform.detach().reshape(len(lower), 8, -1, size)  # type: ignore[attr-defined]
    classes = weights.shape[2]
    predicted = torch.stack(
        [torch.stack([squash(lower[i]) @ weights[i, :, j] for j in range(classes)]) for i in range(len(lower))]
    )
    logits = torch.zeros(len(lower), classes)
    for turn in range(routing):
        shares = torch.stack([row.softmax(0) for row in logits])
        upper = [squash(sum(shares[i, j] * predicted[i, j] for i in range(len(lower)))) for j in range(classes)]
        if turn < routing - 1:
            for i in range(len(lower)):
                for j in range(classes):
                    logits[i, j] += predicted[i, j] @ upper[j]
    return torch.stack([vector.norm() for vector in upper])


@pytest.mark.parametrize("routing", [1, 3])
def test_routing_is_procedure_1_of_the_paper(routing: int) -> None:
    torch.manual_seed(0)
    module = Capsule(width=16, d_out=5, routing=routing).build(FeatureShape((3, 4, 2)), 4).eval()
    x = 3 * torch.randn(2, 3, 4, 2)
    with torch.no_grad():
        logits = module(x)
        maps = module.primary(x)
    for sample in range(2):
        lower = torch.stack([maps[sample, 8 * t : 8 * t + 8, p // 2, p % 2] for t in range(2) for p in range(8)])
        lengths = slow_lengths(module, lower, routing)
        torch.testing.assert_close(logits[sample], 10.0 * lengths, atol=1e-3, rtol=1e-3)


def test_the_cost_is_the_hand_count() -> None:
    shape, branch = FeatureShape((64, 8, 8)), Capsule(width=64)
    capsules, classes = 8 * 16, 10
    convolution = 64 * 64 * 16 + 64 * 16
    predictions, routing = capsules * classes * 8 * 16, (2 * 3 - 1) * capsules * classes * 16
    check_branch(branch, shape, classes, macs=convolution + predictions + routing)
    assert count_parameters(branch.build(shape, classes)) == 64 * 64 + 64 + capsules * classes * 8 * 16 + 1


def test_few_places_however_large_the_map() -> None:
    branch = Capsule(width=8, routing=1)
    small, large = (count_macs(branch.build(shape, 3), shape) for shape in map(FeatureShape, [(4, 4, 4), (4, 64, 64)]))
    assert small == large


def test_the_width_is_whole_capsules() -> None:
    assert Capsule(width=9) == Capsule(width=16)
    assert branch_from_sizes("capsule", width=1, layers=3, pool="max") == Capsule(width=8)
    assert Capsule(width=24).label() == "capsule 24"
    with pytest.raises(BranchError, match="routing must be a whole number of at least 1, got 0"):
        Capsule(routing=0)


def test_the_margin_loss_is_that_of_the_paper() -> None:
    module = Capsule(width=8).build(FeatureShape((3, 4, 4)), 3).train()
    labels = torch.tensor([0, 2, 1])
    lengths = module(torch.randn(3, 3, 4, 4)) / 10.0
    expected = torch.zeros(())
    for sample, label in enumerate(labels):
        for j in range(3):
            length = lengths[sample, j]
            wanted = (0.9 - length).clamp(min=0) ** 2 if j == label else 0.5 * (length - 0.1).clamp(min=0) ** 2
            expected = expected + wanted / 3
    torch.testing.assert_close(module.auxiliary_loss(labels), expected)


def test_the_margin_loss_is_of_the_last_pass_in_training() -> None:
    module = Capsule(width=8).build(FeatureShape((3, 4, 4)), 3)
    x, labels = torch.randn(4, 3, 4, 4), torch.zeros(4, dtype=torch.int64)
    module.train()(x)
    assert module.auxiliary_loss(labels).requires_grad
    for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        torch.testing.assert_close(copied(x), module(x))
    module.eval()(x)
    with pytest.raises(BranchError, match=r"call module.train\(\)\(x\)"):
        module.auxiliary_loss(labels)


def test_a_large_input_stays_finite_and_lengths_stay_below_one() -> None:
    module = Capsule(width=8).build(FeatureShape((3, 4, 4)), 3).train()
    for scale in (0.0, 1e-20, 1e6):
        x = (scale * torch.randn(2, 3, 4, 4)).requires_grad_()
        logits = module(x)
        assert ((logits >= 0) & (logits <= 10.01)).all()
        (logits.sum() + module.auxiliary_loss(torch.zeros(2, dtype=torch.int64))).backward()
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()


def test_what_it_learns_is_sure_enough_for_a_threshold() -> None:
    torch.manual_seed(0)
    module = Capsule(width=16).build(FeatureShape((8, 4, 4)), 10).train()
    labels = torch.arange(200) % 10
    x = torch.randn(10, 8, 4, 4)[labels] + 0.3 * torch.randn(200, 8, 4, 4)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(30):
        loss = nn.functional.cross_entropy(module(x), labels) + 0.5 * module.auxiliary_loss(labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    shares = module(x).softmax(dim=1)
    assert (shares.argmax(dim=1) == labels).float().mean() > 0.95
    assert (shares.max(dim=1).values > 0.8).float().mean() > 0.9
