"""docs/how-to/serving.md: its client runs, and it names all options and metrics."""

import inspect
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from eenas.cli.serve import serve
from eenas.deployment.serving.metrics import ServingMetrics

from .conftest import a_server

TEXT = (Path(__file__).parents[3] / "docs" / "how-to" / "serving.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def port(exported):
    with a_server({"out": exported}) as server:
        yield server.port


def test_the_client_of_the_page_runs(port, capsys):
    (code,) = re.findall(r"```python\n(# client\.py\n.*?)```", TEXT, re.DOTALL)
    exec(code.replace("localhost:8000", f"127.0.0.1:{port}"), {})
    classes, exits = capsys.readouterr().out.splitlines()
    assert len(json.loads(classes.removeprefix("classes "))) == 4
    assert set(json.loads(exits.removeprefix("exits "))) <= {0, 1, 2}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_request_without_a_library_is_answered(port):
    (command,) = re.findall(r"^curl .*$", TEXT, re.MULTILINE)
    command = command.replace("localhost:8000", f"127.0.0.1:{port}")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, check=True)
    assert [each["name"] for each in json.loads(done.stdout)["outputs"]] == [
        "classes",
        "exits",
        "logits",
        "confidences",
    ]


def test_all_options_and_metrics_are_named():
    declared = set()
    for name, parameter in inspect.signature(serve).parameters.items():
        option = parameter.annotation.__metadata__[0]
        words = (getattr(option, "default", None), *(getattr(option, "param_decls", None) or ()))
        given = [each for each in words if isinstance(each, str) and each.startswith("--")]
        if name != "models":
            declared |= set(given) or {f"--{name.replace('_', '-')}"}
    known = set(re.findall(r"`(--[a-z-]+)", TEXT))
    assert declared - known == set()
    own = {name for name in ServingMetrics()._registry._names_to_collectors if not name.endswith("_created")}
    families = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in own}
    shown = set(re.findall(r"`(eenas_\w+)`", TEXT))
    assert shown <= own
    assert families == {name.removesuffix("_total") for name in shown}
