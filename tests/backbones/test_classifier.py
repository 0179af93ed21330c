"""The classifier found by running the backbone, and replaced."""

import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.classifier import count_classes, evaluating, find_classifier, replace_classifier
from eenas.errors import BackboneError


class HeadDeclaredFirst(nn.Module):
    """Its last layer by order of declaration is not the last that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 4)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x))
        return logits


class ConvHead(nn.Module):
    """A fully convolutional classifier, averaged at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 6, 3, padding=1)
        self.score = nn.Conv2d(6, 4, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.score(self.features(x)).mean(dim=(2, 3))
        return logits


class NoHead(nn.Module):
    """Logits that come from no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(12, 6)

    def forward(self, x: Tensor) -> Tensor:
        values: Tensor = self.body(x.flatten(1))[:, :4]
        return values


X = torch.randn(2, 3, 2, 2)


@pytest.mark.parametrize(("model", "name"), [(HeadDeclaredFirst, "head"), (ConvHead, "score")])
def test_found_and_replaced(model: type[nn.Module], name: str) -> None:
    module = model().double()
    x = X.double()
    assert find_classifier(module, x) == (name,)
    others = {key: value.clone() for key, value in module.state_dict().items() if not key.startswith(name)}
    replace_classifier(module, 7, x, "net")
    assert module(x).shape == (2, 7)
    assert module(x).dtype == torch.float64
    kept = [key for key in others if "running" not in key and "batches" not in key]
    assert all(torch.equal(others[key], module.state_dict()[key]) for key in kept)
    assert not any(part._forward_hooks for part in module.modules())


def test_bias_is_kept_absent() -> None:
    module = ConvHead()
    replace_classifier(module, 7, X, "net")
    assert module.score.bias is None


def test_without_a_last_layer_nothing_is_replaced() -> None:
    assert find_classifier(NoHead(), X) == ()
    with pytest.raises(BackboneError, match="net: its classifier cannot be replaced for 7 classes"):
        replace_classifier(NoHead(), 7, X, "net")


def test_timm_replaces_its_own() -> None:
    import timm

    module = timm.create_model("test_vit", num_classes=5, img_size=32)
    x = torch.randn(2, 3, 32, 32)
    assert find_classifier(module, x) == ("head",)
    replace_classifier(module, 3, x, "test_vit")
    assert count_classes(module, x, "test_vit") == module.num_classes == 3


class Odd(nn.Module):
    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: Tensor) -> object:
        if isinstance(self.output, Exception):
            raise self.output
        return self.output


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (("logits", 4), "got a tuple without any"),
        (X, r"must return logits \[2, classes\], got \[2, 3, 2, 2\]"),
        (torch.zeros(1, 4), r"got \[1, 4\]"),
        (AssertionError("Input height (2) doesn't match\nmodel"), "AssertionError: Input height .2. doesn't match\\)"),
    ],
)
def test_outputs_that_are_no_logits(output: object, message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        count_classes(Odd(output), X, "net")


def test_modes_are_put_back_one_by_one() -> None:
    module = HeadDeclaredFirst()
    module.body[2].eval()
    statistics = module.body[2].running_mean.clone()
    with evaluating(module):
        assert not module.training
    assert module.training
    assert module.body.training
    assert not module.body[2].training
    count_classes(module.train(), X, "net")
    assert torch.equal(module.body[2].running_mean, statistics)
