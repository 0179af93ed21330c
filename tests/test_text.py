"""Texts from end to end: a study on a file, trained, exported, run with `tokenizers` alone, recalibrated."""

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import eenas
from eenas.backbones.transforms.text_transform import TextTransform
from eenas.cli.main import app
from eenas.errors import EenasError, TaskError
from eenas.networks.tables import batches
from eenas.tasks.load import load_task
from eenas.tasks.text.text_input import text_input
from eenas.testing.smallest import smallest_task
from tests.smallest_study import SETTINGS

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "text.md").read_text(encoding="utf-8")
(NET,) = re.findall(r"```python\n(# my_text_net.py\n.*?)```", PAGE, re.DOTALL)
"""The user's network that the page shows."""
QUICK = {"overrides": (*SETTINGS, "bank.branches=6"), "device": "cpu", "listener": None, "progress": False}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with texts in a file, others for calibration, and a network of the user."""
    home = tmp_path_factory.mktemp("text")
    task = load_task("phrases")
    for name, split, count in (("some", task.train, 320), ("others", task.test, 200)):
        rows = zip(split.samples.texts(split.rows[:count]), split.labels, strict=False)
        lines = [f"{task.classes[label]}\t{text}" for text, label in rows]
        (home / f"{name}.tsv").write_text("\n".join(["label\ttext", *lines]) + "\n", encoding="utf-8")
    (home / "my_text_net.py").write_text(NET)
    return home


@pytest.fixture(scope="module")
def study(home):
    return eenas.search(
        f"{home}/my_text_net.py:make",
        task=f"text:{home}/some.tsv",
        storage=f"sqlite:///{home}/eenas.db",
        space="text",
        trials=2,
        trust_code=True,
        **QUICK,
    )


@pytest.fixture(scope="module")
def model(study, home):
    """The folder of an exported network with branches that was trained fully."""
    found = [trial for trial in study.results.trials if trial.state == "complete" and trial.design.branches]
    choice = eenas.Choice(network=f"trial {min(found, key=lambda trial: len(trial.design.branches)).number}")
    options = {"overrides": ("full_training.samples=256",), "device": "cpu"}
    report = study.train(choice, out=home / "run", listener=lambda event: None, **options)
    assert len(report.exits) > 1
    return study.export(home / "model", run=home / "run", format="onnx")


def test_the_study(study):
    results = study.results
    assert [trial.state for trial in results.trials].count("failed") == 0
    assert {trial.design.inputs for trial in results.trials if trial.design is not None} == {text_input()}
    assert results.backbone.macs > 0
    assert all(network.points[0].expected["latency"] > 0 for network in results.networks if network.points)


def test_the_exported_network_carries_its_tokenizer(model):
    network = eenas.load(model, trust_code=True)
    assert isinstance(network.transform, TextTransform)
    assert (model / "tokenizer.json").read_text(encoding="utf-8") == network.transform.json
    assert eenas.verify(model, trust_code=True).samples > 0
    text = (model / "README.md").read_text()
    assert "How a text is prepared" in text
    assert network.transform.tokenizer in text


def test_the_runtime_answers_as_the_network_does_without_torch(model, home):
    spec = importlib.util.spec_from_file_location("carried_text_runtime", model / "runtime.py")
    runtime = importlib.util.module_from_spec(spec)
    sys.modules["carried_text_runtime"] = runtime  # its dataclasses look themselves up
    spec.loader.exec_module(runtime)
    opened, network = runtime.load(model), eenas.load(model, trust_code=True)
    task = load_task(f"text:{home}/others.tsv")
    transformed = torch.cat(list(batches(network, task.test, 50, torch.device("cpu"))))
    given = opened.preprocess(task.test.samples.texts(task.test.rows))
    np.testing.assert_array_equal(given, transformed.numpy())
    found, expected = opened.predict(given), network.predict(transformed)
    same = (found.classes == expected.classes.numpy()) & (found.exits == expected.exits.numpy())
    assert same.mean() > 0.99
    alone = opened.preprocess("lamp")
    assert alone.shape[1] < given.shape[1]  # the programs take any length
    assert opened.predict(alone).exits.shape == (1,)
    np.testing.assert_allclose(opened.logits(alone)[-1], network(torch.from_numpy(alone))[-1].detach(), atol=1e-4)
    opened.warm_up()
    with pytest.raises(runtime.InputError, match=r"a batch must be ids int64 \[N, at most 48\]"):
        opened.predict(np.ones((1, 56), dtype=np.int64))


def test_texts_are_answered_on_the_command_line(model, home):
    (home / "asked.txt").write_text("play some jazz\n\nGrüße 你好 😀\n", encoding="utf-8")
    found = CliRunner().invoke(app, ["run", str(model), "is Oslo windy?", str(home / "asked.txt"), "--json"])
    assert found.exit_code == 0, found.output
    for text in ("is Oslo windy?", "play some jazz"):
        assert f'"text": "{text}"' in found.output
    shown = CliRunner().invoke(app, ["run", str(model), "dim the lamp"])
    assert "dim the lamp" in shown.output
    assert "tokens" not in shown.output
    long = CliRunner().invoke(app, ["run", str(model), "jazz " * 500, "dim the lamp"])
    assert "1 text has more than 48 tokens; the rest was not read" in long.output
    assert "… (2,500 characters)" in " ".join(long.output.split())
    table = json.loads(CliRunner().invoke(app, ["run", str(model), "jazz " * 500, "dim", "--json"]).stdout)
    assert [(len(one["text"]), one.get("truncated")) for one in table] == [(2500, 48), (3, None)]
    refused = CliRunner().invoke(app, ["run", str(model), "missing.txt"])
    assert refused.exit_code == 2
    assert "missing.txt: no such file" in " ".join(refused.output.split())


def test_tiers_refuse_codecs_that_change_the_mask(study, model, home):
    name, storage = study.results.name, ["--storage", f"sqlite:///{home}/eenas.db", "--trust-code"]
    for source in ([name, *storage], [str(home / "run"), "--trust-code"], [str(model), "--trust-code"]):
        found = CliRunner().invoke(app, ["tiers", *source, "--link", "4g,codec=float16"])
        assert found.exit_code == 0, found.output
        refused = CliRunner().invoke(app, ["tiers", *source, "--link", "4g,codec=int8"])
        assert refused.exit_code == 2, refused.output
        assert "a mask must stay exact beside the features there" in " ".join(refused.output.split())


def test_recalibration_on_other_texts(model, home):
    found = eenas.calibrate(model, f"text:{home}/others.tsv", max_accuracy_drop=0.2, trust_code=True)
    assert found.samples > 0
    with pytest.raises(TaskError, match=r"the network takes text: .*, but the data are images"):
        eenas.calibrate(model, smallest_task(), max_accuracy_drop=0.2, trust_code=True)


def test_a_folder_without_its_tokenizer_is_refused(model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "copy")
    (copy / "tokenizer.json").unlink()
    with pytest.raises(EenasError, match=r"tokenizer.json: cannot be read"):
        eenas.load(copy, trust_code=True)
    with pytest.raises(EenasError, match=r"tokenizer.json: cannot be read"):
        eenas.runtime.load(copy).preprocess("a text")


def test_a_task_of_texts_needs_a_backbone_for_texts(home):
    with pytest.raises(EenasError, match="give text_transformer or hf:NAME_OR_FOLDER"):
        eenas.search("resnet18", task=f"text:{home}/some.tsv", storage=f"sqlite:///{home}/other.db", trials=1, **QUICK)
