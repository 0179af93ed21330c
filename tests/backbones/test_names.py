"""The names of backbones: each kind, and the nearest names for one that does not exist."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eenas.backbones.models.names import backbone_names, read_name
from eenas.cli.main import app
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


def test_an_unknown_name_gets_the_nearest_ones_and_the_command_that_lists_more(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name, hints in {
        "Mobilenet": ["nearest: '", '`eenas list backbones "*mobilenet*"` prints '],
        "resnet5O": ["nearest: 'resnet50'", "`eenas list backbones` prints all"],
        "net.py": ["name the function in the file, too, such as 'net.py:make'"],
        str(tmp_path): [f"the folder is 'hf:{tmp_path}'"],
        'x"; rm *': ["`eenas list backbones` prints all"],
        "\x1b[31m\n\0": ["`eenas list backbones` prints all"],
    }.items():
        with pytest.raises(BackboneError) as caught:
            read_name(name)
        text = str(caught.value)
        assert all(hint in text for hint in hints), text
        assert len(text) < 300 + 2 * len(name)
        assert text.isprintable()


def test_the_listing_that_the_error_names_has_as_many_names() -> None:
    with pytest.raises(BackboneError) as caught:
        read_name("mobilenet")
    told = re.search(r'"(\*mobilenet\*)"` prints (\d+)', str(caught.value))
    assert told is not None
    listed = CliRunner().invoke(app, ["list", "backbones", told[1]])
    assert len(listed.stdout.split()) == int(told[2]) > 20


def test_unknown_tags_are_told_from_unknown_models() -> None:
    with pytest.raises(BackboneError, match=r"no such weights for 'resnet50'.*'a1_in1k'"):
        read_name("resnet50.a1_in2k")


def test_names_are_unique() -> None:
    names = backbone_names()
    assert len(set(names)) == len(names)
    assert {"resnet50", "torchvision:densenet121", "cifar_resnet110", "branchynet_alexnet"} <= set(names)
