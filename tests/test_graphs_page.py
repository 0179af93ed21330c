"""The example of docs/how-to/graphs.md runs as it is shown, and the page names what exists."""

import re
from pathlib import Path

import pytest

from eenas.backbones.models.own_models import GRAPH_MODELS
from eenas.networks.nodes.node_network import KINDS_OF_LAYERS

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "graphs.md").read_text(encoding="utf-8")


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder, in which the examples write."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_run_as_shown(capsys: pytest.CaptureFixture[str], in_folder: Path) -> None:
    first, second = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names = {"__name__": "graphs_page"}
    exec(compile(first, "graphs.md", "exec"), names)
    exact, frozen, depth = capsys.readouterr().out.splitlines()
    for line in (exact, frozen):
        found = re.fullmatch(r"(exact|frozen): ([\d.]+)% of the test nodes right with (\d+)% of the messages", line)
        assert found is not None
        assert float(found[2]) > 60
        assert int(found[3]) <= 50
    assert len(depth.split(": ")[1].split()) == 5
    exec(compile(second, "graphs.md", "exec"), names)
    chosen = re.fullmatch(r"chosen: ([\d.]+)% of the test nodes right with (\d+) messages\n", capsys.readouterr().out)
    assert chosen is not None
    assert float(chosen[1]) > 60
    assert sorted(file.name for file in in_folder.iterdir()) == ["nodes.json", "nodes.pt"]


def test_the_page_names_every_backbone_and_kind_of_layer() -> None:
    assert [name for name in (*GRAPH_MODELS, *KINDS_OF_LAYERS) if f"`{name}`" not in PAGE] == []
