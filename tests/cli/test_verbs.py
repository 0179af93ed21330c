"""Each verb: what it hands to the library, what it prints, and what it suggests next."""

import csv
import io
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

import eenas
from eenas import shipped
from eenas.cli.tables.profiles import profile_by_name
from eenas.cli.terminal.failures import Terminated
from eenas.designs.placement import candidates
from eenas.errors import StudyError
from eenas.handle.lists import LISTS
from eenas.progress import Stopped
from eenas.reporting.facts.selection import with_best
from eenas.reporting.report.report_source import Asked
from eenas.results.choice import Choice
from eenas.results.status import StudyStatus
from eenas.study.settings.limits import Limits

from ..reporting.studies import failed, study
from ..reporting.test_fidelity_facts import fidelity
from ..reporting.test_run_facts import report


@pytest.fixture
def library(monkeypatch):
    """Put a function in the place of one of the library's, and see what it was called with."""

    def put(name, answer):
        calls = []

        def stand_in(*arguments, **options):
            calls.append((arguments, options))
            if isinstance(answer, BaseException):
                raise answer
            return answer

        monkeypatch.setattr(name, stand_in)
        return calls

    return put


def test_search_hands_over_every_flag(call, library, tmp_path):
    calls = library("eenas.results.search.search", study(6))
    flags = "--backbone resnet50 --task digits --weights none --study s.toml --space small --trials 3 --timeout 60"
    rest = "--storage sqlite:///b.db --name one --device cpu --seed 7 --set training.epochs=1 --set seed=3 --trust-code"
    rest += " --latency-profile board.json --skip-bad --accept-changed-data"
    answer = call("search", *flags.split(), *rest.split(), "--artifacts", tmp_path)
    assert answer.status == 0, answer.err
    ((arguments, options),) = calls
    assert arguments == ("resnet50",)
    listener, reporters = options.pop("listener"), options.pop("reporters")
    assert callable(listener)
    assert len(reporters) == 1
    assert options.pop("started") <= time.monotonic()
    assert options == {
        "task": "digits",
        "accept_changed_data": True,
        "weights": "none",
        "study": "s.toml",
        "space": "small",
        "trials": 3,
        "timeout": 60.0,
        "storage": "sqlite:///b.db",
        "name": "one",
        "device": "cpu",
        "seed": 7,
        "overrides": ("training.epochs=1", "seed=3", "task.skip_bad=true"),
        "remeasure": False,
        "latency_profile": Path("board.json"),
        "artifacts": str(tmp_path),
        "trust_code": True,
    }
    assert "Best accuracy within a share" in answer.out
    assert "next: eenas train --best --storage sqlite:///b.db --name" in answer.err
    assert max(map(len, answer.out.splitlines())) <= 100


def test_flags_of_the_bank_reach_the_settings(call, library):
    calls = library("eenas.results.search.search", study(3))
    call("search", "--backbone", "resnet50", "--no-bank", "--feature-cache", "2GB", "--remeasure", "--set", "seed=1")
    assert calls[0][1]["overrides"] == ("seed=1", "bank.use=false", 'bank.feature_cache="2GB"')
    assert calls[0][1]["remeasure"] is True


def test_search_prints_json_and_no_hint(call, library):
    library("eenas.results.search.search", study(3))
    answer = call("search", "--backbone", "resnet50", "--json")
    assert json.loads(answer.out)["study"] == study(3).name
    assert "next:" not in answer.err


@pytest.mark.parametrize(("interrupt", "status"), [(KeyboardInterrupt(), 130), (Terminated(), 143)])
@pytest.mark.parametrize("flag", [None, "--json"])
def test_search_that_was_stopped_shows_what_it_found_and_has_its_status(call, monkeypatch, interrupt, status, flag):
    """A cluster starts a worker again that did not end with status 0, and `eenas search && ...` goes no further."""

    def stopped(*arguments, listener, **options):
        listener(Stopped("stopped; rerun the command to continue", interrupt))
        return study(3)

    monkeypatch.setattr("eenas.results.search.search", stopped)
    answer = call("search", "--backbone", "resnet50", *([flag] if flag else []))
    assert answer.status == status
    assert "stopped; rerun the command to continue" in answer.err
    assert "trial" in answer.out


def test_search_without_a_finished_trial(call, library):
    library("eenas.results.search.search", study(0, extra=[failed(0)]))
    answer = call("search", "--backbone", "resnet50")
    assert answer.status == 0
    assert "No trial has finished" in answer.out
    assert "to continue" in answer.err


