"""Recipes as scripts in cells, and the pages and the notebook that are made of them.

    python docs/hooks/recipe_cells.py    # writes docs/recipes/first_search.ipynb anew

A cell starts with `# %%`, a cell of text with `# %% [markdown]`, whose lines are comments.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).parents[1] / "recipes"
NOTEBOOK = RECIPES / "first_search.ipynb"
INSTALL = '%pip install --quiet "eenas[onnx]"  # or the path of a wheel that you built'
_CELL = "# %%"


@dataclass(frozen=True)
class Cell:
    """A cell of text (Markdown without comment marks) or of code."""

    is_text: bool
    source: str


def cells_of(script: str) -> list[Cell]:
    """Return the cells of a script."""
    found = []
    for part in f"\n{script}".split(f"\n{_CELL}")[1:]:
        head, _, body = part.partition("\n")
        is_text = head.strip() == "[markdown]"
        if is_text:
            body = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines())
        found.append(Cell(is_text, body.strip("\n")))
    return found


def page_of(name: str, script: str) -> str:
    """Return the page of a recipe: its text, its code and its picture."""
    parts = [each.source if each.is_text else f"```python\n{each.source}\n```" for each in cells_of(script)]
    made = f'![what the recipe draws]({name}.png)\n\nThe whole script: <a href="{name}.py" download>{name}.py</a>.'
    return "\n\n".join([*parts, made]) + "\n"


def notebook_of(script: str) -> dict[str, Any]:
    """Return a notebook of a script in nbformat 4.5, without outputs, that first installs eenas."""
    cells = cells_of(script)
    cells.insert(1, Cell(False, INSTALL))
    table = []
    for number, each in enumerate(cells):
        cell: dict[str, Any] = {"id": f"cell-{number}", "metadata": {}, "source": each.source.splitlines(keepends=True)}
        if each.is_text:
            table.append({"cell_type": "markdown", **cell})
        else:
            table.append({"cell_type": "code", "execution_count": None, "outputs": [], **cell})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"colab": {"provenance": []}, "kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": table, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def notebook_text(script: str) -> str:
    """Return the notebook as the text of its file."""
    return json.dumps(notebook_of(script), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook_text(NOTEBOOK.with_suffix(".py").read_text(encoding="utf-8")), encoding="utf-8")
