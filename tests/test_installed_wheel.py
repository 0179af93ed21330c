"""The wheel, built and installed into an empty folder: everything travels, and it works from anywhere."""

import json
import os
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

import eenas

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "timm", "optuna", "sqlalchemy", "plotly", "numpy")


def run(*command: str, cwd: Path, path: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(path or "")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def target(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the wheel is installed, without its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    options = ("--no-deps", "--no-index", "--quiet", "--target", str(folder))
    run(sys.executable, "-m", "pip", "install", *options, str(wheel), cwd=folder)
    return folder


@pytest.fixture(scope="module")
def distribution(target: Path) -> Distribution:
    (found,) = distributions(name="eenas", path=[str(target)])
    return found


def test_the_wheel_holds_the_package_and_the_shipped_files_and_nothing_else(wheel: Path) -> None:
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    kinds = ("*.py", "*.html", "*.css", "*.js", "*.proto", "*.binpb", "py.typed")
    package = {path.relative_to(ROOT) for kind in kinds for path in (ROOT / "eenas").rglob(kind)}
    shipped = {
        Path("eenas/_shipped") / path.relative_to(ROOT)
        for kind in ("search_spaces", "studies", "dashboards")
        for path in (ROOT / kind).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == {path.as_posix() for path in package | shipped}


def test_version_licence_and_readme_travel(distribution: Distribution) -> None:
    assert distribution.version == eenas.__version__
    assert distribution.metadata["License-Expression"] == "Apache-2.0"
    licence = next(file for file in distribution.files or [] if file.name == "LICENSE")
    assert Path(str(licence.locate())).read_text(encoding="utf-8") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.strip() in str(distribution.metadata.json["description"])


def test_shipped_files_are_found_from_another_folder(target: Path, tmp_path: Path) -> None:
    code = (
        "import json, eenas; from eenas import shipped; kinds = ('search_spaces', 'studies', 'dashboards'); "
        "files = [str(shipped.find(kind, name)) for kind in kinds for name in shipped.names(kind)]; "
        "print(json.dumps([eenas.__file__, files]))"
    )
    home, files = json.loads(run(sys.executable, "-c", code, cwd=tmp_path, path=target))
    assert Path(home).is_relative_to(target)
    assert {Path(file).relative_to(target / "eenas" / "_shipped").as_posix() for file in files} == {
        path.relative_to(ROOT).as_posix()
        for kind in ("search_spaces", "studies", "dashboards")
        for path in (ROOT / kind).glob("*.toml")
    }


def test_the_console_script_is_there_and_points_to_a_function(
    distribution: Distribution, target: Path, tmp_path: Path
) -> None:
    (entry,) = distribution.entry_points.select(group="console_scripts")
    assert (entry.name, entry.value) == ("eenas", "eenas.__main__:main")
    assert any((target / "bin").glob("eenas*")) or any((target / "Scripts").glob("eenas*"))
    code = f"from {entry.module} import {entry.attr}; assert callable({entry.attr})"
    run(sys.executable, "-c", code, cwd=tmp_path, path=target)


def test_help_works_from_another_folder_and_loads_nothing_heavy(target: Path, tmp_path: Path) -> None:
    assert "search" in run(sys.executable, "-m", "eenas", "--help", cwd=tmp_path, path=target)
    code = (
        "import runpy, sys\nsys.argv = ['eenas', '--help']\n"
        "try:\n    runpy.run_module('eenas', run_name='__main__')\nexcept SystemExit as end:\n    assert not end.code\n"
        f"sys.stdout.write('\\nloaded: ' + ' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    assert run(sys.executable, "-c", code, cwd=tmp_path, path=target).endswith("\nloaded: ")
