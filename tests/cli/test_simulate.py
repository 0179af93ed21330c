"""`eenas simulate` on every source, called as a user does."""

import json

import numpy as np
import pytest

from eenas.policies.controllers.recording import Recording
from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.testing.controller_contract import random_confidences

TASK = "eenas.testing.smallest:smallest_task"


@pytest.fixture
def csv(tmp_path):
    rows = random_confidences(2, 400).tolist()
    lines = [f"{first},{int(first > 0.5)},{final},{int(final > 0.3)}" for first, final in rows]
    file = tmp_path / "c.csv"
    file.write_text("\n".join(("conf_branch_1,correct_branch_1,conf_branch_2,correct_branch_2", *lines)))
    return file


@pytest.fixture
def table(tmp_path):
    generator = np.random.default_rng(0)
    found = ExitTable(
        logits=generator.normal(size=(200, 3, 4)) * 3,
        labels=generator.integers(4, size=200),
        exits=("0", "2", "final"),
        costs=Costs.of(macs=[1.0, 2.0, 4.0]),
        contexts=np.where(np.arange(200) < 100, "clean", "blur:2"),
    )
    found.save(tmp_path / "t.npz")
    return tmp_path / "t.npz"


def refused(answer, *words):
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err


def test_recorded_confidences(call, csv, tmp_path):
    figure = tmp_path / "f.html"
    answer = call(
        *("simulate", csv, "--controller", "adaee,overhead=0.2", "--rounds", 600, "--seeds", 2, "--figure", figure),
        *("--stream", "clean,halved"),
    )
    assert answer.status == 0, answer.err
    text = " ".join(answer.out.split())
    for word in (
        "400 samples of 2 exits; 600 rounds (clean, halved), 2 seeds.",
        "best fixed arm",
        "fixed 0",
        "random arm",
    ):
        assert word in text
    assert "final exit only" in text
    assert answer.err == f"written: {figure}\n"
    assert "Pseudo-regret" in figure.read_text()
    found = json.loads(call("simulate", csv, "--rounds", 100, "--seeds", 2, "--json").out)
    assert [each["seed"] for each in found["seeds"]] == [0, 1]
    assert found["controller"]["kind"] == "adaee"
    assert len(found["seeds"][0]["over_time"]["regret"]) == 100
    assert found["phases"][0]["best"] in found["baselines"]
    assert found["baselines"][found["best_fixed"]]["regret"] == pytest.approx(0, abs=1e-9)


def test_an_exit_table_with_contexts(call, table):
    given = ("simulate", table, "--stream", "blur:2,clean", "--contexts", "--rounds", 200, "--seeds", 1, "--json")
    found = json.loads(call(*given, "--controller", "splitee,threshold=0.6").out)
    assert [each["name"] for each in found["phases"]] == ["blur:2", "clean"]
    assert [each["name"] for each in found["arms"]] == ["0.6 never", "never 0.6", "never"]
    again = json.loads(call(*given, "--controller", "splitee,threshold=0.6").out)
    assert again == found


def test_an_exported_model(call, exported):
    given = ("simulate", exported, "--rounds", 100, "--seeds", 1)
    answer = call(*given, "--data", TASK, "--trust-code", "--controller", "drift_guard,controller=fixed", "--json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert found["exits"] == ["0", "2", "final"]
    assert len(found["arms"]) == 2
    refused(call(*given), "add --data TASK")


def test_a_study_by_its_name(call, tmp_path, monkeypatch):
    def read(self, source):
        assert (source, self.network, self.storage) == ("digits-1", "trial 3", "sqlite:///here.db")
        return Recording(name="digits-1, trial 3", confidences=random_confidences(2, 50), exits=("0", "final"))

    monkeypatch.setattr("eenas.handle.recordings.RecordingSource.read", read)
    given = ("--network", "trial 3", "--storage", "sqlite:///here.db", "--rounds", 20, "--seeds", 1)
    assert "digits-1, trial 3: 50 samples" in call("simulate", "digits-1", *given).out


def test_wrong_input_is_one_line(call, csv, tmp_path):
    refused(call("simulate", csv, "--controller", "adaee,overhed=0.2"), "nearest: 'overhead'")
    refused(call("simulate", csv, "--controller", "adae"), "nearest: 'adaee'")
    (tmp_path / "mine.py").write_text("Mine = 3")
    refused(call("simulate", csv, "--controller", f"{tmp_path}/mine.py:Mine"), "--trust-code")
    refused(
        call("simulate", csv, "--controller", f"{tmp_path}/mine.py:Mine", "--trust-code"), "must be a class derived"
    )
    refused(call("simulate", csv, "--stream", "halvd"), "nearest: 'halved'")
    refused(call("simulate", csv, "--figure", "f.pdf"), ".html or .png")
    refused(call("simulate", csv, "--rounds", 0), "rounds must be")
    refused(call("simulate", csv, "--seeds", 0), "seeds must be")
    refused(call("simulate", "nothing"), "no such file or folder, and no study of this name")
    refused(call("simulate", tmp_path / "none.csv"), "no such file")
    refused(call("simulate", tmp_path), "neither an exported model nor a run")
    (tmp_path / "a.txt").write_text("x")
    refused(call("simulate", tmp_path / "a.txt"), "must end in .npz")
    (tmp_path / "a.npz").write_text("x")
    refused(call("simulate", tmp_path / "a.npz"), "not an exit table")
    (tmp_path / "empty.csv").write_text("")
    refused(call("simulate", tmp_path / "empty.csv"), "is empty")
    refused(call("simulate", csv, "--controller", "fixed"), "no thresholds of its own")
