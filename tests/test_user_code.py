"""A user's file imports what lies beside it, in every style, and two folders do not mix."""

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from eenas.errors import PluginError
from eenas.user_code import load_object, replaced_builtin


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(text)
    return folder


def made(folder: Path, name: str = "make") -> Any:
    return load_object("./net.py:" + name, trust_code=True, relative_to=folder)()


STYLES = {
    "from": "from blocks import value\ndef make(): return value",
    "import": "import blocks\ndef make(): return blocks.value",
    "relative": "from .blocks import value\ndef make(): return value",
    "relative module": "from . import blocks\ndef make(): return blocks.value",
    "in a function": "def make():\n    from blocks import value\n    return value",
    "package": "from models.parts import value\ndef make(): return value",
    "package as": "import models.parts as parts\ndef make(): return parts.value",
    "package whole": "import models.parts\ndef make(): return models.parts.value",
    "module of a package": "from models import parts\ndef make(): return parts.value",
    "folder": "from plain.parts import value\ndef make(): return value",
    "through a package": "from models import through\ndef make(): return through",
    "star": "from blocks import *\ndef make(): return value",
}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_import(tmp_path, style):
    path, argv = list(sys.path), list(sys.argv)
    for number in (1, 2):
        folder = write(
            tmp_path / str(number),
            net=STYLES[style],
            blocks=f"value = {number}",
            models__in__init__="from .parts import value\nfrom blocks import value as through",
            models__in="",
        )
        write(folder / "models", parts=f"value = {number}", __init__="from blocks import value as through")
        write(folder / "plain", parts=f"value = {number}")
    assert [made(tmp_path / "1"), made(tmp_path / "2"), made(tmp_path / "1")] == [1, 2, 1]
    assert (sys.path, sys.argv) == (path, argv)
    assert not {"blocks", "models", "plain", "net"} & set(sys.modules)


def test_files_share_one_module_and_its_classes(tmp_path):
    write(
        tmp_path,
        net="from blocks import Block\ndef make(): return Block",
        data="import blocks\ndef task(): return blocks.Block()",
        blocks="class Block: pass",
    )
    block = made(tmp_path)
    found = load_object("./data.py:task", trust_code=True, relative_to=tmp_path)()
    assert isinstance(found, block)
    assert isinstance(pickle.loads(pickle.dumps(found)), block)


def test_installed_modules_keep_their_names(tmp_path):
    write(
        tmp_path,
        net="import json, eenas, os.path\nfrom eenas.errors import EenasError as E\ndef make(): return json, eenas, E",
        eenas="raise RuntimeError('another one')",
    )
    import json

    import eenas
    from eenas.errors import EenasError

    assert made(tmp_path) == (json, eenas, EenasError)
    write(tmp_path / "other", net="import json\ndef make(): return json.mine", json="mine = 3")
    assert made(tmp_path / "other") == 3
    assert not hasattr(json, "mine")
    write(tmp_path / "same", torch="import torch\ndef make(): return torch.nn", net="")
    import torch

    assert load_object("./torch.py:make", trust_code=True, relative_to=tmp_path / "same")() is torch.nn


def test_what_python_finds_there_too_is_one_module(tmp_path, monkeypatch):
    write(tmp_path, net="import blocks_of_mine\ndef make(): return blocks_of_mine", blocks_of_mine="x = 1")
    monkeypatch.syspath_prepend(tmp_path)
    found = made(tmp_path)
    assert found is sys.modules.pop("blocks_of_mine")


@pytest.mark.parametrize("name", ["my.net.py", "my-net.py", "Netz ü.py"])
def test_files_whose_names_are_no_names_in_python(tmp_path, name):
    write(tmp_path, blocks="value = 4")
    (tmp_path / name).write_text("from blocks import value\ndef make(): return value")
    assert load_object(f"./{name}:make", trust_code=True, relative_to=tmp_path)() == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import blocks", "importing .* failed: RuntimeError: boom$"),
        ("from blockz import x", "ModuleNotFoundError: No module named 'blockz'"),
        ("from ..above import x", "ImportError: attempted relative import"),
        ("import sys; sys.exit(3)", r"ended the program \(status 3\); move .* under `if __name__"),
        ("import argparse; argparse.ArgumentParser().parse_args(['--x'])", r"ended the program \(status 2\)"),
    ],
)
def test_what_fails_is_one_line_and_can_be_mended(tmp_path, source, message):
    write(tmp_path, net=source, blocks="raise RuntimeError('boom\\nand more')")
    with pytest.raises(PluginError, match=message) as caught:
        made(tmp_path)
    assert "\n" not in str(caught.value)
    write(tmp_path, net="from blocks import x\ndef make(): return x", blocks="x = 'mended'")
    assert made(tmp_path) == "mended"


def test_a_builtin_that_is_replaced_is_replaced_in_files_too(tmp_path):
    count = "def make(): return sum((1, 1))"
    write(tmp_path, net=count + "\ndef late():\n    import beside\n    return beside.make()", beside=count)
    assert made(tmp_path) == 2
    with replaced_builtin("sum", lambda values: "replaced"):
        assert (made(tmp_path), made(tmp_path, "late"), sum([1])) == ("replaced", "replaced", "replaced")
    assert (made(tmp_path), made(tmp_path, "late"), sum([1])) == (2, 2, 1)
    with pytest.raises(ZeroDivisionError), replaced_builtin("sum", None):
        _ = 1 / 0
    assert made(tmp_path) == 2
