"""Every TOML file that comes with eenas: found by its name, read without errors, listed in its folder's README."""

import tomllib
from pathlib import Path
from typing import get_args

import pytest

from eenas import shipped
from eenas.backbones.load import BackboneSpec
from eenas.designs.keys import SECTIONS
from eenas.designs.space import load_space
from eenas.errors import SpecError
from eenas.reporting.report.page import FIGURES, load_page
from eenas.reporting.report.report_page import load_report
from eenas.reporting.report.report_panels import PANELS
from eenas.shipped import Kind
from eenas.specs import from_table, to_table
from eenas.study.settings.study_spec import load_settings

ROOT = Path(__file__).parents[1]
KINDS: tuple[Kind, ...] = get_args(Kind)
FILES = [(kind, file) for kind in KINDS for file in sorted((ROOT / kind).glob("*.toml"))]


def each_file() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("kind", "file"), FILES, ids=[f"{kind}/{file.name}" for kind, file in FILES])


@each_file()
def test_a_file_is_found_by_its_name_as_it_is_in_the_checkout(kind: Kind, file: Path) -> None:
    found = shipped.find(kind, file.stem)
    assert found.read_bytes() == file.read_bytes()
    assert tomllib.loads(found.read_text(encoding="utf-8"))


def test_a_folder_in_place_of_a_file_is_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a folder, not a file; give a "):
        shipped.find("studies", str(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_shipped_that_is_not_in_the_checkout(kind: Kind) -> None:
    assert shipped.names(kind) == tuple(sorted(file.stem for kind_, file in FILES if kind_ == kind))
    assert shipped.names(kind), "a folder without a file"


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_holds_toml_a_readme_and_plug_ins_only(kind: Kind) -> None:
    files = [file for file in (ROOT / kind).iterdir() if file.name != "__pycache__"]
    assert [file.name for file in files if file.suffix not in (".toml", ".py") and file.name != "README.md"] == []
    assert (ROOT / kind / "README.md").is_file()


@each_file()
def test_the_readme_of_the_folder_names_the_file(kind: Kind, file: Path) -> None:
    assert f"`{file.name}`" in (ROOT / kind / "README.md").read_text(encoding="utf-8")


def test_the_readme_of_the_search_spaces_names_every_key_and_value() -> None:
    text = (ROOT / "search_spaces" / "README.md").read_text(encoding="utf-8").replace('"`', "`").replace('`"', "`")
    for section, keys in SECTIONS.items():
        for key, known in keys.items():
            assert f"`{section}.{key}`" in text
            assert [value for value in known.choices if f"`{value}`" not in text] == []


@pytest.mark.parametrize("name", shipped.names("search_spaces"))
def test_every_search_space_loads(name: str) -> None:
    space = load_space(name)
    assert space.parameters()
    assert space.digest == load_space(shipped.find("search_spaces", name)).digest


@pytest.mark.parametrize("name", shipped.names("studies"))
def test_every_study_loads_and_reads_back_as_it_was_written(name: str) -> None:
    table = tomllib.loads(shipped.find("studies", name).read_text(encoding="utf-8"))
    backbone = None if "name" in table.get("backbone", {}) else "resnet50"
    settings, folder = load_settings(name, backbone=backbone)
    assert folder == shipped.folder("studies")
    assert from_table(type(settings), to_table(settings)) == settings
    assert from_table(BackboneSpec, to_table(settings.backbone)) == settings.backbone


def test_every_page_loads() -> None:
    assert shipped.names("dashboards") == ("live", "report")
    assert load_page("live").figures
    assert load_report("report").panels


def test_the_readme_of_the_dashboards_names_every_figure_and_panel() -> None:
    text = (ROOT / "dashboards" / "README.md").read_text(encoding="utf-8")
    assert [name for name in (*FIGURES, *PANELS) if f"`{name}`" not in text] == []
