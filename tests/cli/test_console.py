"""What is printed where."""

import shlex

from eenas.cli import options
from eenas.cli.console import command, err, is_first_process, out, say, suggest, write


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
    out().print("[red]text[/red]")
    assert capsys.readouterr().out == "text\n"


def test_only_what_differs_from_the_default_is_repeated():
    assert command("front", (), options.told("sqlite:///eenas.db", "x")) == "eenas front --name x"
    assert command("front", (), options.told("sqlite:///b.db", None)) == "eenas front --storage sqlite:///b.db"


def test_under_torchrun_only_the_first_process_speaks(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()
    monkeypatch.setenv("RANK", "0")
    assert is_first_process()
