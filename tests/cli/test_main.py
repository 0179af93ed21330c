"""The verbs as a whole: help, light imports, and errors of usage."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eenas import __version__
from eenas.cli.terminal.pages import ERROR_PAGES, VERB_PAGES
from eenas.tasks.load import EMBEDDED, TASKS

VERBS = (
    *("search", "front", "train", "export", "verify", "run", "serve", "calibrate", "simulate", "experts", "profile"),
    *(
        "tiers",
        "dashboard",
        "backbone",
        "explain",
        "fleet",
        "init",
        "release",
        "spaces",
        "split",
        "status",
        "list",
        "report",
    ),
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
def test_every_verb_explains_itself_with_two_examples_and_its_page(call, verb):
    answer = call(verb, "--help")
    assert answer.status == 0
    assert re.search(rf"Examples:\n +eenas {verb}\b.*\n +eenas {verb}\b.*\n\n +Page: {VERB_PAGES[verb]}\n", answer.out)
    assert "--debug" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100
    listed = next(line for line in call("--help").out.splitlines() if line.strip().startswith(f"{verb} "))
    assert listed[-4:].count(".") == 1, "the first line of a verb's help must not be cut off in the list of verbs"


@pytest.mark.parametrize("verb", VERBS)
def test_the_examples_of_the_help_have_flags_and_arguments_that_the_verb_takes(call, verb):
    import click
    from typer.main import get_command

    from eenas.cli.main import app

    command = get_command(app).commands[verb]
    examples = re.findall(rf"^    eenas {verb}\b(.*)$", call(verb, "--help").out, re.MULTILINE)
    assert len(examples) == 2
    for example in examples:
        words = shlex.split(example.split(" > ")[0])
        with command.make_context(verb, words, parent=click.Context(get_command(app))):
            pass
        if verb == "export" and "--single-file" in words:
            assert words[words.index("--format") + 1] == "onnx", "a single file is an ONNX model"


@pytest.mark.parametrize(
    ("verb", "names"), [("search", TASKS), ("verify", TASKS), ("calibrate", TASKS[len(EMBEDDED) :])]
)
def test_the_help_names_every_kind_of_task(call, verb, names):
    words = " ".join(call(verb, "--help").out.split())
    assert [name for name in names if f"{name}," not in words and f"{name} " not in words] == []


@pytest.mark.parametrize("page", sorted({*VERB_PAGES.values(), *ERROR_PAGES.values()}))
def test_a_page_that_is_named_is_there_with_its_heading(page):
    file, _, heading = page.partition("#")
    text = (Path(__file__).parents[2] / file).read_text(encoding="utf-8")
    headings = [each.lower().replace(" ", "-") for each in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)]
    assert not heading or heading in headings


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_shell_gets_its_completion(shell):
    names = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "eenas", "--show-completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env={**os.environ, **names})
    assert "EENAS_COMPLETE" in done.stdout.upper()


@pytest.mark.parametrize("job", ["slurm", "kubernetes", "ray"])
def test_a_job_file_explains_itself_with_two_examples_that_work(call, job, tmp_path, monkeypatch):
    shown = call("cluster", job, "--help").out
    assert f"Page: {VERB_PAGES[job]}" in shown
    examples = re.findall(rf"^    eenas (cluster {job}\b.*)$", shown, re.MULTILINE)
    assert len(examples) == 2
    for number, example in enumerate(examples):
        (folder := tmp_path / str(number)).mkdir()
        monkeypatch.chdir(folder)
        answer = call(*shlex.split(example))
        assert answer.status == 0, answer.err
        assert list(folder.iterdir())


def test_a_verb_of_the_study_explains_itself_with_an_example(call):
    answer = call("study", "fidelity", "--help")
    assert answer.status == 0
    assert "eenas study fidelity --designs 20" in answer.out
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


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys; import eenas.cli.main; sys.exit(any(name in sys.modules for name in ('torch', 'optuna')))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="a signal ends a process in another way there")
def test_control_c_while_the_command_is_loaded_ends_it_without_a_traceback():
    code = """
import importlib.abc, os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background

class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "rich":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from eenas.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_control_c_is_an_exception_again_when_a_verb_runs():
    code = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from eenas.__main__ import main
sys.argv = ["eenas", "--version"]
try:
    main()
finally:
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"eenas {__version__}\nTrue\n"


@pytest.mark.skipif(os.name == "nt", reason="a signal ends a process in another way there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_a_verb_ends_the_process_without_a_traceback(number):
    """Libraries tidy up for a moment at the end, in which a second Ctrl-C comes easily."""
    code = f"""
import atexit, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from eenas.__main__ import main
atexit.register(signal.raise_signal, {int(number)})
sys.argv = ["eenas", "--version"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-number, "")


@pytest.mark.skipif(os.name == "nt", reason="a signal ends a process in another way there")
def test_a_signal_that_is_ignored_is_ignored_after_a_verb_too():
    code = """
import atexit, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
from eenas.__main__ import main
atexit.register(signal.raise_signal, signal.SIGINT)
sys.argv = ["eenas", "--version"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="a signal ends a process in another way there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_where_python_ignores_exceptions_ends_a_verb(number):
    code = f"""
import signal, time, weakref
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from eenas.cli import main

class Thing:
    pass

@main.guarded
def verb():
    thing = Thing()
    seen = weakref.ref(thing, lambda _: signal.raise_signal({int(number)}))
    del thing
    time.sleep(600)

main.app = main.typer.Typer()
main.app.command()(verb)
main.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 128 + number
    what = "interrupted" if number == signal.SIGINT else "terminated"
    assert done.stderr == f"{what}; rerun the same command to continue from the finished steps\n"


@pytest.mark.skipif(os.name == "nt", reason="a signal ends a process in another way there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_verbs_are_built_ends_without_a_traceback(number):
    code = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from eenas.cli import main
main.app = lambda: signal.raise_signal({int(number)})
main.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (128 + number, "")
