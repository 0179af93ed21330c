"""Exits in time from end to end: a study finds a network, its export keeps budgets of earliness and answers streams."""

import numpy as np
import pytest
import torch

import eenas
from eenas.errors import PolicyError
from eenas.networks.tables import batches
from eenas.programs.runtime import load
from eenas.tasks.series.waves import waves
from tests.smallest_study import SETTINGS

pytestmark = pytest.mark.slow

OBJECTIVES = 'search.objectives=["accuracy", "earliness"]'


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of an ONNX export, and other series with their labels."""
    home = tmp_path_factory.mktemp("in_time")
    series, labels = waves(480)
    np.savez(home / "some.npz", train_x=series[:360], train_y=labels[:360])
    study = eenas.search(
        "series_gru_in_time",
        task=f"npz:{home}/some.npz",
        storage=f"sqlite:///{home}/eenas.db",
        space="in_time",
        trials=3,
        overrides=(*SETTINGS, "bank.branches=4", OBJECTIVES),
        device="cpu",
        listener=None,
        progress=False,
    )
    found = [trial for trial in study.results.trials if trial.state == "complete" and trial.design.branches]
    chosen = eenas.Choice(network=f"trial {max(found, key=lambda trial: len(trial.design.branches)).number}")
    quick = ("full_training.samples=256", "full_training.epochs=6")
    study.train(chosen, out=home / "run", listener=lambda event: None, overrides=quick, device="cpu")
    return study.export(home / "model", run=home / "run", format="onnx"), series[360:], labels[360:]


def test_budgets_of_earliness_are_kept_by_onnx(exported) -> None:
    folder, series, _ = exported
    model = load(folder)
    assert model.manifest.seen_points[-1] == 64
    assert len(model.manifest.seen_points) == len(model.exits) > 1
    given, seen = model.preprocess(list(series)), np.array(model.manifest.seen_points) / 64
    means, accuracies = [], []
    for budget in (seen[0] + 1e-6, 0.5 * (seen[0] + 1.0), 1.0):
        point = model.set_budget(earliness=budget)
        assert point.expected["earliness"] <= budget + 1e-9
        found = model.predict(given)
        means.append(float(seen[found.exits].mean()))
        assert means[-1] <= budget + 0.15
        accuracies.append(point.accuracy)
    assert means == sorted(means)
    assert accuracies == sorted(accuracies)
    with pytest.raises(PolicyError, match=r"no operating point costs at most .* of the series"):
        model.set_budget(earliness=0.5 * seen[0])


def test_the_export_answers_as_the_network_and_a_stream_as_the_whole_series(exported) -> None:
    folder, series, labels = exported
    model, network = load(folder), eenas.load(folder)
    model.set_budget(earliness=0.9)
    network.policy = model.policy
    task = eenas.Task.from_arrays("others", series, labels, input="series")
    x = torch.cat(list(batches(network, task.test, 50, torch.device("cpu"))))
    raw = task.test.reader(task.inputs)[np.arange(len(task.test))].numpy()
    found, expected = model.predict(model.preprocess(list(raw))), network.predict(x)
    same = (found.classes == expected.classes.numpy()) & (found.exits == expected.exits.numpy())
    assert same.mean() > 0.99
    for index in range(5):
        stream = model.stream()
        answer = stream.push(raw[index]) or stream.finish()
        assert (answer.number, answer.exit) == (found.classes[index], model.exits[found.exits[index]])
