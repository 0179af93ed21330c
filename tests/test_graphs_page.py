"""The example of docs/how-to/graphs.md runs as it is shown, and the page names what exists."""

import re
from pathlib import Path

import pytest

from eenas.backbones.models.own_models import GRAPH_MODELS
from eenas.networks.nodes.node_network import KINDS_OF_LAYERS

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "graphs.md").read_text(encoding="utf-8")


def test_the_example_runs_and_halves_the_messages(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(code, "graphs.md", "exec"), {"__name__": "graphs_page"})
    exact, frozen, depth = capsys.readouterr().out.splitlines()
    for line, most in ((exact, 90), (frozen, 60)):
        found = re.fullmatch(r"(exact|frozen): ([\d.]+)% of the test nodes right with (\d+)% of the messages", line)
        assert found is not None
        assert float(found[2]) > 60
        assert int(found[3]) <= most
    assert len(depth.split(": ")[1].split()) == 5


def test_the_page_names_every_backbone_and_kind_of_layer() -> None:
    assert [name for name in (*GRAPH_MODELS, *KINDS_OF_LAYERS) if f"`{name}`" not in PAGE] == []
