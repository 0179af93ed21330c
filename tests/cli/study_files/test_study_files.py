"""`eenas explain` and `eenas init` as they are called."""

import json

import numpy as np


def test_a_key_is_explained(call):
    answer = call("explain", "search.trials")
    assert answer.status == 0
    assert answer.out.splitlines() == [
        "search.trials  (study file)",
        "    whole number; default: 16",
        "    Number of trials in total, also when a search is resumed.",
    ]


def test_all_keys_are_listed_and_a_key_is_json_for_scripts(call):
    assert "tiers.NAME.link.mbit  (study)" in call("explain").out.splitlines()
    (found,) = json.loads(call("explain", "trial_notes", "--json").out)
    assert (found["file"], found["default"], found["note"]) == ("dashboard", "12", "live pages")


def test_a_miss_is_one_line_with_the_nearest_names(call):
    answer = call("explain", "trails")
    assert answer.status == 2
    assert answer.err == "error: no file has the key 'trails'; nearest: 'trials', 'train', 'threads'\n"
    assert call("explain", "zzzz").err.endswith(" known names is close; `eenas explain` lists all\n")


def test_a_study_file_is_written_once(call, tmp_path):
    np.savez(tmp_path / "arrays.npz", train_x=np.zeros((40, 8, 8), np.uint8), train_y=np.arange(40) % 2)
    answer = call("init", tmp_path)
    assert answer.status == 0
    file = tmp_path / "study.toml"
    assert answer.out.splitlines() == ["npz:arrays.npz: 40 images in 2 classes", f"written: {file}"]
    assert answer.err == f"next: eenas search --study {file}\n"
    before = file.read_bytes()
    again = call("init", tmp_path, "--backbone", "resnet18")
    assert (again.status, file.read_bytes()) == (2, before)
    assert again.err == f"error: {file}: exists; give another file with --out, or remove it\n"
    assert call("init", tmp_path, "--backbone", "resnet18", "--out", tmp_path / "other.toml").status == 0
    assert 'name = "resnet18"' in (tmp_path / "other.toml").read_text(encoding="utf-8")


def test_a_study_on_the_digits_is_announced(call, tmp_path):
    assert call("init", tmp_path).out.startswith(f"{tmp_path}: holds no data and no network; the study uses the")
    (tmp_path / "mine.pt").write_bytes(b"")
    answer = call("init", tmp_path, "--out", tmp_path / "other.toml")
    assert f"{tmp_path}: holds no data; the study uses the embedded digits" in answer.out.splitlines()
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    answer = call("init", tmp_path, "--out", tmp_path / "third.toml")
    assert "embedded digits" not in answer.out
    assert 'spec = "text:a.csv"' in (tmp_path / "third.toml").read_text(encoding="utf-8")
