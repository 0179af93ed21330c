"""The verbs of exported models, called as a user does on a real one."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from eenas.programs.runtime import load
from eenas.testing.smallest import SIZE, smallest_task

TASK = "eenas.testing.smallest:smallest_task"


@pytest.fixture
def model(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "model")


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, image in enumerate(smallest_task().test.images(SIZE, 3)[np.arange(6)].numpy()):
        Image.fromarray(np.moveaxis(image, 0, 2)).save(folder / f"{index}.png")
    return folder


def refused(answer, *words):
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err


def test_verify(call, model):
    answer = call("verify", model, "--data", TASK, "--trust-code")
    assert answer.status == 0, answer.err
    assert f"parity on 60 samples of {TASK} (validation)" in " ".join(answer.out.split())
    assert json.loads(call("verify", model, "--data", TASK, "--trust-code", "--json").out)["differing"] == 0
    refused(call("verify", model, "--data", TASK), "is Python code", "--trust-code")
    (model / "segment_0.onnx").unlink()
    refused(call("verify", model, "--data", TASK, "--trust-code"), "segment_0.onnx: is missing")


def test_run(call, model, pictures, monkeypatch):
    monkeypatch.chdir(pictures.parent)  # a long path would be wrapped in the table
    answer = call("run", model, f"{pictures.name}/3.png", pictures.name, "--threads", "1")
    assert answer.status == 0, answer.err
    expected = load(model).predict(smallest_task().test.images(SIZE, 3)[np.arange(6)].numpy())
    found = json.loads(call("run", model, pictures, "--json").out)
    classes = smallest_task().classes
    assert [one["label"] for one in found] == [classes[k] for k in expected.classes]
    assert [one["exit"] for one in found] == [("0", "2", "final")[k] for k in expected.exits]
    np.testing.assert_allclose([one["confidence"] for one in found], expected.confidences, atol=1e-6)
    assert all(one["milliseconds"] > 0 for one in found)
    assert answer.out.count(".png") == 7
    cheap = json.loads(call("run", model, pictures, "--json", "--max-macs", "0.223").out)
    assert {one["exit"] for one in cheap} == {"0"}


def test_run_refuses_what_it_cannot_answer(call, model, pictures, tmp_path):
    refused(call("run", model, tmp_path / "none.png"), "none.png: no such file")
    refused(call("run", model, tmp_path), "contains no image files", "folders in it are not read")
    (pictures / "0.png").write_bytes(b"nonsense")
    refused(call("run", model, pictures), "0.png", "unknown image format")
    refused(call("run", tmp_path, pictures / "1.png"), "has no eenas.json")
    refused(call("run", model, pictures / "1.png", "--max-macs", "0.1"), "the nearest costs 22.2 %")
    refused(call("run", model, pictures / "1.png", "--provider", "tpu"), "must be cpu or cuda, got 'tpu'")


def test_run_answers_what_can_be_read_and_names_the_others(call, model, pictures, tmp_path):
    truncated = pictures / "2.png"
    truncated.write_bytes(truncated.read_bytes()[:-30])
    (pictures / "._3.png").write_bytes(b"left by macOS")
    (pictures / "notes.txt").write_text("")
    answer = call("run", model, pictures, tmp_path / "none.png")
    assert answer.status == 2
    assert answer.out.count(".png") == 5
    lines = answer.err.splitlines()
    assert len(lines) == 3
    assert any("._3.png: skipped, because it is hidden" in line for line in lines)
    assert any("error: " in line and "2.png: a corrupt image (image file is truncated)" in line for line in lines)
    assert any("none.png: no such file" in line for line in lines)
    found = json.loads(call("run", model, pictures, "--json").out)
    assert [("label" in one, "reason" in one) for one in found].count((True, False)) == 5
    assert [one["file"].endswith("2.png") for one in found if "reason" in one] == [True]
    (pictures / "2.png").unlink()
    assert call("run", model, pictures).status == 0  # a hidden file is no fault


def test_calibrate(call, model):
    answer = call("calibrate", model, "--data", TASK, "--max-accuracy-drop", "0.1", "--trust-code")
    assert "fitted on the 40 samples of the calibration split; 300 of the train and validation splits" in answer.err
    assert "were not used; add --unseen" in answer.err
    assert answer.status == 0, answer.err
    assert "before" in answer.out
    assert "after" in answer.out
    assert f"written: {model}" in answer.err
    wrong = call("calibrate", model, "--data", TASK, "--trust-code", "--max-macs", "0.5", "--max-accuracy-drop", "0.1")
    refused(wrong, "--max-accuracy-drop and --max-macs are mutually exclusive")
    refused(call("calibrate", model, "--data", TASK, "--trust-code"), "got none")
    skipped = call("calibrate", model, "--data", TASK, "--trust-code", "--max-macs", "0.5", "--skip-bad")
    refused(skipped, "task.skip_bad is for folder:PATH")
    refused(call("calibrate", model, "--data", "digits", "--max-macs", "0.5"), "the classes of the model")


def test_calibrate_states_the_guarantee_or_that_there_is_none(call, model):
    asked = ("calibrate", model, "--data", TASK, "--trust-code", "--unseen", "--confidence", "0.9")
    answer = call(*asked, "--max-accuracy-drop", "0.1")
    assert answer.status == 0, answer.err
    said = " ".join(answer.out.split())
    assert "With 90 % probability, the answer is wrong where the final exit is right on at most 10.00 % of" in said
    said = " ".join(call(*asked, "--max-accuracy-drop", "0.1", "--loss", "consistency").out.split())
    assert "differs from that of the final exit" in said
    refused(call(*asked), "confidence needs max_accuracy_drop")
    refused(call(*asked, "--max-accuracy-drop", "0.001"), "needs at least", "calibration samples", "give more samples")


def test_export_asks_for_samples_and_knows_its_formats(call, tmp_path, model):
    design = str(model / "design.json")
    refused(call("export", "--design", design, tmp_path / "out", "--format", "tflite"), "unknown format 'tflite'")
    refused(call("export", "--design", design, tmp_path / "out", "--single-file"), "use --format onnx")
    asked = call("export", "--design", design, tmp_path / "out", "--format", "pt2", "--trust-code")
    refused(asked, "real samples; give some as --data")
    out = tmp_path / "out"
    answer = call("export", "--design", design, out, "--format", "pt2", "--trust-code", "--data", TASK)
    assert answer.status == 0, answer.err
    assert "parity on 60 samples" in answer.err
    assert f"next: eenas run {out} FILE --trust-code" in answer.err
    refused(call("run", out, tmp_path), ".pt2 files can contain Python code", "--trust-code")
    refused(call("run", out, tmp_path, "--trust-code"), "contains no image files")


def test_experts(call, exported, tmp_path):
    out = tmp_path / "robust"
    given = ("--data", TASK, "--kind", "contrast", "--severity", "5", "--samples", "320", "--trust-code")
    answer = call("experts", exported, out, *given)
    assert answer.status == 0, answer.err
    assert "expert 1 of 1, contrast: 320 images" in answer.err
    for word in ("clean", "contrast:5", "answered by", "choosing the expert takes"):
        assert word in answer.out
    again = call("experts", exported, out, *given, "--json")
    assert again.status == 0, again.err
    assert [each["context"] for each in json.loads(again.out)["contexts"]] == ["clean", "contrast:5"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--kind", "contrat"), ("unknown distortion", "contrast")),
        (("--kind", "contrast", "--severity", "6"), ("1 to 5", "6")),
        (("--kind", "contrast", "--kind", "contrast"), ("different names",)),
        (("--kind", "contrast", "--samples", "0"), ("samples", "0")),
        (("--kind", "contrast", "--format", "pt2"), ("'torch' or 'onnx'",)),
    ],
)
def test_experts_that_cannot_be(call, exported, tmp_path, flags, words):
    answer = call("experts", exported, tmp_path / "out", "--data", TASK, *flags, "--trust-code")
    refused(answer, *words)
    assert not (tmp_path / "out").exists()
