"""Errors become one line and a status."""

import signal
import sys
import warnings

import pytest
import typer
from typer.testing import CliRunner

from eenas.cli.terminal.failures import Terminated, end_on_sigterm, guarded, one_of
from eenas.errors import EenasError, StorageError, StudyError, TimeOverError, WeightsError
from eenas.user_code import import_file


def run(problem, *arguments):
    """Call a verb that ends in `problem`, an exception or a function that raises one."""

    def verb(name: str = "x") -> None:
        """A verb."""
        if isinstance(problem, BaseException):
            raise problem
        problem()

    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(guarded(verb))
    with warnings.catch_warnings():
        return CliRunner().invoke(app, list(arguments))


def test_an_error_of_the_user_is_one_line():
    result = run(StudyError("no study 'x';\n  give another --name"))
    assert result.exit_code == 2
    assert result.stderr == "error: no study 'x'; give another --name\n"
    assert result.stdout == ""


def test_in_a_terminal_a_second_line_names_the_page(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    said = run(WeightsError("weights 'x': no such file")).stderr
    assert said == "error: weights 'x': no such file\nsee docs: docs/how-to/weights.md\n"
    assert run(EenasError("without a page")).stderr == "error: without a page\n"


def test_markup_in_an_error_is_not_read():
    assert run(EenasError("file.toml: [bold]: unknown key")).stderr == "error: file.toml: [bold]: unknown key\n"


def test_debug_shows_the_traceback():
    result = run(StudyError("no study"), "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: no study\n")


@pytest.mark.parametrize(
    ("problem", "status", "what"), [(KeyboardInterrupt(), 130, "interrupted"), (Terminated(), 143, "terminated")]
)
def test_control_c_and_sigterm_are_one_line(problem, status, what):
    result = run(problem)
    assert result.exit_code == status
    assert result.stderr == f"{what}; rerun the same command to continue from the finished steps\n"


@pytest.mark.parametrize("error", [UnboundLocalError("updated_state"), StorageError("database is locked")])
def test_control_c_is_one_line_also_if_a_library_hides_it(error):
    def interrupted():
        try:
            raise Terminated
        finally:
            raise error

    result = run(interrupted)
    assert (result.exit_code, result.stderr.partition(";")[0]) == (143, "terminated")


def test_sigterm_ends_a_command_as_control_c_does(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = signal.getsignal(signal.SIGTERM)
    try:
        end_on_sigterm()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_search_whose_time_was_over_has_a_status_of_its_own():
    result = run(TimeOverError("the time limit of 1 s ended before a trial finished"))
    assert result.exit_code == 124
    assert result.stderr == "the time limit of 1 s ended before a trial finished\n"


def test_our_own_mistakes_say_where_they_are():
    result = run(ZeroDivisionError("division by zero"))
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
    assert "ZeroDivisionError" in result.stderr
    assert "test_failures.py:" in result.stderr


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("{}['a']", "KeyError: 'a'"),
        ("raise SystemExit(7)", "SystemExit: 7"),
        ("import not_installed", "ModuleNotFoundError: No module named 'not_installed'"),
        ("import json; json.loads('no')", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_an_error_of_the_users_own_code_names_its_line(tmp_path, statement, said):
    path = tmp_path / "own.py"
    path.write_text(f"def build():\n    {statement}\n")
    result = run(import_file(path).build)
    assert result.exit_code == 2
    assert result.stderr == f"error: {path}:2, in build, failed: {said}; fix this code and rerun the command\n"


def test_our_own_mistake_below_the_users_code_is_ours(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("def build():\n    from eenas.percent import percent\n    percent([])\n")
    result = run(import_file(path).build)
    assert result.exit_code == 1
    assert "unexpected" in result.stderr


def test_a_traceback_shows_nothing_secret_of_the_storage():
    app = typer.Typer()

    @app.command()
    @guarded
    def verb(storage: str = "") -> None:
        try:
            raise OSError("failed to resolve host 'hush@h'")
        except OSError as error:
            raise EenasError("no database") from error

    given = ["--storage", "postgresql://u:a@hush@h/db", "--debug"]
    result = CliRunner().invoke(app, given)
    assert "failed to resolve host '***@h'" in result.stderr
    assert "hush" not in result.stderr


def test_an_intended_exit_passes():
    assert run(typer.Exit(7)).exit_code == 7
    assert run(SystemExit(7)).exit_code == 7


def test_flags_that_exclude_each_other():
    assert one_of(best=False, trial=0, design=None) == "trial"
    assert one_of(best=False, trial=None) is None
    with pytest.raises(EenasError, match="--max-macs and --trial"):
        one_of(max_macs=0.5, trial=1)
