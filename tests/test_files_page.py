"""The tables of docs/reference/files.md name the files and keys that the program writes, no more and no fewer."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from eenas.deployment.network_sources import of_run
from eenas.measurement.latency_profile import _ProfileTable
from eenas.policies.rule import Rule
from eenas.programs.manifest import MANIFEST, ProgramFile
from eenas.programs.model_folder import _NAMES, _OURS
from tests.smallest_study import backbone

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
SOMETIMES = {
    "The manifest": {
        "seen_points": "programs/streams/stream_points.py",
        "experts": "programs/experts/expert_folder.py",
        "split": "programs/remote/half_folders.py",
    },
    "The figures": {
        "data": "deployment/export.py",
        "balanced": "deployment/network_sources.py",
        "latency": "programs/exit_latency.py",
        "codec": "deployment/network_sources.py",
        "contexts": "deployment/expert_export.py",
    },
    "An operating point": {
        "distorted_accuracy": "policies/contexts/robustness.py",
        "worst_distorted_accuracy": "policies/contexts/robustness.py",
        "split": "policies/operating_point.py",
        "guarantee": "policies/operating_point.py",
    },
    "The programs": {
        "latency": "programs/exit_latency.py",
        "experts": "programs/experts/expert_programs.py",
        "tail": "programs/remote/half_folders.py",
    },
    "The run folder": {
        "checkpoint.pt": "runs/run_report.py",
        "experts.safetensors": "programs/model_folder.py",
        "tokenizer.json": "tasks/text/tokenization.py",
    },
}
"""What the smallest network and its run lack, by section, with the module that writes it."""


def named(section: str, table: int = 0) -> set[str]:
    """The names in the first column of a table of a section."""
    (text,) = re.findall(rf"^##+ {re.escape(section)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)[table].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def whole(section: str, written: set[str]) -> set[str]:
    """What was written, and what is written only sometimes."""
    return written | SOMETIMES[section].keys()


@pytest.mark.parametrize("section", SOMETIMES)
def test_what_is_written_only_sometimes_stands_in_the_code(section: str) -> None:
    for name, module in SOMETIMES[section].items():
        assert f'"{name}"' in (ROOT / "eenas" / module).read_text(encoding="utf-8")


def test_the_manifest_has_the_keys_of_the_page(exported: Path) -> None:
    table = json.loads((exported / MANIFEST).read_text(encoding="utf-8"))
    assert named("The manifest") == whole("The manifest", table.keys())
    assert named("The programs") == whole("The programs", table["program"].keys())
    assert named("The programs", 1) == {each.name for each in fields(ProgramFile)}
    assert named("An operating point") == whole("An operating point", table["measured"]["reported"].keys())
    (rule,) = re.findall(r"^\| `rule` \| [^:]*: (.*) \|$", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", rule)) == {each.name for each in fields(Rule)}


def test_the_model_folder_has_the_files_of_the_page(exported: Path) -> None:
    files = named("The model folder")
    known = {MANIFEST, *_NAMES}
    assert {name for name in files if not re.search(r"\d", name)} == known
    assert all(_OURS.fullmatch(name) for name in files - {MANIFEST})
    kinds = {re.sub(r"\d+", "0", path.name) for path in exported.iterdir()}
    assert kinds - files == set()


def test_a_profile_has_the_keys_of_the_page() -> None:
    assert named("The profile") == {each.name for each in fields(_ProfileTable)}


@pytest.mark.slow
def test_a_run_has_the_files_and_figures_of_the_page(finished_run) -> None:
    written = {path.name for path in finished_run.folder.iterdir()}
    assert named("The run folder") == whole("The run folder", written)
    package, _ = of_run(finished_run.folder, backbone(), False)
    assert named("The figures") == whole("The figures", package.measured.keys())
