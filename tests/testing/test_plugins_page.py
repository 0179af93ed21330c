"""The plug-ins of docs/how-to/plugins.md pass the contracts shown there, run by pytest as a reader runs them."""

import dataclasses
import inspect
import os
import re
from pathlib import Path

import pytest

import eenas.testing
from eenas.errors import EenasError
from eenas.training.strategies import Phase
from eenas.user_code import import_file
from tests.plugin_page import FILES, TEXT, write_files

pytestmark = pytest.mark.slow

TESTS = sorted(name for name in FILES if name.startswith("test_"))
CONTRACTS = sorted(name for name in eenas.testing.__all__ if name.endswith("Contract"))
SPOILT = {
    "my_cost.py": ("return self.watts * branch.latency.median_ms", "return -self.watts * branch.latency.median_ms"),
    "my_controller.py": ('min(self.steps, state["arm"] + 1)', 'state["arm"] + 1'),
    "my_branch.py": ("nn.Linear(self.width, num_classes)", "nn.Linear(self.width, num_classes + 1)"),
    "my_net.py": ("nn.BatchNorm2d(width)", "nn.BatchNorm2d(width, track_running_stats=False)"),
    "my_placement.py": ("[:n]", "[: n - 1]"),
    "my_points.py": ("(x * mask).sum(dim=1, keepdim=True)", "x.sum(dim=1, keepdim=True)"),
    "my_policy.py": (".sum(axis=1)  # [n], at least 0", ".sum()"),
    "my_runtime.py": ("3 * latency.p95_ms", "latency.median_ms"),
    "my_series_branch.py": ("nn.Linear(self.width, num_classes)", "nn.Linear(self.width, num_classes + 1)"),
    "my_store.py": ("return (self.place / key).exists()", "return True"),
    "my_strategy.py": ("share=0.7", "share=0.6"),
    "my_task.py": ("np.random.default_rng(0)", "np.random.default_rng()"),
}
"""A change in each plug-in that breaks a rule."""


def run(file: Path, folder: Path) -> None:
    """Run every test of a contract class, as pytest would."""
    module = import_file(file)
    (test,) = (each for name, each in vars(module).items() if name.startswith("Test"))
    for name in dir(test):
        if name.startswith("test_"):
            takes = inspect.signature(getattr(test, name)).parameters
            getattr(test(), name)(**({"tmp_path": folder} if "tmp_path" in takes else {}))


def test_there_is_one_for_every_contract_in_five_lines():
    shown = sorted(set(re.findall(r"class Test\w+\((\w+)\)", TEXT)))
    assert shown == CONTRACTS
    assert sorted(re.findall(r"\| `(\w+Contract)` \|", TEXT)) == CONTRACTS
    for name in TESTS:
        lines = [line for line in FILES[name].splitlines() if line.strip() and not line.startswith("#")]
        assert len(lines) <= 5, name


def test_pytest_passes_them_in_a_folder_of_their_own(tmp_path):
    folder = write_files(tmp_path)
    arguments = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--import-mode=importlib", "-c", os.devnull)
    assert pytest.main([*arguments, f"--rootdir={folder}", str(folder)]) is pytest.ExitCode.OK


def test_the_fields_of_a_phase_are_all_listed():
    table = TEXT.split("A `Phase` has these fields:")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [field.name for field in dataclasses.fields(Phase)]


def test_every_example_is_spoilt_once():
    assert {f"test_{name}" for name in SPOILT} == set(TESTS)


@pytest.mark.parametrize("name", SPOILT)
def test_a_broken_one_is_noticed(name, tmp_path):
    folder = write_files(tmp_path)
    before, after = SPOILT[name]
    assert FILES[name].count(before) == 1
    (folder / name).write_text(FILES[name].replace(before, after))
    with pytest.raises((AssertionError, EenasError)):
        run(folder / f"test_{name}", tmp_path)
