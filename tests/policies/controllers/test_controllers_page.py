"""The examples of docs/how-to/controllers.md run as they are, and the page names the kinds and settings that exist."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.indices import INDICES
from eenas.policies.controllers.registry import CONTROLLERS
from eenas.programs import runtime

TEXT = (Path(__file__).parents[3] / "docs" / "how-to" / "controllers.md").read_text(encoding="utf-8")
EXAMPLES = {
    code.splitlines()[0].removeprefix("# "): code for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
}


def test_the_example_of_a_model_runs(exported, tmp_path, monkeypatch):
    shutil.copytree(exported, tmp_path / "out")
    Image.new("RGB", (8, 8), (250, 20, 30)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "runtime", runtime)
    names = {}
    exec(EXAMPLES["adapt.py"], names)
    assert names["controller"].statistics[0].samples == 100
    assert (tmp_path / "state.json").is_file()


def test_the_example_of_a_replay_runs(capsys):
    exec(EXAMPLES["replay.py"], {})
    first, second = capsys.readouterr().out.splitlines()
    best, regrets = re.fullmatch(r"(\S+) \[(.*)\]", first).groups()
    assert 0 <= float(best) <= 1
    assert len(regrets.split(", ")) == 2
    assert re.fullmatch(r"\(\S+, \S+\) \(\d+, \d+, \d+\)", second)


def test_every_kind_and_index_is_named():
    assert set(EXAMPLES) == {"adapt.py", "replay.py"}
    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE) == ["adaee", "splitee", "drift_guard", "fixed"]
    assert set(CONTROLLERS) == {"adaee", "splitee", "drift_guard", "fixed"}
    assert [name for name in INDICES if f"`{name}`" not in TEXT] == []
    settings = {field.name for kind in map(CONTROLLERS.find, CONTROLLERS) for field in dataclasses.fields(kind)}
    hidden = settings - {name for name in settings if re.search(rf"\b{name}\b", TEXT)}
    assert hidden <= {"allowance", "alarm", "final_rule"}


@pytest.mark.parametrize(("said", "value"), [("`warm_up` (50)", AdaEE().warm_up), ("`most_contexts` (64)", 64)])
def test_defaults_are_those_of_the_code(said, value):
    assert said in TEXT
    assert f"({value})" in said