def test_search_needs_a_backbone(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = call("search")
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert "--backbone" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_front_prints_a_spaced_selection_or_all(call, library):
    results = study(12)
    calls = library("eenas.results.read.open_results", results)
    answer = call("front", "--name", results.name)
    assert calls[0] == (("sqlite:///eenas.db", results.name), {"trust_code": False})
    assert f"--all shows {len(results.front) - len(with_best(results, results.choices))} more points" in answer.out
    assert "next: eenas train --best" in answer.err
    whole = call("front", "--all").out
    assert whole.count(" ms ") > answer.out.count(" ms ")


def test_the_user_s_word_is_handed_on_and_repeated(call, library):
    calls = library("eenas.results.read.open_results", study(6))
    answer = call("front", "--trust-code")
    assert calls[0][1] == {"trust_code": True}
    assert answer.err.rstrip().endswith("--trust-code")
    library("eenas.results.search.search", study(6))
    first, second = call("search", "--backbone", "resnet50", "--trust-code").err.splitlines()[-2:]
    assert first.endswith("--trust-code")
    assert second == "next: eenas dashboard"
    library("eenas.runs.full_training.train", report())
    assert call("train", "--trust-code").err.endswith("model --trust-code\n")
    library("eenas.deployment.export.export", Path("model"))
    library("eenas.programs.manifest.read_table", {})
    assert "eenas.load('model', trust_code=True)" in call("export", "run", "model", "--trust-code").err


def test_front_as_json_and_csv(call, library):
    results = study(6)
    library("eenas.results.read.open_results", results)
    assert len(json.loads(call("front", "--json").out)["front"]) == len(results.front)
    answer = call("front", "--csv")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert [row["kind"] for row in rows].count("front") == len(results.front)
    assert answer.err == ""
    assert call("front", "--csv", "--all").out == answer.out
    assert call("front", "--csv", "--json").status == 2


def test_the_next_command_trusts_where_the_study_needs_it(call, library):
    results = study(6)
    own = replace(results.settings, backbone=replace(results.settings.backbone, name="./net.py:make"))
    library("eenas.results.read.open_results", replace(results, settings=own))
    assert call("front").err.rstrip().endswith("--trust-code")


def test_a_report_of_a_run_has_a_hint(call):
    answer = call("report", "runs/one")
    assert answer.status == 2
    assert answer.err == ("error: report takes no folder, got 'runs/one'; add a run with --runs runs/one\n")


def test_front_without_a_storage(call, tmp_path):
    answer = call("front", "--storage", f"sqlite:///{tmp_path}/none.db")
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_train_hands_over_the_choice(call, library):
    calls = library("eenas.runs.full_training.train", report())
    answer = call("train", "--max-macs", "0.5", "--out", "runs/x", "--set", "full_training.epochs=3", "--device", "cpu")
    assert answer.status == 0, answer.err
    ((arguments, options),) = calls
    assert arguments == ("sqlite:///eenas.db",)
    assert options["choice"] == Choice(limits=Limits(max_macs=0.5))
    assert options["compare"] is False
    assert options["out"] == Path("runs/x")
    assert options["overrides"] == ("full_training.epochs=3",)
    assert "500 test samples" in answer.out
    assert "next: eenas export runs/one model\n" in answer.err


def test_train_names_the_storage_of_the_study_in_the_next_command(call, library):
    library("eenas.runs.full_training.train", report())
    answer = call("train", "--storage", "sqlite:///other.db")
    assert "next: eenas export runs/one model --storage sqlite:///other.db\n" in answer.err


def test_train_takes_a_confidence_with_any_choice(call, library):
    calls = library("eenas.runs.full_training.train", report())
    for flags, choice in (
        (("--confidence", "0.95"), Choice(confidence=0.95)),
        (
            ("--best", "--max-accuracy-drop", "0.02", "--confidence", "0.9"),
            Choice(max_accuracy_drop=0.02, confidence=0.9),
        ),
        (
            ("--trial", "3", "--max-accuracy-drop", "0.02", "--confidence", "0.9"),
            Choice(network="trial 3", max_accuracy_drop=0.02, confidence=0.9),
        ),
    ):
        assert call("train", *flags).status == 0
        assert calls[-1][1]["choice"] == choice
    wrong = call("train", "--confidence", "95")
    assert wrong.status == 2
    assert "0.95 is 95 %" in wrong.err


def test_train_as_json(call, library):
    library("eenas.runs.full_training.train", report())
    assert json.loads(call("train", "--json").out)["test_samples"] == 500


def test_train_takes_one_choice(call):
    answer = call("train", "--best", "--trial", "3")
    assert answer.status == 2
    assert "--best and --trial" in answer.err


def test_train_shows_the_library_s_error(call, library):
    library("eenas.runs.full_training.train", StudyError("no such study"))
    answer = call("train")
    assert (answer.status, answer.err) == (2, "error: no such study\n")


def test_fidelity_hands_over_every_flag(call, library, tmp_path):
    calls = library("eenas.runs.fidelity.measure_fidelity", fidelity())
    flags = "--storage sqlite:///b.db --name one --designs 5 --samples 900 --device cpu --set training.warmup=0.2"
    answer = call("study", "fidelity", *flags.split(), "--trust-code", "--artifacts", tmp_path)
    assert answer.status == 0, answer.err
    ((arguments, options),) = calls
    assert arguments == ("sqlite:///b.db",)
    assert callable(options.pop("listener"))
    assert options == {
        "name": "one",
        "designs": 5,
        "accept_changed_data": False,
        "epochs": None,
        "samples": 900,
        "device": "cpu",
        "overrides": ("training.warmup=0.2",),
        "artifacts": str(tmp_path),
        "trust_code": True,
    }
    assert "picks the better of two networks in about" in " ".join(answer.out.split())
    for word in ("25 %", "too few", "all equal", "hypervolume", "+6.00"):
        assert word in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100


def test_fidelity_as_json_and_with_two_budgets(call, library):
    library("eenas.runs.fidelity.measure_fidelity", fidelity())
    answer = call("study", "fidelity", "--json")
    assert len(json.loads(answer.out)["networks"]) == 3
    assert answer.err == ""
    answer = call("study", "fidelity", "--epochs", "3", "--samples", "4")
    assert (answer.status, "--epochs and --samples" in answer.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "run", "network", "design"),
    [
        (["runs/one", "model"], Path("runs/one"), None, None),
        (["--trial", "0", "model"], None, "trial 0", None),
        (["--network", "static layer2.1", "model"], None, "static layer2.1", None),
        (["--design", "d.json", "model"], None, None, Path("d.json")),
    ],
)
def test_export_from_a_run_a_trial_or_a_design(call, library, arguments, run, network, design):
    calls = library("eenas.deployment.export.export", Path("model"))
    library("eenas.programs.manifest.read_table", {})
    answer = call("export", *arguments)
    assert answer.status == 0, answer.err
    ((positional, options),) = calls
    assert positional == (Path("model"),)
    assert (options["run"], options["network"], options["design_file"]) == (run, network, design)
    assert "eenas.load('model')" in answer.err


