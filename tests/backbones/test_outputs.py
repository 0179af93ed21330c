"""What a network returns, in all its forms, and the logits that are read of it."""

import copy
from collections import namedtuple
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eenas.backbones.chain import Chain
from eenas.backbones.load import load_backbone
from eenas.backbones.outputs import main_output
from eenas.errors import BackboneError, CutError

LOGITS, OTHER = torch.zeros(2, 4), torch.ones(2, 7)
Parts = namedtuple("Parts", ["logits", "aux"])


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        (LOGITS, OTHER),
        [LOGITS],
        (None, "text", 3, LOGITS),
        (torch.zeros(2, dtype=torch.int64), LOGITS),
        ((None, LOGITS), OTHER),
        Parts(LOGITS, OTHER),
        {"features": OTHER, "logits": LOGITS},
        {"features": OTHER, "prediction": LOGITS},
        {"embedding": OTHER, "probs": LOGITS},
        {"main": LOGITS, "aux": OTHER},
        {"loss": None, "out": LOGITS},
        SimpleNamespace(loss=None, logits=LOGITS),
    ],
)
def test_logits_are_read(output: object) -> None:
    assert main_output(output) is LOGITS


@pytest.mark.parametrize("output", ["logits", None, (), {}, (None, 3), torch.zeros(2, dtype=torch.int64)])
def test_no_logits(output: object) -> None:
    with pytest.raises(CutError, match="must return a tensor of logits, or a tuple, dict or object that holds one"):
        main_output(output)


class Parted(nn.Module):
    """A trunk whose feature [N, 8] has a classifier `fc` of `classes` and an embedding `emb` beside it."""

    def __init__(self, form: Callable[..., Any], classes: int = 4, embedding: int = 6) -> None:
        super().__init__()
        self.form = form
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.fc, self.emb = nn.Linear(8, classes), nn.Linear(8, embedding)

    def forward(self, x: Tensor) -> Any:
        feature = self.block(self.stem(x)).mean((2, 3))
        logits = self.fc(feature)
        return self.form(logits, self.emb(feature), feature, self.training)


FORMS: dict[str, Callable[..., Any]] = {
    "embedding first": lambda y, e, f, training: (e, y),
    "feature in a dict": lambda y, e, f, training: {"e": e, "f": f, "y": y},
    "nested": lambda y, e, f, training: (f, {"head": [e, y]}),
    "an object": lambda y, e, f, training: SimpleNamespace(embedding=e, head=y),
    "only in training": lambda y, e, f, training: (e, y) if training else y,
    "turned round in training": lambda y, e, f, training: (e, y) if training else (y, e),
    "probabilities beside": lambda y, e, f, training: (y.softmax(1), y, e),
    "twice": lambda y, e, f, training: (e, y, y),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_logits_are_those_of_the_classes(form: str) -> None:
    torch.manual_seed(0)
    module, said = Parted(FORMS[form]), list[str]()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    found = load_backbone(module, num_classes=4, input_size=16, listener=lambda event: said.append(str(event)))
    assert "is used as its logits" in said[0]
    assert len(said) == 1
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in before.items())
    x = found.example()
    expected = module.fc(module.block(module.stem(x)).mean((2, 3)))
    for mode in (False, True):
        assert torch.allclose(main_output(copy.deepcopy(found.module).train(mode)(x)), expected, atol=1e-6)
    names = [point.name for point in found.cut_points]
    assert names == ["stem", "block"]
    assert torch.allclose(Chain.built_from(found.module.eval(), x, names)(x), expected, atol=1e-6)


def test_another_number_of_classes_replaces_the_layer_that_gives_the_logits() -> None:
    module = Parted(lambda y, e, f, training: {"logits": y, "embedding": e}, classes=10, embedding=4)
    found = load_backbone(module, num_classes=4, input_size=16)
    assert (module.fc.out_features, module.emb.out_features, found.fresh_classifier) == (4, 4, True)


@pytest.mark.parametrize(
    ("form", "classes", "message"),
    [
        (
            lambda y, e, f, training: (e, y),
            4,
            r"several of .* \[2, 4\]: \[0\] \[2, 4\], \[1\] \[2, 4\]; return .*'logits'$",
        ),
        (
            lambda y, e, f, training: {"a": f, "b": e, "c": y},
            3,
            r"none of .* \['a'\] \[2, 8\], \['b'\] \[2, 4\], \['c'\]",
        ),
        (lambda y, e, f, training: {"output": f, "head": y}, 4, r"several of .* \['output'\] \[2, 8\], \['head'\]"),
    ],
)
def test_parts_that_nobody_can_tell_apart_are_refused(form: Any, classes: int, message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        load_backbone(Parted(form, embedding=4), num_classes=classes, input_size=16)


def test_what_is_found_without_it_is_left_as_it_is() -> None:
    for form in (lambda y, e, f, training: (y, e), lambda y, e, f, training: (y, e) if training else y):
        module = Parted(form)
        assert load_backbone(module, num_classes=4, input_size=16).module is module
