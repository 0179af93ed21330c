"""Networks in which a sample's logits depend on the batch that it is in are refused; others are not."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from eenas.backbones.independence import check_independence
from eenas.backbones.load import load_backbone
from eenas.errors import BackboneError


class Net(nn.Module):
    """Two convolutions, the first one with `norm`, and something done to the pooled features before the classifier."""

    def __init__(self, norm: nn.Module, change: Callable[[Tensor], Tensor] = lambda feature: feature) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), norm, nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.fc, self.change = nn.Linear(8, 4), change

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.change(self.block(self.stem(x)).mean((2, 3))))
        return logits


REFUSED = {
    "statistics of the batch": (
        Net(nn.BatchNorm2d(8, track_running_stats=False)),
        "than alone .*; 'stem.1' normalises by batch statistics: give it track_running_stats=True$",
    ),
    "a mean over the batch": (
        Net(nn.Identity(), lambda feature: feature - feature.mean(0)),
        "other logits in a batch than alone in eval mode, .*; compute each sample's logits independently of the batch$",
    ),
    "a softmax over the batch": (
        Net(nn.InstanceNorm2d(8), lambda feature: feature.softmax(0)),
        "in a batch than alone .*independently of the batch$",
    ),
    "dropout that never ends": (
        Net(nn.Identity(), lambda feature: functional.dropout(feature, 0.5, training=True)),
        "net: must give a sample the same logits each time in eval mode, .*random",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind: str) -> None:
    module, message = REFUSED[kind]
    with pytest.raises(BackboneError, match=message):
        check_independence(module, torch.randn(2, 3, 16, 16), "net")
    with pytest.raises(BackboneError, match=message.replace("net:", "module:Net:")):
        load_backbone(copy.deepcopy(module), num_classes=4, input_size=16)


def test_dropout_of_a_single_live_feature_is_found_every_time() -> None:
    module = Net(nn.Identity(), lambda feature: functional.dropout(feature, 0.5, training=True))
    with torch.no_grad():
        conv = module.block[0]
        conv.weight.zero_()
        conv.bias.copy_(torch.tensor([1.0, *(-1.0,) * 7]))
    for _ in range(20):
        with pytest.raises(BackboneError, match="random"):
            check_independence(module, torch.randn(2, 3, 16, 16), "net")


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(8), nn.InstanceNorm2d(8), nn.GroupNorm(2, 8), nn.Dropout(), nn.LocalResponseNorm(2)]
)
def test_taken(norm: nn.Module) -> None:
    module = Net(norm, lambda feature: feature.sign())
    state = copy.deepcopy(module.state_dict())
    check_independence(module, torch.randn(2, 3, 16, 16), "net")
    assert module.training
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in state.items())


def test_what_does_not_run_is_for_others_to_refuse() -> None:
    check_independence(Net(nn.Identity()), torch.randn(2, 1, 16, 16), "net")


class Tokens(nn.Module):
    """A bag of embedded ids, with something done to its vectors before the classifier."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.embedding, self.fc, self.change = nn.Embedding(9, 8), nn.Linear(8, 4), change

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.change(self.embedding(ids).mean(1)))
        return logits


def test_ids_are_checked_beside_those_of_another_sample() -> None:
    ids = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    with pytest.raises(BackboneError, match=r"other logits in a batch than alone"):
        check_independence(Tokens(lambda feature: feature - feature.mean(0)), ids, "net")
    check_independence(Tokens(lambda feature: feature), ids, "net")
