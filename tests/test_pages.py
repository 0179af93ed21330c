"""The runnable examples of the pages of docs that are whole files, run as a reader would."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {
    "how-to/audio.md": "fit: pad classes: ['rising', ",
    "how-to/edge_client.md": "answered by ['cloud', 'edge']\nanswered by ['edge', 'edge: link lost']",
    "how-to/guarantees.md": "With 95 % probability, the answer is wrong where the final exit is right",
    "how-to/expert_branches.md": "experts: ['contrast', 'contrast', 'contrast']",
    "how-to/explanations.md": "final overlap 1.00, deletion 0.",
    "how-to/text_branches.md": "final ['do ",
    "how-to/distortions.md": "gaussian_noise:5: 0.",
    "how-to/edge_cloud.md": (
        "31.0 ms, 0 bytes\n5.85 Mbit/s: split 'layer2', 28.4 ms, 2352 bytes\n1000 Mbit/s: split '',"
    ),
}
"""The pages with a whole example, and a text that it prints."""


@pytest.mark.parametrize("page", PAGES)
def test_the_example_of_a_page_runs(page, tmp_path):
    (code,) = re.findall(r"```python\n(# \w+\.py\n.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / code.splitlines()[0].removeprefix("# ")
    file.write_text(code, encoding="utf-8")
    command = [sys.executable, file.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=True)
    assert PAGES[page] in done.stdout
