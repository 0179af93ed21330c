"""The page From papers to code: every module, setting and test that it names exists, and modules cite its authors."""

import ast
import importlib
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from eenas import shipped
from eenas.designs.space import Space
from eenas.manual.keys import keys
from eenas.policies.controllers.controller_text import controller_from_text

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "papers.md"
SPACE_KEYS = {each.key for each in keys() if each.file == "space"}
STUDY_KEYS = {each.key for each in keys() if each.file == "study"}
TABLE = "| paper | method | module | setting | tests |"


class Row(NamedTuple):
    """A row of a table of the page."""

    paper: str
    modules: list[str]
    settings: list[str]
    tests: list[str]


def rows() -> list[Row]:
    """Return the rows of all tables."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and line != TABLE:
            paper, _, modules, settings, tests = (cell.strip() for cell in line.strip("|").split("|"))
            linked = [re.findall(r"\[`([^`]+)`\]\(\.\./\1\)", cell) for cell in (modules, tests)]
            found.append(Row(paper, linked[0], re.findall(r"`([^`]+)`", settings), linked[1]))
    return found


ROWS = rows()


def test_every_chapter_has_rows() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("\n## ") == text.count(TABLE)
    assert len(ROWS) > 80
    assert [row for row in ROWS if not (row.modules and row.settings and row.tests)] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.paper[:40]} {row.modules[0]}")
def test_a_row_names_what_there_is(row: Row) -> None:
    assert [file for file in (*row.modules, *row.tests) if not (ROOT / file).is_file()] == []
    lines = [each for each in row.settings if re.match(r"[\w.]+ = ", each)]
    in_space = [line for line in lines if line.partition(" = ")[0] in SPACE_KEYS]
    if in_space:
        Space.from_table(tomllib.loads("\n".join(in_space)))
    for line in lines:
        key = line.partition(" = ")[0]
        assert line in in_space or re.sub(r"^tiers\.\w+", "tiers.NAME", key) in STUDY_KEYS, key
    for each in row.settings:
        if each.startswith("eenas."):
            name, bracket, arguments = each.partition("(")
            module, _, attribute = name.rpartition(".")
            value = getattr(importlib.import_module(module), attribute)
            if bracket:
                value(**{key: ast.literal_eval(given) for key, given in re.findall(r"(\w+)=([^,)]+)", arguments)})
        elif each not in lines:
            assert each.startswith("eenas ")
            assert set(re.findall(r"--space (\S+)", each)) <= set(shipped.names("search_spaces")), each
            assert set(re.findall(r"--study (\S+)", each)) <= set(shipped.names("studies")), each
            for text in re.findall(r"--controller (\S+)", each):
                controller_from_text(text)


@pytest.mark.parametrize("row", [row for row in ROWS if re.search(r"\d{4}", row.paper)], ids=lambda row: row.paper[:50])
def test_the_modules_cite_the_authors(row: Row) -> None:
    text = "".join((ROOT / file).read_text(encoding="utf-8") for file in row.modules)
    for paper in row.paper.split(";"):
        for author in re.findall(r"^\s*([^\W\d]+(?:-[^\W\d]+)*)", paper):
            assert author in text, author