@pytest.mark.parametrize("arguments", [["model"], ["--trial", "1", "a", "b"], ["a", "b", "c"]])
def test_export_says_which_paths_it_takes(call, arguments):
    answer = call("export", *arguments)
    assert answer.status == 2
    assert "OUT" in answer.err


def test_backbone_lists_cut_points(call):
    answer = call("backbone", "branchynet_lenet")
    assert answer.status == 0, answer.err
    assert "whole backbone" in answer.out
    assert "next: eenas search --backbone branchynet_lenet" in answer.err
    table = json.loads(call("backbone", "branchynet_lenet", "--json", "--all").out)
    assert len(table["cut_points"]) >= answer.out.count(" × ") - 1


def test_backbone_that_is_unknown(call):
    answer = call("backbone", "branchynet_lenett")
    assert answer.status == 2
    assert "'branchynet_lenet'" in answer.err
    assert answer.err.count("\n") == 1


def test_names_are_listed(call):
    answer = call("list")
    assert all(kind in answer.out for kind in LISTS)
    assert call("list", "policies", "patience*").out.split() == ["patience", "patience_confidence"]
    assert json.loads(call("list", "tasks", "--json").out) == {"tasks": eenas.list_tasks()}
    wrong = call("list", "backbone")
    assert wrong.status == 2
    assert "nearest: 'backbones'" in wrong.err


def test_spaces_are_listed_explained_and_counted(call):
    answer = call("spaces")
    assert answer.status == 0, answer.err
    assert "default" in answer.out
    assert "two_stage" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100
    answer = call("spaces", "small", "--backbone", "branchynet_lenet")
    assert answer.status == 0, answer.err
    assert "[branch]" in answer.out
    assert "structure" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100
    assert "architectures on" in answer.out
    assert "next: eenas search --backbone branchynet_lenet --space small" in answer.err


