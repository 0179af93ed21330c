"""Cut points that a mask, an index or a block of autocast goes round are left out; the others are kept."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from eenas.backbones.chain import Chain
from eenas.backbones.cut_points import find_candidates
from eenas.backbones.load import load_backbone
from eenas.errors import CutError


def block(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 4, 3, 2, 1), nn.ReLU())


class Net(nn.Module):
    """Three blocks and a classifier, run as `how` says."""

    def __init__(self, how: Any) -> None:
        super().__init__()
        self.how = how
        self.a, self.b, self.c, self.fc = block(3), block(4), block(4), nn.Linear(4, 4)
        self.route, self.table = nn.Linear(4, 5), nn.Embedding(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.how(self, x)
        return logits


def end(net: Net, x: Tensor) -> Tensor:
    logits: Tensor = net.fc(x.mean((2, 3)))
    return logits


def index_of_a_feature(net: Net, x: Tensor) -> Tensor:
    x = net.a(x)
    key = net.route(x.mean((2, 3))).argmax(1)
    return end(net, net.c(net.b(x))) + net.table(key)


def mask_of_the_input(net: Net, x: Tensor) -> Tensor:
    bright, logits = x.mean((1, 2, 3))[:, None] > 0, end(net, net.c(net.b(net.a(x))))
    return torch.where(bright, logits, -logits)


def mask_until_b(net: Net, x: Tensor) -> Tensor:
    bright = x.mean((1, 2, 3), keepdim=True) > 0
    return end(net, net.c(net.b(net.a(x)) * bright))


def autocast_from_b(net: Net, x: Tensor, enabled: bool = True) -> Tensor:
    x = net.a(x)
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        x = net.c(net.b(x))
    return end(net, x.float())


def autocast_switched_off(net: Net, x: Tensor) -> Tensor:
    return autocast_from_b(net, x, enabled=False)


def checkpointed(net: Net, x: Tensor) -> Tensor:
    return end(net, net.c(checkpoint(net.b, net.a(x), use_reentrant=True)))


def frozen_stem(net: Net, x: Tensor) -> Tensor:
    with torch.no_grad():
        x = net.a(x)
    return end(net, net.c(net.b(x)))


def used_at_once(net: Net, x: Tensor) -> Tensor:
    x = net.a(x)
    return end(net, net.c(net.b(x * (x > 0.1))))


def shaped_like_a_feature(net: Net, x: Tensor) -> Tensor:
    x = net.a(x)
    return end(net, net.c(net.b(x) + torch.zeros_like(x).mean()))


KEPT = {
    index_of_a_feature: ["a"],
    mask_until_b: ["c"],
    autocast_from_b: ["a", "c"],
    autocast_switched_off: ["a", "c"],
    checkpointed: ["a"],
    frozen_stem: ["a", "b", "c"],
    used_at_once: ["a", "b", "c"],
    shaped_like_a_feature: ["a", "c"],
}


@pytest.mark.parametrize("how", KEPT, ids=lambda how: how.__name__)
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_what_is_left_can_be_cut(how: Any) -> None:
    torch.manual_seed(0)
    said: list[str] = []
    module = Net(how)
    found = load_backbone(module, num_classes=4, input_size=16, listener=lambda event: said.append(str(event)))
    names = [point.name for point in found.cut_points]
    assert names == KEPT[how]
    left = {point.name for point in find_candidates(module, found.example()).points} - {
        each.name for each in found.all_cut_points
    }
    assert any("cannot be cut after" in text and "a value computed before" in text for text in said) == bool(left)
    chain = Chain.built_from(module, found.example(), names)
    x = found.example(5)
    with torch.no_grad():
        assert torch.allclose(chain(x), module.eval()(x), atol=1e-2 if "autocast" in how.__name__ else 1e-5)


def test_where_none_is_left_the_reason_is_said() -> None:
    with pytest.raises(
        CutError, match=r"^module:Net has no cut point: after every module a value .*mask.* is used again; comp"
    ):
        load_backbone(Net(mask_of_the_input), num_classes=4, input_size=16)


def test_a_point_by_name_says_why_not() -> None:
    module = Net(index_of_a_feature).eval()
    with pytest.raises(
        CutError, match=r"the output of 'output' depends on .* a value computed before .* again .*; leave it out"
    ):
        Chain.built_from(module, torch.randn(2, 3, 16, 16), ["a", "b"])
    with pytest.raises(CutError, match="cut points must be in depth order"):
        Chain.built_from(module, torch.randn(2, 3, 16, 16), ["b", "a"])
