"""README and the pages of docs: code imports existing names, commands have their flags, paths and links exist."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from typer.main import get_command

from eenas import shipped
from eenas.cli.main import app
from eenas.handle.lists import list_backbones
from eenas.manual.keys import find_keys

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
"""The text of the README and of each page of docs, by path."""
NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
TEXT = "\n".join(PAGES.values())
CODE = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL))
COMMANDS = re.findall(r"`(eenas [^`]*)`", TEXT.replace(SHELL, "")) + re.findall(
    r"^.*?(eenas .*)$", SHELL, flags=re.MULTILINE
)


def test_the_code_imports_what_there_is():
    for code in CODE:
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("eenas"):
                module = importlib.import_module(str(node.module))
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "eenas":
                assert hasattr(importlib.import_module("eenas"), node.attr), node.attr


@pytest.mark.parametrize("command", sorted({line.partition("  #")[0].strip() for line in COMMANDS}))
def test_commands_have_their_flags(command):
    for part in re.split(r"&&|\|", command):
        words = part.split()
        if not words or words.pop(0) != "eenas":
            continue
        found = get_command(app)
        while words and words[0] in getattr(found, "commands", {}):
            found = found.commands[words.pop(0)]
        known = {name for parameter in found.params for name in parameter.opts} | {"--help", "--debug", "--version"}
        flags = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert flags <= known, flags - known


def test_names_and_keys_in_commands_are_known():
    def given(flag):
        values = re.findall(rf"--{flag} '?([^\s'`=]+)", TEXT)
        return {value for value in values if not re.search(r"[./:]|NAME|FILE", value)}

    assert given("space") - {*shipped.names("search_spaces")} == set()
    assert given("study") - {*shipped.names("studies")} == set()
    assert given("backbone") - {*list_backbones()} == set()
    paths = set(re.findall(r"--set '?([a-z_]+(?:\.[a-z_0-9]+)+)=", TEXT)) - {"table.key"}
    assert len(paths) > 20
    assert [path for path in sorted(paths) if not find_keys(path)] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        if target.startswith("https://"):
            continue
        file, _, heading = target.partition("#")
        named = (ROOT / page).parent / file if file else ROOT / page
        assert named.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", named.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}, target


@pytest.mark.parametrize("page", [page for page in PAGES if page != "README.md"])
def test_a_page_is_in_the_navigation_of_the_site(page):
    assert re.findall(rf"^ +- .*: {re.escape(page.removeprefix('docs/'))}$", NAVIGATION, flags=re.MULTILINE)


def test_paths_exist():
    named = set(re.findall(r"\b(?:tests|docs|studies|search_spaces|dashboards|eenas)/[\w./]+\.\w+", TEXT))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_pages_that_messages_of_the_program_name_exist():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "eenas").rglob("*.py"))
    named = set(re.findall(r"\bdocs/[\w./]+\.md\b", source))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_directory_of_the_package_and_every_shipped_space_is_named():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (layout,) = re.findall(r"## Layout\n(.*?)\n## ", text, flags=re.DOTALL)
    steps = {path.name for path in (ROOT / "eenas").iterdir() if (path / "__init__.py").exists()}
    assert [step for step in sorted(steps) if f"| `{step}/` |" not in layout] == []
    spaces = (ROOT / "search_spaces" / "README.md").read_text(encoding="utf-8")
    assert [name for name in shipped.names("search_spaces") if f"`{name}.toml`" not in spaces] == []


def test_the_readme_is_short_and_names_every_page_for_users():
    assert len(README.splitlines()) <= 150
    assert len(README) <= 9000
    pages = [page for page in PAGES if page.startswith(("docs/start/", "docs/how-to/"))]
    assert [page for page in pages if f"({page})" not in README] == []


def test_the_readme_has_the_two_commands():
    assert "\npip install . && eenas search --backbone resnet50\n" in README
    assert "\npip install '.[test]' && pytest\n" in README
