"""The verbs as a whole: help, light imports, and errors of usage."""

import subprocess
import sys

import pytest

from eenas import __version__
from eenas.tasks.load import EMBEDDED, TASKS

VERBS = (
    *("search", "front", "train", "export", "verify", "run", "serve", "calibrate", "simulate", "experts", "profile"),
    *("tiers", "dashboard", "backbone", "fleet", "spaces", "split", "list", "report"),
)
HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "optuna",
    "optuna_dashboard",
    "sqlalchemy",
    "plotly",
    "numpy",
    "sklearn",
    "PIL",
)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["search", "--help"], ["study", "fidelity", "-h"], ["--version"], ["front", "--no-such-flag"]],
)
def test_help_and_errors_of_usage_import_nothing_heavy(arguments):
    code = f"""
import sys
sys.argv = ["eenas", *{arguments!r}]
from eenas.cli.main import main
try:
    main()
except SystemExit:
    pass
print("imported", sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "imported []"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(call, verb):
    answer = call(verb, "--help")
    assert answer.status == 0
    assert f"Example: eenas {verb}" in answer.out
    assert "--debug" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100
    listed = next(line for line in call("--help").out.splitlines() if line.strip().startswith(f"{verb} "))
    assert listed[-4:].count(".") == 1, "the first line of a verb's help must not be cut off in the list of verbs"


@pytest.mark.parametrize(
    ("verb", "names"), [("search", TASKS), ("verify", TASKS), ("calibrate", TASKS[len(EMBEDDED) :])]
)
def test_the_help_names_every_kind_of_task(call, verb, names):
    words = " ".join(call(verb, "--help").out.split())
    assert [name for name in names if f"{name}," not in words and f"{name} " not in words] == []


def test_a_verb_of_the_study_explains_itself_with_an_example(call):
    answer = call("study", "fidelity", "--help")
    assert answer.status == 0
    assert "Example: eenas study fidelity" in answer.out
    assert "--debug" in answer.out
    assert "Measure how reliable brief scores are." in call("study", "--help").out
    assert "Examine a finished study." in call("--help").out


def test_no_verb_shows_the_help(call):
    assert "eenas search --backbone" in (answer := call()).out + answer.err


def test_the_version(call):
    assert call("--version").out.strip() == f"eenas {__version__}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serach"], "serach"),
        (["search", "--backbon", "x"], "--backbon"),
        (["search", "--trials", "many"], "--trials"),
        (["backbone"], "NAME"),
        (["dashboard", "--port", "70000"], "--port"),
    ],
)
def test_errors_of_usage_end_with_two(call, arguments, said):
    answer = call(*arguments)
    assert answer.status == 2
    assert said in answer.err
    assert answer.out == ""
