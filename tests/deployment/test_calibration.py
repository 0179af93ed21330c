"""Recalibration: the limit is kept on new data, weights and programs stay, and what cannot be done is said."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from eenas.deployment.calibration import HEADING, calibrate, exit_table
from eenas.deployment.program_folder import verify
from eenas.errors import DeviceError, ExportError, PolicyError, TaskError
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table as eager_table
from eenas.policies.costs import Costs
from eenas.programs.model_folder import load, write_folder
from eenas.programs.runtime import load as open_model
from eenas.tasks.task import Task
from eenas.testing.smallest import SIZE, smallest_task

from ..exported import BACKBONE_MACS, MACS, smallest_package

NEW = smallest_task(seed=5)


@pytest.fixture
def folder(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "model")


def test_the_table_of_the_programs_is_that_of_the_network(exported):
    found = exit_table(open_model(exported), [NEW.calibration, NEW.test], Costs.of(macs=MACS))
    network = load(exported, trust_code=True)
    tables = [eager_table(network, split, ExitCosts(Costs.of(macs=MACS), 0)) for split in (NEW.calibration, NEW.test)]
    np.testing.assert_allclose(found.logits, np.concatenate([table.logits for table in tables]), atol=1e-5)
    np.testing.assert_array_equal(found.labels, np.concatenate([table.labels for table in tables]))


@pytest.mark.parametrize("limit", [{"max_accuracy_drop": 0.02}, {"max_macs": 0.3}])
def test_the_limit_holds_on_the_samples_it_was_fitted_on(folder, limit):
    programs = {path.name: path.read_bytes() for path in folder.glob("segment_*")}
    before = open_model(folder)
    found = calibrate(folder, NEW, **limit, unseen=True)
    model = open_model(folder)
    assert {path.name: path.read_bytes() for path in folder.glob("segment_*")} == programs
    assert model.policy == found.after.policy != before.policy
    assert found.before.policy == before.policy
    assert (found.fitted_on, found.samples) == (340, 60)
    table = exit_table(model, [NEW.train, NEW.calibration, NEW.validation], Costs.of(macs=MACS))
    done = model.policy.apply(table)
    if "max_macs" in limit:
        assert MACS[done.exit_index].mean() <= 0.3 * BACKBONE_MACS
    else:
        assert (done.answer == table.labels).mean() >= table.exit_accuracy()[-1] - 0.02
        assert MACS[done.exit_index].mean() < MACS[-1]
    test = exit_table(model, [NEW.test], Costs.of(macs=MACS))
    assert found.after.accuracy == pytest.approx((model.policy.apply(test).answer == test.labels).mean())
    assert model.manifest.temperatures != before.manifest.temperatures
    chosen = model.set_budget(macs=0.25)  # the points are new ones, too
    assert chosen.policy.temperatures == found.after.policy.temperatures
    assert verify(folder, data=smallest_task(), trust_code=True).differing == 0  # the single file with it


def test_a_certified_limit_is_kept_in_the_model_and_on_its_card(folder):
    found = calibrate(folder, NEW, max_accuracy_drop=0.1, confidence=0.9, unseen=True).after
    assert (found.guarantee.max_risk, found.guarantee.confidence, found.guarantee.samples) == (0.1, 0.9, 272)
    model, network = open_model(folder), load(folder, trust_code=True)
    assert model.policy == found.policy
    assert model.guarantee == network.guarantee == found.guarantee
    assert found.guarantee.sentence().replace("-", r"\-")[:60] in (folder / "README.md").read_text()
    model.set_thresholds(0.5)
    network.policy = model.policy
    assert model.guarantee is network.guarantee is None  # other thresholds are not covered
    assert calibrate(folder, NEW, max_accuracy_drop=0.1, unseen=True).after.guarantee is None
    assert open_model(folder).guarantee is None
    card = (folder / "README.md").read_text()
    assert "a guarantee stated above does not hold for them" in card
    assert "probability" not in card.partition(HEADING)[2]


def test_learned_gates_are_trained_again(folder, monkeypatch):
    monkeypatch.setattr("eenas.policies.learned.selection.LEAST_SAMPLES", 200)
    monkeypatch.setattr("eenas.policies.learned.selection.LearnedFit.wins", lambda *_: True)
    path = folder / "eenas.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    table["rule"]["kind"] = "backward_regression"
    path.write_text(json.dumps(table), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(ExportError, match="needs a policy of the kind 'threshold', got 'backward_regression'"):
        calibrate(folder, NEW, max_macs=0.6, unseen=True)
    assert path.read_bytes() == before
    del table["program"]["single_file"]
    path.write_text(json.dumps(table), encoding="utf-8")
    found = calibrate(folder, NEW, max_macs=0.6, unseen=True)
    assert found.after.policy.kind == "backward_regression"
    model = open_model(folder)
    assert model.policy == found.after.policy
    test = exit_table(model, [NEW.test], Costs.of(macs=MACS))
    x = model.manifest.preprocessing(NEW.test.images(SIZE, 3)[np.arange(len(NEW.test))].numpy())
    done = model.policy.apply(test)
    assert model.predict(x).exits.tolist() == done.exit_index.tolist()
    assert len(set(done.exit_index.tolist())) > 1
    assert model.set_budget(macs=0.4).policy.kind == "backward_regression"


def test_a_learned_kind_that_does_not_win_is_named(folder, monkeypatch):
    monkeypatch.setattr("eenas.policies.learned.selection.LearnedFit.wins", lambda *_: False)
    path = folder / "eenas.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    table["rule"]["kind"] = "backward_regression"
    path.write_text(json.dumps(table), encoding="utf-8")
    found = calibrate(folder, NEW, max_macs=0.6, unseen=True)
    assert found.after.policy.kind == "threshold"
    (sentence,) = found.declined
    assert sentence.startswith("The learned policy backward_regression did not win")
    assert "did not win on held" in (folder / "README.md").read_text().partition(HEADING)[2]


def test_the_single_file_has_the_new_thresholds(folder):
    calibrate(folder, NEW, max_macs=0.3)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    images = NEW.test.images(SIZE, 3)[np.arange(20)].numpy()
    model = open_model(folder)
    x = model.manifest.preprocessing(images)
    assert [int(session.run(["exits"], {"x": x[i : i + 1]})[0][0]) for i in range(20)] == model.predict(
        x
    ).exits.tolist()


def test_it_says_what_was_done_once(folder):
    for _ in range(2):
        calibrate(folder, NEW, max_macs=0.3)
    card = (folder / "README.md").read_text()
    assert card.startswith("# Smallest\n")
    assert card.count(HEADING) == 1
    measured = json.loads((folder / "eenas.json").read_text())["measured"]
    assert (measured["calibrated_on"], measured["samples"], measured["end_to_end_ms"]) == ("smallest", 60, None)


@pytest.mark.parametrize(("accuracy", "warned"), [(0.4, True), (0.95, False)])
def test_data_that_the_network_knows_better_than_its_test_split_are_said(folder, accuracy, warned):
    """Also where it was recalibrated before: the figures of its run are kept."""
    table = json.loads((folder / "eenas.json").read_text())
    table["measured"]["samples"] = 200
    table["measured"]["exits"][-1]["accuracy"] = accuracy
    (folder / "eenas.json").write_text(json.dumps(table))
    for _ in range(2):
        warning = calibrate(folder, NEW, max_macs=0.3).warning
        assert (warning is not None) == warned
        if warning is not None:
            assert (
                "and had 40.0 % on 200 test samples when it was exported: the model was probably trained on" in warning
            )
            assert "on these 100 samples" in warning
    measured = json.loads((folder / "eenas.json").read_text())["measured"]
    assert measured["tested"] == {"accuracy": accuracy, "samples": 200}


def test_what_was_left_aside_few_samples_and_a_model_that_is_static_now_are_said(folder):
    found = calibrate(folder, NEW, max_macs=0.4)
    assert (found.fitted_on, found.samples, found.unused) == (40, 60, 300)
    (few,) = found.cautions
    assert few.startswith("the thresholds rest on 40 samples, each of which is 2.5 points of accuracy")
    assert few.endswith("--unseen if the model was trained on none of them")
    found = calibrate(folder, NEW, max_macs=0.4, unseen=True)
    assert (found.fitted_on, found.unused, found.cautions) == (340, 0, ())
    few, *_ = calibrate(folder, NEW, max_accuracy_drop=0.001, unseen=True).cautions
    assert few.endswith("would give other thresholds; give more")
    (static,) = calibrate(folder, NEW, max_macs=MACS[0] / BACKBONE_MACS, unseen=True).cautions
    assert static.startswith("every sample leaves at the first exit (0): the model is now static")


@pytest.mark.parametrize(("accuracy", "samples"), [(0.1, None), (None, 200)])
def test_a_manifest_that_does_not_say_what_was_tested_gives_no_warning(folder, accuracy, samples):
    table = json.loads((folder / "eenas.json").read_text())
    table["measured"]["samples"] = samples
    table["measured"]["exits"][-1]["accuracy"] = accuracy
    (folder / "eenas.json").write_text(json.dumps(table))
    assert calibrate(folder, NEW, max_macs=0.3).warning is None


def test_milliseconds_are_measured_here(folder):
    calibrate(folder, NEW, max_latency_ms=1000.0)
    measured = json.loads((folder / "eenas.json").read_text())["measured"]
    assert measured["latency"].endswith("one program for each segment")
    times = [exit_["latency_ms"] for exit_ in measured["exits"]]
    assert 0 < times[0] <= times[1] <= times[2]
    with pytest.raises(PolicyError, match=r"no policy keeps max_latency_ms 1e-06 .* the nearest: \d\S* ms"):
        calibrate(folder, NEW, max_latency_ms=1e-6)


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        ({}, "exactly one limit of max_accuracy_drop, max_macs, max_latency_ms and max_NAME of another cost, got none"),
        ({"max_macs": 0.5, "max_accuracy_drop": 0.1}, "got max_accuracy_drop, max_macs"),
        ({"max_macs": -0.5}, "of at least 0, got -0.5"),
        ({"max_macs": float("nan")}, "of at least 0, got nan"),
        ({"max_accuracy_drop": 5}, r"must be in \[0, 1\], got 5; 0.005 is half a point"),
        ({"max_macs": 20}, r"max_macs is a share of the backbone's MACs \(0.2 for 20 %\), got 20; give 0.2 for 20 %"),
        (
            {"max_macs": 0.5, "confidence": 0.95},
            "confidence needs max_accuracy_drop, the loss to certify, such as 0.01",
        ),
        ({"max_accuracy_drop": 0.1, "confidence": 95}, "confidence must be .* got 95; 0.95 is 95 %"),
        ({"max_accuracy_drop": 0, "confidence": 0.9}, "max_accuracy_drop with a confidence must be .* got 0; 0.01 is"),
        ({"max_accuracy_drop": 0.1, "loss": "consistency"}, "the loss consistency needs a confidence, such as 0.95"),
        ({"max_accuracy_drop": 0.1, "confidence": 0.9, "loss": "drop"}, "unknown loss 'drop'"),
        ({"max_accuracy_drop": 0.01, "confidence": 0.9}, "needs at least 288 calibration samples, got 40; give more"),
        ({"max_macs": 0.1}, r"no policy keeps max_macs 0.1 .* the nearest: 22.2 % of the backbone's MACs"),
    ],
)
def test_limits_that_cannot_be_kept_change_nothing(folder, limits, match):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(PolicyError, match=match):
        calibrate(folder, NEW, **limits)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_recalibration_that_was_cut_off_leaves_the_model_as_it_was(folder, cut_off_after, written):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with cut_off_after(written):
        calibrate(folder, NEW, max_accuracy_drop=0.02)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    calibrate(folder, NEW, max_accuracy_drop=0.02)
    assert {path.name for path in folder.iterdir()} == before.keys()


def test_pictures_that_cannot_be_read_are_left_out_on_request(folder, tmp_path):
    table = json.loads((folder / "eenas.json").read_text())
    (folder / "eenas.json").write_text(json.dumps({**table, "classes": sorted(table["classes"])}))
    for name in table["classes"]:
        (tmp_path / "new" / name).mkdir(parents=True)
        for number in range(20):
            noise = np.random.default_rng(number).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "new" / name / f"{number:02}.png")
    bad = tmp_path / "new" / "top left" / "07.png"
    bad.write_bytes(bad.read_bytes()[:-30])
    data = f"folder:{tmp_path / 'new'}"
    assert calibrate(folder, data, max_macs=1.5, skip_bad=True).left_out == ("top left/07.png",)
    said: list[str] = []
    verify(folder, data=data, skip_bad=True, trust_code=True, listener=lambda event: said.append(event.text))
    assert said == ["1 image is left out: top left/07.png"]
    bad.write_bytes(b"no picture")
    with pytest.raises(TaskError, match=r"07\.png: .*leave it out .* --skip-bad of search, calib"):
        calibrate(folder, data, max_macs=1.5)


@pytest.mark.parametrize("latency", [{}, {"conditions": 3}, [], {"exits": [], "measured_ms": [], "conditions": ""}])
def test_latencies_of_a_damaged_manifest_are_refused_in_one_line(folder, latency):
    table = json.loads((folder / "eenas.json").read_text())
    table["program"]["latency"] = latency
    (folder / "eenas.json").write_text(json.dumps(table))
    with pytest.raises(ExportError, match=r"eenas\.json") as error:
        calibrate(folder, NEW, max_latency_ms=1000.0)
    assert "\n" not in str(error.value)


def test_threads_are_at_least_one(folder):
    with pytest.raises(DeviceError, match=r"threads must be a whole number from 1 to .*, got 0"):
        calibrate(folder, NEW, max_macs=0.3, threads=0)


def test_data_and_models_that_do_not_fit_are_refused(folder, tmp_path):
    images = np.zeros((60, SIZE, SIZE, 3), np.uint8)
    other = Task.from_arrays("other", images, np.arange(60) % 3)
    with pytest.raises(ExportError, match=r"the classes of the model, 4 \(top left, .*\), got 3 \(0, 1, 2, \.\.\.\)"):
        calibrate(folder, other, max_macs=0.5)
    table = json.loads((folder / "eenas.json").read_text())
    (folder / "eenas.json").write_text(json.dumps({**table, "measured": {}}))
    with pytest.raises(ExportError, match="was exported untrained, without costs; export a run"):
        calibrate(folder, NEW, max_macs=0.5)
    with pytest.raises(ExportError, match="contains no programs to time"):
        calibrate(write_folder(smallest_package(), tmp_path / "network"), NEW, max_latency_ms=0.5)
