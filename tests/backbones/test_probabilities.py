"""Networks that end in a softmax: their logarithm is read as logits."""

import copy

import torch
from torch import nn

from eenas.backbones.chain import Chain
from eenas.backbones.load import load_backbone
from eenas.progress import Notice
from eenas.testing.smallest import smallest_backbone

from ..styles import LogSoftmax, Net, Softmax


def test_probabilities_become_logits() -> None:
    torch.manual_seed(0)
    module = Softmax()
    said: list[str] = []
    found = load_backbone(
        module, num_classes=4, input_size=32, listener=lambda event: said.append(str(getattr(event, "text", event)))
    )
    assert any("gives probabilities" in text for text in said)
    x = found.example()
    module.eval()
    copied = copy.deepcopy(found.module).eval()
    assert torch.allclose(torch.log(module(x)), copied(x), atol=1e-6), "the given module itself is left as it is"
    assert next(found.module.parameters()) is next(module.parameters())
    again = load_backbone(found.module, num_classes=4, input_size=32)
    assert again.module is found.module, "once is enough"


def test_a_sequence_that_ends_in_a_softmax_is_cut_with_its_logarithm() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(smallest_backbone(), nn.Softmax(dim=1))
    found = load_backbone(module, num_classes=4, input_size=8)
    names = [point.name for point in found.cut_points]
    assert names
    chain, x = Chain.built_from(found.module.eval(), found.example(), names), found.example()
    assert torch.allclose(chain(x), torch.log(module(x)), atol=1e-6)


def test_a_classifier_that_always_gives_its_bias_gives_logits() -> None:
    module = smallest_backbone(2)
    with torch.no_grad():
        module[4][2].weight.zero_()
        module[4][2].bias.copy_(torch.tensor([1.0, 0.0]))
    assert load_backbone(module, num_classes=2, input_size=8).module is module


def test_logits_are_left_alone() -> None:
    for module in (Net(), LogSoftmax()):
        said: list[object] = []
        found = load_backbone(module, num_classes=4, input_size=32, listener=said.append)
        assert found.module is module
        assert not any(isinstance(event, Notice) for event in said)


class Sigmoid(Net):
    """One output between 0 and 1 for each class."""

    def forward(self, x):
        return torch.sigmoid(super().forward(x))


def test_the_logarithm_of_a_sigmoid_is_taken() -> None:
    torch.manual_seed(0)
    module = Sigmoid().eval()
    said: list[str] = []
    found = load_backbone(
        module, num_classes=4, input_size=32, listener=lambda event: said.append(str(getattr(event, "text", event)))
    )
    assert any("ends in a sigmoid" in text for text in said)
    x = found.example()
    assert torch.allclose(found.module.eval()(x), torch.log(module(x)), atol=1e-6)
    assert load_backbone(found.module, num_classes=4, input_size=32).module is found.module, "once is enough"


def test_logits_that_lie_between_0_and_1_are_left_alone() -> None:
    module = Net()
    with torch.no_grad():
        module.fc.weight.mul_(1e-3)
        module.fc.bias.fill_(0.5)
    assert load_backbone(module, num_classes=4, input_size=32).module is module
