"""The parts of the reference that are read from the program: commands, keys, errors, tables and public names."""

import ast
import html
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mkdocs.structure.pages import Page
from typer.main import get_command

import eenas
from eenas import errors
from eenas.cli.main import app
from eenas.manual.keys import KeyText, keys
from eenas.records.tables import METADATA

PACKAGE = Path(eenas.__file__).parent
MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
TITLES = {"study": "Study files", "space": "Search spaces", "dashboard": "Dashboards"}
STEPS = [
    name
    for name in sorted(each.parent.name for each in PACKAGE.glob("*/__init__.py"))
    if hasattr(importlib.import_module(f"eenas.{name}"), "_HOMES")
]
"""The steps with public names."""


def on_page_markdown(markdown: str, page: Page, **others: object) -> str:
    """Replace each marker by what it names."""
    return MARKER.sub(lambda marker: GENERATED[marker[1]](), markdown)


def commands() -> str:
    """Return a section for each verb: usage, help, arguments and flags."""
    parts = []
    for name, command in sorted(_verbs(get_command(app), "eenas")):
        text, _, place = inspect.cleandoc(command.help or "").partition("\n\nPage: ")
        words, _, examples = text.partition("\b\nExamples:\n")
        parts.append(f"## {name}\n\n{words.strip()}\n\n```sh\n{inspect.cleandoc(examples)}\n```\n")
        parts.append(f"Page: {_link(place)}.\n")
        rows = [_flag(each) for each in command.params if each.name not in ("help", "debug")]
        if rows:
            parts.append(_table(("argument or flag", "default", "meaning"), rows))
    return "\n".join(parts)


def _verbs(group: object, prefix: str) -> Iterator[tuple[str, object]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _link(place: str) -> str:
    """Return a link from the folder of the reference to a page, which the other hook makes right in the site."""
    return f"[{place.partition('#')[0].removeprefix('docs/')}](../../{place})"


def _flag(parameter: object) -> tuple[str, str, str]:
    said = parameter.metavar or ""
    is_flag = getattr(parameter, "is_flag", False)
    name = ", ".join(parameter.opts) if parameter.param_type_name == "option" else said or parameter.name.upper()
    if parameter.param_type_name == "option" and not is_flag:
        name = f"{name} {said or parameter.type.name.upper()}"
    default = parameter.default
    shown = "" if is_flag or default is None or callable(default) or default == () else str(default)
    if getattr(parameter, "required", False):
        shown = "must be given"
    return f"`{name}`", _code(shown) if shown else "", _text(getattr(parameter, "help", "") or "")


def keys_text() -> str:
    """Return a section for each kind of file, and in it a table for each table of the file."""
    parts = []
    for file, title in TITLES.items():
        parts.append(f"## {title}\n")
        seen: dict[tuple[tuple[str, str, str], ...], str] = {}
        tables: dict[tuple[str, str], list[KeyText]] = {}
        for each in keys():
            if each.file == file and not (file == "study" and each.key.startswith("space.")):
                tables.setdefault((each.table, each.note), []).append(each)
        for (table, note), rows in tables.items():
            heading = f"`[{table}]`" if table else "Top level"
            parts.append(f"### {heading}{f' with `{note}`' if '=' in note else f' of {note}' if note else ''}\n")
            content = tuple((each.key.rpartition(".")[2], each.type, each.meaning) for each in rows)
            if content in seen and table:
                marks = "".join(f'<span id="{each.file}.{each.key}"></span>' for each in rows)
                parts.append(f"{marks}As `[{seen[content]}]`.\n")
                _differing(parts, rows, tables[(seen[content], note)])
                continue
            seen[content] = table
            lines = [(_key(each), _text(each.type), _code(each.default), _text(each.meaning)) for each in rows]
            parts.append(_table(("key", "type", "default", "meaning"), lines))
    return "\n".join(parts)


def _differing(parts: list[str], rows: list[KeyText], others: list[KeyText]) -> None:
    """Add the defaults of a repeated table that differ from those of the first."""
    for row, other in zip(rows, others, strict=True):
        if row.default != other.default:
            parts.append(f"Here `{row.key.rpartition('.')[2]}` is {_code(row.default)} by default.\n")


def _key(each: KeyText) -> str:
    return f'<code id="{each.file}.{each.key}">{html.escape(each.key.rpartition(".")[2])}</code>'


def error_table() -> str:
    """Return a table of the exceptions: what they mean, and what raises them."""
    raised = _raised()
    rows = []
    for name, cls in vars(errors).items():
        if not inspect.isclass(cls) or not issubclass(cls, errors.EenasError):
            continue
        parent = cls.__bases__[0].__name__
        public = sorted(
            each for each in eenas.__all__ if name in (inspect.getdoc(getattr(eenas, each)) or "") and each != name
        )
        raisers = [f"`eenas.{each}`" for each in dict.fromkeys([*public, *raised.get(name, ())])]
        rows.append(
            (f'<code id="{name}">{name}</code>', f"`{parent}`", _text(inspect.getdoc(cls) or ""), ", ".join(raisers))
        )
    return _table(("class", "is a", "meaning", "raised by and in"), rows)


def _raised() -> dict[str, list[str]]:
    """Return the modules and steps of eenas whose code raises each exception, found by reading it."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            call = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                found.setdefault(call.func.id, set()).add(parts[0].removesuffix(".py"))
    return {name: sorted(steps) for name, steps in found.items()}


def database() -> str:
    """Return a table of the tables in a database."""
    rows = [
        (
            f"`{table.name}`",
            ", ".join(f"**`{each.name}`**" if each.primary_key else f"`{each.name}`" for each in table.columns),
            _text(table.info["meaning"]),
        )
        for table in METADATA.sorted_tables
    ]
    return _table(("table", "columns (the primary key in bold)", "rows"), rows)


def api() -> str:
    """Return a section for each name that `import eenas` offers."""
    parts = [_documented(name, f"{home}.{name}", "eenas") for name, home in sorted(eenas._HOMES.items())]
    return "\n".join([*parts, "## eenas.runtime\n\n::: eenas.programs.runtime\n"])


def parts() -> str:
    """Return a section for each step, with its public names. Names of the interface are linked only."""
    found = []
    written = {f"{home}.{name}" for name, home in eenas._HOMES.items()}
    for step in STEPS:
        package = importlib.import_module(f"eenas.{step}")
        found.append(f"## eenas.{step}\n\n{inspect.getdoc(package)}\n")
        for name, home in sorted(package._HOMES.items()):
            place = f"eenas.{step}.{home}.{name}"
            if place in written:
                found.append(f"### eenas.{step}.{name}\n\nThe same as [`{place}`][{place}].\n")
            else:
                found.append(_documented(name, place, f"eenas.{step}", level=3))
                written.add(place)
    return "\n".join(found)


def _documented(name: str, place: str, package: str, level: int = 2) -> str:
    """Return the block that mkdocstrings replaces by the documentation of an object."""
    options = f"heading_level: {level}\n      heading: {package}.{name}\n      toc_label: {name}"
    return f"::: {place}\n    options:\n      {options}\n"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _text(text: str) -> str:
    """Return plain text with its backticks as Markdown in a cell."""
    pieces = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        piece.replace("|", "\\|") if piece.startswith("`") else re.sub(r"([|*_<\[\]])", r"\\\1", piece)
        for piece in pieces
    )


def _code(text: str) -> str:
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if text else ""


GENERATED: dict[str, Callable[[], str]] = {
    "commands": commands,
    "keys": keys_text,
    "errors": error_table,
    "database": database,
    "api": api,
    "parts": parts,
}
