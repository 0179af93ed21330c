"""The site builds without a warning and without a network, and its reference has every key, verb and public name."""

import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.main import get_command

import eenas
from eenas import errors
from eenas.cli.main import app
from eenas.manual.keys import keys
from eenas.records.tables import METADATA
from tests.test_public_names import STEPS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


class Loaded(HTMLParser):
    """What a page loads, and the identifiers in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        address = given.get("href") if tag == "link" else given.get("src")
        if address:
            self.addresses.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    pytest.importorskip("mkdocstrings", reason="the extra docs is not installed")
    pytest.importorskip("material", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_nothing_is_loaded_from_a_network(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    assert {
        address for page in pages for address in Loaded(page).addresses if re.match(r"(https?:)?//", address)
    } == set()
    for style in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?(?:https?:)?//", style.read_text(encoding="utf-8")) == []


def test_no_marker_is_left(site: Path) -> None:
    assert [page.name for page in site.rglob("*.html") if "<!-- generated" in page.read_text(encoding="utf-8")] == []


def test_every_key_has_an_entry(site: Path) -> None:
    wanted = {
        f"{each.file}.{each.key}" for each in keys() if not (each.file == "study" and each.key.startswith("space."))
    }
    assert wanted - Loaded(site / "reference" / "keys.html").ids == set()


def test_every_public_name_has_an_entry(site: Path) -> None:
    interface, parts = (Loaded(site / "reference" / f"{name}.html").ids for name in ("api", "parts"))
    assert {f"{home}.{name}" for name, home in eenas._HOMES.items()} - interface == set()
    assert {"eenas.programs.runtime"} <= interface
    homes = {
        f"eenas.{step}.{home}.{name}"
        for step in STEPS
        for name, home in importlib.import_module(f"eenas.{step}")._HOMES.items()
    }
    assert homes - interface - parts == set()


def test_every_verb_flag_error_and_table_has_an_entry(site: Path) -> None:
    commands = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    for name, verb in get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"eenas {name}" in commands
        flags = [flag for each in verb.params for flag in each.opts if flag.startswith("--")]
        assert [flag for flag in flags if flag not in commands and flag not in ("--help", "--debug")] == []
    known = {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.EenasError)
    }
    assert known - Loaded(site / "reference" / "errors.html").ids == set()
    files = (site / "reference" / "files.html").read_text(encoding="utf-8")
    assert [table.name for table in METADATA.sorted_tables if f"<code>{table.name}</code>" not in files] == []