def test_a_space_has_as_many_slots_as_a_backbone_has_cut_points(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, profile = profile_by_name("branchynet_lenet", classes=10, input_size=None, trust_code=False)
    slots = len(candidates(profile))

    def counted(branches):
        name = f"{branches}.toml"
        Path(name).write_text(f"branches = {branches}\n[branch]\nstructure = ['fc', 'mlp']\nwidth = 16\n")
        answer = call("spaces", name, "--backbone", "branchynet_lenet")
        assert answer.status == 0, answer.err
        (row,) = (line.split() for line in answer.out.splitlines() if line.strip().startswith(name))
        return row[-1]

    assert counted(slots + 1) == counted(slots + 4) == counted(slots)
    assert counted(slots) != counted(slots - 1)
    answer = call("spaces", "--backbone", "branchynet_lenet")
    assert answer.status == 0, answer.err
    assert max(map(len, answer.out.splitlines())) <= 100
    rows = {line.split()[0]: line.split()[3] for line in answer.out.splitlines() if len(line.split()) > 3}
    for name in shipped.names("search_spaces"):
        assert int(rows[name].replace(",", "")) >= 1


@pytest.mark.parametrize("name", shipped.names("search_spaces"))
def test_every_shipped_space_is_explained_within_the_width(call, name):
    answer = call("spaces", name)
    assert answer.status == 0, answer.err
    assert max(map(len, answer.out.splitlines())) <= 100
    assert "…" not in answer.out


def test_dashboard_without_a_storage(call, tmp_path):
    answer = call("dashboard", "--storage", f"sqlite:///{tmp_path}/none.db")
    assert answer.status == 2
    assert answer.err.count("\n") == 1


def test_dashboard_ends_quietly(call, library):
    library("eenas.reporting.dashboard.dashboard.serve", KeyboardInterrupt())
    answer = call("dashboard")
    assert (answer.status, answer.err) == (0, "dashboard closed\n")


def test_report_hands_over_every_flag(call, library, tmp_path):
    calls = library("eenas.reporting.report.report_page.write_report", tmp_path / "a.html")
    flags = "--storage sqlite:///b.db --name one --page mine.toml --trust-code --trial 3"
    folders = ("--artifacts", tmp_path, "--runs", tmp_path / "runs")
    answer = call("report", *flags.split(), *folders, "--out", tmp_path / "a.html")
    assert answer.status == 0, answer.err
    ((arguments, options),) = calls
    assert arguments == ("sqlite:///b.db", tmp_path / "a.html")
    assert callable(options.pop("listener"))
    choice = Choice(network="trial 3")
    asked = Asked(choice=choice, runs=tmp_path / "runs", page="mine.toml")
    assert options == {"name": "one", "asked": asked, "artifacts": str(tmp_path), "trust_code": True}
    assert "a.html" in answer.err


@pytest.mark.parametrize(
    ("flags", "choice"),
    [
        ("", None),
        ("--best", Choice(max_accuracy_drop=0.01)),
        ("--knee", Choice(knee=True)),
        ("--network static_x", Choice(network="static_x")),
        ("--max-macs 0.5 --max-worst-latency-ms 3", Choice(limits=Limits(max_macs=0.5, max_worst_latency_ms=3.0))),
        ("--max-accuracy-drop 0.02", Choice(max_accuracy_drop=0.02)),
    ],
)
def test_report_draws_the_design_that_is_asked_for(call, library, tmp_path, flags, choice):
    calls = library("eenas.reporting.report.report_page.write_report", tmp_path / "a.html")
    assert call("report", *flags.split()).status == 0
    assert calls[0][1]["asked"] == Asked(choice=choice)


def test_report_takes_one_way_to_choose(call):
    answer = call("report", "--best", "--trial", "3")
    assert (answer.status, answer.err) == (2, "error: --best and --trial are mutually exclusive; use only one\n")


def test_report_without_a_storage(call, tmp_path):
    answer = call("report", "--storage", f"sqlite:///{tmp_path}/none.db", "--out", tmp_path / "a.html")
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "a.html").exists()


def test_status_prints_lines_or_json_and_what_is_next(call, library, tmp_path):
    class Watched:
        calls = 0

        def status(self):
            Watched.calls += 1
            return replace(begun, ended=8 + Watched.calls)

    begun = StudyStatus(
        **{"study": "one", "storage": "sqlite:///x.db", "total": 10, "ended": 9, "states": {"complete": 9}},
        **{"running": 1, "waiting": 0, "workers": (), "leases": (), "pace": None, "best": ()},
    )
    library("eenas.results.status.Watch", Watched())
    answer = call("status")
    assert answer.status == 0, answer.err
    assert "trials: 9 of 10 ended (9 complete)" in answer.out
    assert answer.err == "no worker is alive; rerun the command of the search, with the same flags, to resume it\n"
    Watched.calls = 0
    answer = call("status", "--watch", "0.1", "--json")
    assert [json.loads(line)["trials"]["ended"] for line in answer.out.splitlines()] == [9, 10]
    answer = call("status")
    assert answer.err == "next: eenas front --name one\n"
