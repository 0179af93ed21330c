"""The example of docs/how-to/early_classification.md runs as it is shown."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "early_classification.md").read_text(encoding="utf-8")


def test_the_example_runs_and_all_are_decided_in_the_end(capsys) -> None:
    pytest.importorskip("aeon")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(code, "early_classification.md", "exec"), {})
    first, eighth, whole = capsys.readouterr().out.splitlines()
    found = re.fullmatch(r"harmonic mean (0\.\d+): accuracy (0\.\d+) after (0\.\d+) of the series", first)
    assert found is not None, first
    assert float(found[1]) > 0.7
    early, total = map(int, re.findall(r"\d+", eighth)[1:])
    assert 0 < early < total == 100
    assert re.findall(r"\d+", whole)[1:] == [str(total - early)] * 2
