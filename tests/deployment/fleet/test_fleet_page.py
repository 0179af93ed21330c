"""The examples of docs/how-to/fleet_simulation.md run as they are."""

import re
import shlex
import tomllib
from pathlib import Path

from typer.testing import CliRunner

from eenas.cli.main import app

TEXT = (Path(__file__).parents[3] / "docs" / "how-to" / "fleet_simulation.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```(python|toml|csv)\n(.*?)```", TEXT, re.DOTALL))


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS["python"], {})
    first, second, third = capsys.readouterr().out.splitlines()
    assert int(first.split()[0]) > 20_000
    assert re.fullmatch(r"offloaded 0\.\d+, dropped 0\.\d+, accuracy 0\.[89]\d+", second)
    assert third.endswith("unstable ()")
    Path("times.toml").write_text(BLOCKS["toml"])
    Path("bandwidth.csv").write_text(BLOCKS["csv"])
    (command,) = (line for line in TEXT.splitlines() if line.startswith("eenas fleet table.npz"))
    answer = CliRunner().invoke(app, shlex.split(command)[1:])
    assert answer.exit_code == 0, answer.stderr
    assert "500" in answer.stdout


def test_every_command_of_the_page_names_flags_that_exist():
    known = CliRunner().invoke(app, ["fleet", "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).stdout
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) - {"--tiers"}
    assert len(flags) > 15
    assert {flag for flag in flags if flag not in known} == set()
    assert tomllib.loads(BLOCKS["toml"])["server_ms"] == [1.5]
