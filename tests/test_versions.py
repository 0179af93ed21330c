"""The versions that were tested are written down: all direct dependencies, within what pyproject.toml allows."""

import re

from packaging.version import Version

from tests.versions import TESTED, direct, installed, lowest, read_tested


def test_every_direct_dependency_has_a_tested_version_that_is_allowed():
    wanted, tested = direct(), read_tested()
    assert {"torch", "optuna", "onnxruntime", "pytest", "ruff"} <= wanted.keys()
    assert wanted.keys() <= tested.keys()
    outside = [name for name, each in wanted.items() if not each.specifier.contains(Version(tested[name]))]
    assert not outside, f"{outside} in {TESTED.name} are not allowed by pyproject.toml; run `python tests/versions.py`"


def test_the_file_names_released_versions_alone():
    lines = [line for line in TESTED.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) > 40
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(names)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.+]*", line) for line in lines), lines
    assert "eenas" not in read_tested()


def test_what_is_needed_is_found_as_it_is_installed():
    found = dict(line.split("==") for line in installed(["optuna"]))
    assert {"optuna", "sqlalchemy", "alembic", "mako"} <= found.keys()
    assert "pytest" not in found


def test_the_lowest_versions_are_those_of_the_bounds():
    pinned = dict(line.split("==") for line in lowest())
    assert pinned.keys() == direct().keys()
    for name, each in direct().items():
        assert each.specifier.contains(Version(pinned[name]))
        assert f">={pinned[name]}" in str(each.specifier)
