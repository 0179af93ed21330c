"""A way to call the command line as a user does, with stdout and stderr apart."""

import warnings
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner


@dataclass(frozen=True)
class Answer:
    """What a call printed and how it ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def call(monkeypatch):
    """`call("front", "--json")` runs the verb in this process; no terminal, no colour."""
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "RANK", "GITHUB_ACTIONS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        from eenas.cli.main import app

        with warnings.catch_warnings():
            result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="eenas")
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run
