"""The example of docs/how-to/time_series.md runs as it is shown, and the page names every backbone over time."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from eenas.backbones.models.own_models import OWN_MODELS

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "time_series.md").read_text(encoding="utf-8")


def test_the_example_runs_and_is_early() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    *shares, last = done.stdout.splitlines()
    assert len(shares) == 8
    assert shares[-1].startswith("1.000 of the series: 0.9")
    found = re.fullmatch(r"policy: accuracy (0\.\d+) after (0\.\d+) of the series", last)
    assert found is not None, last
    assert float(found[1]) > 0.8
    assert float(found[2]) < 0.4


def test_the_page_names_every_backbone() -> None:
    names = [
        name for name, model in OWN_MODELS.items() if model.inputs.kind == "series" and not name.endswith("_small")
    ]
    assert len(names) > 5
    assert [name for name in names if f"`{name}`" not in PAGE] == []
