"""Time series from end to end: a study on arrays, trained, exported, run without torch, recalibrated and reported."""

import importlib.util
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import eenas
from eenas.backbones.transforms.series_transform import SeriesTransform
from eenas.cli.main import app
from eenas.errors import InputError, TaskError
from eenas.networks.tables import batches
from eenas.tasks.series.series_input import series_input
from eenas.tasks.series.waves import waves
from eenas.testing.smallest import smallest_task
from tests.smallest_study import SETTINGS

pytestmark = pytest.mark.slow

NET = '''
"""A user's network for series."""
from torch import nn

def make(num_classes):
    sizes = ((2, 8), (8, 16), (16, 16))
    parts = [nn.Sequential(nn.Conv1d(a, b, 5, 2, 2), nn.BatchNorm1d(b), nn.ReLU()) for a, b in sizes]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, num_classes))
'''
QUICK = {"overrides": (*SETTINGS, "bank.branches=6"), "device": "cpu", "listener": None, "progress": False}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with series as arrays, others for calibration, and a network of the user."""
    home = tmp_path_factory.mktemp("series")
    series, labels = waves(640)
    names = np.array(["sine", "square", "sawtooth", "chirp"])
    np.savez(home / "some.npz", train_x=series[:400], train_y=labels[:400], classes=names)
    np.savez(home / "others.npz", train_x=series[400:], train_y=labels[400:], classes=names)
    np.save(home / "one.npy", series[3])
    (home / "net.py").write_text(NET)
    return home


@pytest.fixture(scope="module")
def study(home):
    return eenas.search(
        "series_resnet_small",
        task=f"npz:{home}/some.npz",
        storage=f"sqlite:///{home}/eenas.db",
        space="series",
        trials=2,
        **QUICK,
    )


def _branched(study):
    """The network with the fewest branches that has one, which all panels of a report are about."""
    found = [trial for trial in study.results.trials if trial.state == "complete" and trial.design.branches]
    return eenas.Choice(network=f"trial {min(found, key=lambda trial: len(trial.design.branches)).number}")


@pytest.fixture(scope="module")
def model(study, home):
    """The folder of the exported network that was trained fully."""
    options = {"overrides": ("full_training.samples=256",), "device": "cpu"}
    report = study.train(_branched(study), out=home / "run", listener=lambda event: None, **options)
    assert len(report.exits) > 1
    return study.export(home / "model", run=home / "run", format="onnx", single_file=True)


def test_the_study(study):
    results = study.results
    assert [trial.state for trial in results.trials].count("failed") == 0
    designs = [trial.design for trial in results.trials if trial.design is not None]
    assert {design.inputs for design in designs} == {series_input(2, 64)}
    assert any(design.branches for design in designs)
    assert results.backbone.macs > 0
    assert all(network.points[0].expected["latency"] > 0 for network in results.networks if network.points)


def test_the_exported_network_carries_inputs_and_statistics(model):
    network = eenas.load(model)
    assert network.design.inputs == network.transform.inputs == series_input(2, 64)
    assert isinstance(network.transform, SeriesTransform)
    assert len(network.transform.mean) == len(network.transform.std) == 2
    assert eenas.verify(model).samples > 0
    text = (model / "README.md").read_text()
    assert "How a series is prepared" in text
    assert "uint8" not in text


def test_the_runtime_answers_as_the_network_does_without_torch(model, home):
    spec = importlib.util.spec_from_file_location("carried_runtime", model / "runtime.py")
    runtime = importlib.util.module_from_spec(spec)
    sys.modules["carried_runtime"] = runtime  # its dataclasses look themselves up
    spec.loader.exec_module(runtime)
    opened, network = runtime.load(model), eenas.load(model)
    task = eenas.Task.from_arrays("t", *_arrays(home), input="series")
    transformed = torch.cat(list(batches(network, task.test, 50, torch.device("cpu"))))
    raw = task.test.reader(task.inputs)[np.arange(len(task.test))].numpy()
    given = opened.preprocess(list(raw))
    np.testing.assert_array_equal(given, transformed.numpy())
    found, expected = opened.predict(given), network.predict(transformed)
    same = (found.classes == expected.classes.numpy()) & (found.exits == expected.exits.numpy())
    assert same.mean() > 0.99
    opened.warm_up()
    with pytest.raises(
        runtime.InputError, match=r"must be floats \[N, 2, 64\] .*, got float32 \[3, 2, 63\]; cut or pad"
    ):
        opened.predict(given[:3, :, :63])
    with pytest.raises(runtime.InputError, match="NaN or infinity in sample 0 of 1"):
        opened.preprocess(np.full((2, 64), np.nan))


def _arrays(home):
    with np.load(home / "others.npz") as file:
        return file["train_x"], file["train_y"]


def test_recalibration_on_other_series(model, home):
    found = eenas.calibrate(model, f"npz:{home}/others.npz", max_accuracy_drop=0.2)
    assert found.samples > 0
    with pytest.raises(
        TaskError, match=r"the network takes series: .*, but the data are images: .*; give data of that"
    ):
        eenas.calibrate(model, smallest_task(), max_accuracy_drop=0.2)
    with pytest.raises(
        TaskError, match=r"network takes series: float32 \[channel 2, time 64\]; give series with the same"
    ):
        eenas.calibrate(model, _shorter(home), max_accuracy_drop=0.2)


def _shorter(home):
    series, labels = _arrays(home)
    names = ("sine", "square", "sawtooth", "chirp")
    return eenas.Task.from_arrays("short", series[:, :, :50], labels, classes=names, input="series")


def test_files_are_answered_on_the_command_line(model, home):
    found = CliRunner().invoke(app, ["run", str(model), str(home / "one.npy"), "--json"])
    assert found.exit_code == 0, found.output
    assert '"label"' in found.output
    (home / "empty").mkdir()
    nothing = CliRunner().invoke(app, ["run", str(model), str(home / "empty")])
    assert "contains no series files (.npy)" in " ".join(nothing.output.split())
    np.save(home / "short.npy", np.zeros((2, 10)))
    refused = CliRunner().invoke(app, ["run", str(model), str(home / "short.npy")])
    assert refused.exit_code == 2
    assert "cut or pad them" in " ".join(refused.output.split())


def test_the_report_draws_lines(study, home):
    page = study.report(home / "report.html", choice=_branched(study)).read_text()
    drawn = page.count('<figure><img class="lines" src="data:image/svg+xml;base64,')
    assert drawn > 5 or "every sample of trial" in page, "a point at which all leave at one exit has no such panel"
    assert '<figure><img src="data:image/png;base64,' not in page
    assert "is not in the report" not in page


def test_a_network_of_the_user_is_searched_too(home, monkeypatch):
    monkeypatch.chdir(home)
    options = {"storage": f"sqlite:///{home}/own.db", "trust_code": True, "trials": 1, "space": "series", **QUICK}
    found = eenas.search("./net.py:make", task="npz:some.npz", **options)
    assert [trial.state for trial in found.results.trials] == ["complete"]
    assert found.results.backbone.macs > 0


def test_a_raw_batch_of_another_type_is_refused(model):
    network = eenas.load(model)
    with pytest.raises(InputError, match=r"raw samples, torch.int16, are transformed first"):
        network(torch.zeros(2, 2, 64, dtype=torch.int16))
