"""The names of backbones: each kind, and the nearest names for one that does not exist."""

import pytest

from eenas.backbones.models.names import backbone_names, read_name
from eenas.errors import BackboneError


@pytest.mark.parametrize(
    ("name", "kind", "bare"),
    [
        ("cifar_resnet56", "own", "cifar_resnet56"),
        ("branchynet_lenet", "own", "branchynet_lenet"),
        ("resnet50", "timm", "resnet50"),
        ("resnet50.a1_in1k", "timm", "resnet50.a1_in1k"),
        ("torchvision:googlenet", "torchvision", "googlenet"),
        ("some.package:factory", "code", "some.package:factory"),
        ("./models/net.py:make", "code", "./models/net.py:make"),
    ],
)
def test_kinds(name: str, kind: str, bare: str) -> None:
    assert read_name(name) == (kind, bare)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet5O", "nearest: 'resnet50'"),
        ("cifar_resnet21", "nearest: 'cifar_resnet"),
        ("torchvision:resnet19", "nearest: 'torchvision:resnet18'"),
        ("googlenet", "did you mean 'torchvision:googlenet'"),
        ("torchvision:mobilenetv2_100", "did you mean 'mobilenetv2_100'"),
        ("", "unknown backbone ''"),
        ("~~~~~", "none of the"),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(BackboneError, match=hint) as caught:
        read_name(name)
    assert "\n" not in str(caught.value)


def test_unknown_tags_are_told_from_unknown_models() -> None:
    with pytest.raises(BackboneError, match=r"no such weights for 'resnet50'.*'a1_in1k'"):
        read_name("resnet50.a1_in2k")


def test_names_are_unique() -> None:
    names = backbone_names()
    assert len(set(names)) == len(names)
    assert {"resnet50", "torchvision:densenet121", "cifar_resnet110", "branchynet_alexnet"} <= set(names)
