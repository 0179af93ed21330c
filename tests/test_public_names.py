"""What `import eenas` offers, and what it does not load before it is asked for."""

import json
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import eenas

STEPS = (
    *("backbones", "branches", "deployment", "designs", "handle", "measurement", "networks", "policies", "programs"),
    *("records", "reporting", "results", "runs", "study", "tasks", "testing", "training"),
)
HEAVY = ("torch", "torchvision", "timm", "optuna", "numpy", "sqlalchemy", "plotly", "sklearn", "typer")


def loaded_after(code: str) -> list[str]:
    """The heavy libraries that a fresh Python has loaded after `code`."""
    report = f"import json, sys; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


def test_importing_eenas_loads_no_library() -> None:
    assert loaded_after("import eenas; dir(eenas); eenas.__version__; eenas.EenasError") == []


@pytest.mark.parametrize("name", eenas.__all__)
def test_a_public_name_can_be_had(name: str) -> None:
    value = getattr(eenas, name)
    assert name in ("__version__", "runtime") or callable(value)
    assert name in dir(eenas)


def test_importing_a_step_loads_no_library() -> None:
    assert loaded_after(f"import {', '.join(f'eenas.{step}' for step in STEPS)}") == []


@pytest.mark.parametrize("step", STEPS)
def test_the_public_names_of_a_step_can_be_had(step: str) -> None:
    package = import_module(f"eenas.{step}")
    assert package.__all__
    for name in package.__all__:
        assert not isinstance(getattr(package, name), ModuleType), name


def test_the_names_are_sorted_and_each_has_a_home() -> None:
    assert list(eenas.__all__) == sorted(eenas.__all__)
    assert len(set(eenas.__all__)) == len(eenas.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        eenas.serach  # noqa: B018
    assert not hasattr(eenas, "_nothing")


def test_the_version_stands_in_one_place() -> None:
    table = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in table["project"]
    assert table["project"]["dynamic"] == ["version"]
    assert table["tool"]["hatch"]["version"]["path"] == "eenas/__init__.py"
    cited = (Path(__file__).parents[1] / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {eenas.__version__}\n" in cited
