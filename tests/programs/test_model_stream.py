"""Streams: the answer of an exported model in time is that of the whole series, and needs no point of the future."""

import json

import numpy as np
import pytest
import torch

import eenas
from eenas.backbones.load import BackboneSpec
from eenas.deployment.network_segments import as_model
from eenas.errors import ExportError, InputError, PolicyError
from eenas.policies.fit import Fitting
from eenas.programs.model_folder import Package, write_folder
from eenas.programs.programs import Programs
from eenas.programs.runtime import load as open_model
from eenas.tasks.series.waves import waves


def exported(folder, series, labels, programs=None):
    """A fitted network in a folder, with its measured exits, and with its programs if wanted."""
    fitted = eenas.fit_in_time(series, labels, blocks=3, kernels=6, thresholds=2)
    network, table = fitted.network, fitted.held_out
    network.policy = Fitting(table).policy({"earliness": 0.6})
    exits = [
        {"name": name, "macs": float(fitted.costs["macs"][k]), "temperature": 1.0, "accuracy": 0.5, "share": 0.1}
        for k, name in enumerate(network.exits)
    ]
    measured = {"backbone": {"name": "module:Sequential", "macs": 1e5}, "exits": exits}
    spec = BackboneSpec(name="module:Sequential")
    package = Package(network=network, backbone=spec, trained=True, measured=measured, card="# Waves\n")
    return network, write_folder(package, folder, programs)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    series, labels = waves(120)
    network, folder = exported(tmp_path_factory.mktemp("stream") / "model", series, labels, Programs(format="onnx"))
    return network, folder, open_model(folder)


def test_a_stream_answers_as_the_whole_series_and_as_early(model) -> None:
    _, _, opened = model
    series = waves(160)[0][120:]
    whole = opened.predict(opened.preprocess(list(series)))
    assert len(set(whole.exits.tolist())) > 1
    assert opened.manifest.seen_points == (21, 43, 64)
    for index, each in enumerate(series):
        stream, answer, sent = opened.stream(), None, 0
        while answer is None:
            answer = stream.push(each[:, sent : sent + 5])
            sent += 5
        needed = opened.manifest.seen_points[whole.exits[index]]
        assert answer.points == needed <= sent < needed + 5
        assert (answer.number, answer.exit) == (whole.classes[index], opened.exits[whole.exits[index]])
        assert answer.earliness == needed / 64
        assert answer.confidence == pytest.approx(whole.confidences[index], abs=1e-5)
        assert stream.push(np.full((2, 500), np.nan)) is answer


def test_the_network_answers_as_its_programs(model) -> None:
    network, _, opened = model
    x = opened.preprocess(list(waves(140)[0][120:]))
    found, expected = opened.predict(x), network.predict(torch.from_numpy(x))
    np.testing.assert_array_equal(found.exits, expected.exits.numpy())
    np.testing.assert_allclose(found.logits, expected.logits.numpy(), atol=1e-4)


def test_a_series_that_ends_early_gets_the_answer_of_the_last_exit(model) -> None:
    _, _, opened = model
    opened.set_thresholds(None, None)
    each = waves(121)[0][120]
    stream = opened.stream()
    assert stream.push(each[:, :20]) is None
    with pytest.raises(InputError, match="the first exit of this model waits for 21 points, got 20; push more"):
        stream.finish()
    assert stream.push(each[:, 20:30]) is None
    answer = stream.finish()
    assert (answer.exit, answer.points) == ("time1", 30)
    with pytest.raises(InputError, match="at most 64 points, got 65"):
        opened.stream().push(np.zeros((2, 65)))
    with pytest.raises(InputError, match=r"floats \[2, n\] \(channels before time\), got float64 \[3, 4\]"):
        opened.stream().push(np.zeros((3, 4)))
    with pytest.raises(InputError, match="NaN"):
        opened.stream().push(np.full((2, 4), np.nan))


def test_series_of_different_length(tmp_path) -> None:
    series, labels = waves(120)
    lengths = np.random.default_rng(0).integers(10, 65, size=120)
    some = [each[:, :length] for each, length in zip(series, lengths, strict=True)]
    opened = as_model(*exported(tmp_path / "model", some, labels))
    given = opened.preprocess(*some[:30])
    assert given.shape == (30, 3, 64)
    whole = opened.predict(given)
    for index in range(30):
        stream = opened.stream()
        stream.push(some[index])
        answer = stream.finish()
        assert answer.number == whole.classes[index]
        assert answer.exit == opened.exits[whole.exits[index]]
        assert answer.points <= lengths[index]
    with pytest.raises(InputError, match="must have 1 to 64 points, got 65"):
        opened.preprocess(np.zeros((2, 65)))


def test_models_without_exits_in_time_have_no_streams(model) -> None:
    _, folder, _ = model
    table = json.loads((folder / "eenas.json").read_text())
    for points in ([21, 43], [43, 21, 64], [1, 2, 65], "all"):
        (folder / "eenas.json").write_text(json.dumps({**table, "seen_points": points}))
        with pytest.raises(ExportError, match="seen_points must be 3 rising points up to 64"):
            open_model(folder)
    (folder / "eenas.json").write_text(json.dumps({key: value for key, value in table.items() if key != "seen_points"}))
    with pytest.raises(InputError, match="has no exits in time"):
        open_model(folder).stream()
    (folder / "eenas.json").write_text(json.dumps({**table, "policy": None}))
    with pytest.raises(PolicyError, match="without a policy"):
        open_model(folder).stream()
    (folder / "eenas.json").write_text(json.dumps(table))
