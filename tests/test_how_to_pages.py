"""The pages for a first hour: their blocks run in their order in one folder, each or the page says why not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *("start/install.md", "start/first_search.md", "start/deployment.md"),
    *(
        f"how-to/{name}.md"
        for name in (
            *("folder", "arrays", "module", "weights", "limits", "board", "resume", "own_loop", "blur"),
            "published_branches",
            "shell_completion",
        )
    ),
]
BLOCK = re.compile(r"(?:<!-- not run: (?P<why>[^\n]+) -->\n)?```(?P<kind>\w*)\n(?P<code>.*?)```", re.DOTALL)
NAMED = re.compile(r"# (\w+\.(?:py|toml))\n")
SMALL = (
    *("training.samples=64", "prepare.training.samples=64", "bank.branches=2"),
    *("baselines.static=0", "baselines.published=[]", "latency.seconds=0.01", "full_training.epochs=1"),
    *("task.input_size=32",),
)
"""The settings with which a search of a page is brief enough for a test."""
SHIM = """#!{python}
import sys
from eenas.cli.main import main
words = sys.argv[1:]
given = set(words)
if words[:1] == ["search"]:
    words += [] if "--trials" in given else ["--trials", "2"]
    words += [] if "--space" in given or "--study" in given else ["--space", "small"]
    words += [word for setting in {small!r} for word in ("--set", setting)]
elif words[:1] == ["train"]:
    words += ["--set", "full_training.epochs=1", *([] if "--best" in given else ["--network", "backbone"])]
sys.argv[1:] = words
sys.exit(main())
"""


def photos(folder: Path) -> None:
    """Three classes of noise, each of another colour."""
    for number, name in enumerate(("cat", "dog", "owl")):
        (folder / name).mkdir(parents=True)
        for each in range(40):
            values = np.random.default_rng(1000 * number + each).integers(0, 120, (40, 50, 3), dtype=np.uint8)
            values[:, :, number] += 100
            Image.fromarray(values).save(folder / name / f"{each}.png")


@pytest.mark.parametrize("page", PAGES)
def test_a_block_is_run_or_the_page_says_why_not(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) == text.count("```") // 2
    assert {block["kind"] for block in blocks} <= {"python", "sh", "toml", "text"}
    assert all(block["kind"] != "toml" or NAMED.match(block["code"]) for block in blocks)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(page: str, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "eenas").write_text(SHIM.format(python=sys.executable, small=SMALL), encoding="utf-8")
    (programs / "eenas").chmod(0o755)
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    (programs / "python").chmod(0o755)
    here = tmp_path / "here"
    photos(here / "photos")
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    found = {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    for block in BLOCK.finditer((DOCS / page).read_text(encoding="utf-8")):
        kind, code = block["kind"], block["code"]
        if block["why"] or kind == "text":
            continue
        if kind == "toml" or (kind == "python" and NAMED.match(code)):
            (here / NAMED.match(code)[1]).write_text(code, encoding="utf-8")  # type: ignore[index]
            continue
        command = ["bash", "-euc", code] if kind == "sh" else [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=here, env=found, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"{code}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
