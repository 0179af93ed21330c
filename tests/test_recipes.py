"""The recipes of docs/recipes run and draw something; the notebook is its script; the index and the site name each."""

import ast
import importlib
import json
import runpy
import tokenize
from pathlib import Path

import pytest

from tests.recipe_pictures import NAMES, RECIPES, ROOT, is_blank, picture_of, run_recipe
from tests.reporting.browser import CHROMIUM, REASON

CELLS = runpy.run_path(str(ROOT / "docs" / "hooks" / "recipe_cells.py"))
MOST_BYTES = 100_000


def script(name: str) -> str:
    return (RECIPES / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_draws_its_picture(name: str, tmp_path: Path) -> None:
    page = run_recipe(name, tmp_path)
    assert "Plotly.newPlot" in page.read_text(encoding="utf-8")
    if CHROMIUM is None:
        pytest.skip(REASON)
    picture = tmp_path / f"{name}.png"
    picture_of(page, picture)
    assert not is_blank(picture)


def test_there_are_eight() -> None:
    assert len(NAMES) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_cells_that_import_public_names_only(name: str) -> None:
    code = compile(script(name), f"{name}.py", "exec", flags=ast.PyCF_ONLY_AST)
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eenas"):
            home = importlib.import_module(node.module or "")
            for each in node.names:
                assert not each.name.startswith("_")
                assert hasattr(home, each.name), f"{node.module}.{each.name}"
    cells = CELLS["cells_of"](script(name))
    assert cells[0].is_text
    assert cells[0].source.startswith("# ")
    assert f'Path("{name}.html")' in script(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_a_small_picture_a_page_and_a_place_in_the_index(name: str) -> None:
    picture = RECIPES / f"{name}.png"
    assert picture.stat().st_size < MOST_BYTES
    assert not is_blank(picture)
    index = (RECIPES / "index.md").read_text(encoding="utf-8")
    assert f"({name}.py)" in index
    assert f"({name}.png)" in index
    assert f": recipes/{name}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    page = CELLS["page_of"](name, script(name))
    assert f"({name}.png)" in page
    assert "# %%" not in page


def test_the_notebook_is_its_script() -> None:
    text = CELLS["NOTEBOOK"].read_text(encoding="utf-8")
    assert text == CELLS["notebook_text"](script("first_search")), "run python docs/hooks/recipe_cells.py"
    table = json.loads(text)
    assert (table["nbformat"], table["nbformat_minor"]) == (4, 5)
    assert {"kernelspec", "language_info"} <= set(table["metadata"])
    cells = [each for each in table["cells"] if each["cell_type"] == "code"]
    assert all(each["outputs"] == [] and each["execution_count"] is None for each in cells)
    assert "".join(cells[0]["source"]).startswith("%pip install")
    code = "\n".join("".join(each["source"]) for each in cells[1:])
    assert ast.dump(ast.parse(code)) == ast.dump(ast.parse(script("first_search")))
    assert len({each["id"] for each in table["cells"]}) == len(table["cells"])


def test_a_picture_without_a_figure_is_blank(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (900, 400), "white").save(tmp_path / "white.png")
    assert is_blank(tmp_path / "white.png")


def test_the_scripts_are_text() -> None:
    for name in NAMES:
        with tokenize.open(RECIPES / f"{name}.py") as file:
            assert file.encoding == "utf-8"
