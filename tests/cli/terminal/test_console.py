"""What is printed where."""

import io
import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from eenas.cli import options
from eenas.cli.tables.tables import table
from eenas.cli.terminal.console import Screen, command, err, is_first_process, out, say, suggest, write, write_json
from eenas.cli.terminal.progress import listening
from eenas.escaping import one_line, visible
from eenas.progress import Advanced, Finished, Notice, Started


def test_commands_leave_out_what_is_not_set_and_quote_what_must_be():
    assert command("train", (), {"best": True, "storage": None, "trust_code": False}) == "eenas train --best"
    text = command("export", ("runs/a b", "model"), {"max_macs": 0.5})
    assert shlex.split(text) == ["eenas", "export", "runs/a b", "model", "--max-macs", "0.5"]


def test_hints_go_to_stderr_and_results_to_stdout(capsys):
    suggest("front", name="x")
    say("a [bold] word")
    write('{"a": 1}\n')
    captured = capsys.readouterr()
    assert captured.err == "next: eenas front --name x\na [bold] word\n"
    assert captured.out == '{"a": 1}\n'


def test_without_a_terminal_width_is_fixed_and_nothing_is_coloured(monkeypatch, capsys):
    for name in ("FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    assert out().width == err().width == 100
    out().print("text", style="red")
    assert capsys.readouterr().out == "text\n"


def test_only_what_differs_from_the_default_is_repeated():
    assert command("front", (), options.study_flags("sqlite:///eenas.db", "x")) == "eenas front --name x"
    assert command("front", (), options.study_flags("sqlite:///b.db", None)) == "eenas front --storage sqlite:///b.db"


def test_under_torchrun_only_the_first_process_speaks(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()
    monkeypatch.setenv("RANK", "0")
    assert is_first_process()


HOSTILE = ("[cat]", "[/cat]", "[red]x[/red]", ":smile:", "\x1b]8;;http://evil\x1b\\x", "\x9b31m", "\u202egnp", "\udcff")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_users_text_is_shown_letter_by_letter_wherever_it_stands(text, is_terminal):
    screen = io.StringIO()
    console = Screen(file=screen, force_terminal=is_terminal, color_system=None, width=100)
    made = table(text, text, right=(0,))
    made.add_row(text)
    made.caption = text
    console.print(made)
    console.print(text)
    assert screen.getvalue().count(visible(text)) == 5
    assert screen.getvalue().replace("\n", "").isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_progress_shows_a_users_text_letter_by_letter(text):
    screen = io.StringIO()
    console = Screen(file=screen, force_terminal=True, color_system=None, width=100)
    with listening(console) as listener:
        listener(Started(text, 3))
        listener(Advanced(text, 1, text))
        listener(Notice(f"{text}\nerror: not a line of ours"))
        listener(Finished(text, text))
    own = re.sub("\x1b\\[[0-9?]*[A-Zhl]", "", screen.getvalue()).replace("\r", "").replace("\n", "")
    assert own.isprintable()
    assert one_line(f"{text}\nerror") in own
    assert visible(f"✓ {text}: {text}") in own


def test_lines_and_json_obey_nothing(capsys):
    say("one \x1b[2J\ntwo postgresql://ann:hush@host/db")
    assert capsys.readouterr().err == "one \\x1b[2J\\ntwo postgresql://ann:***@host/db\n"
    write_json(json.dumps({"a": "\u202e\x9b[31m"}, ensure_ascii=False))
    assert capsys.readouterr().out == '{"a": "\\u202e\\u009b[31m"}\n'


def test_the_next_command_hides_the_password_of_the_storage(capsys):
    suggest("train", best=True, **options.study_flags("postgresql://ann:hush@host/db", "s"))
    assert capsys.readouterr().err == "next: eenas train --best --storage 'postgresql://ann:***@host/db' --name s\n"


@pytest.mark.parametrize("setting", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_terminal_that_is_not_utf_8_gets_replacements(setting, tmp_path):
    environment = {**os.environ, "PYTHONCOERCECLOCALE": "0", **setting}
    code = "import sys; from eenas.cli.main import main; main()"
    wanted = tmp_path / "猫.toml"
    done = subprocess.run(
        [sys.executable, "-c", code, "spaces", str(wanted)], capture_output=True, env=environment, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr
    assert done.stderr.isascii()


def test_lines_end_without_the_spaces_that_rich_fills_them_with(capsys):
    from eenas.cli.tables.tables import table

    made = table("A title that is long", "one", "two")
    made.add_row("a", "b")
    out().print(made)
    text = capsys.readouterr().out
    assert "a" in text
    assert all(line == line.rstrip() for line in text.split("\n"))
