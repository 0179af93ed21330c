"""Networks that end in a softmax: their logarithm is read as logits."""

import copy

import torch

from eenas.backbones.load import load_backbone
from eenas.progress import Notice

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


def test_logits_are_left_alone() -> None:
    for module in (Net(), LogSoftmax()):
        said: list[object] = []
        found = load_backbone(module, num_classes=4, input_size=32, listener=said.append)
        assert found.module is module
        assert not any(isinstance(event, Notice) for event in said)
