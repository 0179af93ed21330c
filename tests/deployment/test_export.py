"""Taking a network home from a run, a trial and a design file, and what `eenas.load` gives back."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import eenas
from eenas.backbones.load import load_backbone
from eenas.deployment.export import export
from eenas.deployment.model_card import run_card
from eenas.errors import ExportError
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import batches, exit_table
from eenas.policies.costs import Costs
from eenas.programs.exit_latency import ProgramLatency
from eenas.programs.model_folder import check_code
from eenas.runs.run_report import REPORT, WEIGHTS
from eenas.testing.smallest import smallest_task
from tests.exported import smallest_package
from tests.smallest_networks import small_design
from tests.smallest_study import backbone


@pytest.fixture(scope="module")
def model(finished_run, tmp_path_factory):
    return export(tmp_path_factory.mktemp("models") / "model", run=finished_run.folder, backbone=backbone())


@pytest.fixture(scope="module")
def network(model):
    return eenas.load(model, backbone=backbone())


def test_a_run_goes_home_and_comes_back_bit_for_bit(finished_run, network):
    trained = build_network(finished_run.design, load_backbone(backbone(), num_classes=4, input_size=8))
    load_weights(trained, finished_run.folder / WEIGHTS)
    trained.eval()
    trained.policy = finished_run.reported.policy
    assert network.policy == finished_run.reported.policy
    assert network.classes == finished_run.classes == smallest_task().classes
    assert network.transform == finished_run.transform
    assert not network.training
    images = torch.cat(list(batches(network, smallest_task().test, 100, torch.device("cpu"))))
    for one, other in zip(network(images), trained(images), strict=True):
        assert torch.equal(one, other)
    got, expected = network.predict(images), trained.predict(images)
    for name in ("classes", "exits", "logits"):
        assert torch.equal(getattr(got, name), getattr(expected, name))


def test_predict_decides_like_the_exit_table(finished_run, network):
    task = smallest_task()
    images = torch.cat(list(batches(network, task.test, 100, torch.device("cpu"))))
    macs = np.array([exit_.costs["macs"] for exit_ in finished_run.exits])
    table = exit_table(network, task.test, ExitCosts(Costs.of(macs=macs), 0))
    differing = 0
    for point in finished_run.points:
        decisions, answer = point.policy.apply(table), network.predict(images, point.policy)
        different = answer.exits.numpy() != decisions.exit_index
        assert different.sum() <= decisions.near
        differing += int(different.sum())
        np.testing.assert_array_equal(answer.classes.numpy()[~different], decisions.answer[~different])
        assert np.bincount(decisions.exit_index, minlength=4) / len(table) == pytest.approx(point.shares)
    assert differing <= len(finished_run.points)


def test_the_folder_says_how_it_was_measured(finished_run, model):
    manifest = json.loads((model / "eenas.json").read_text())
    assert manifest["trained"] is True
    measured = manifest["measured"]
    assert measured["split"] == "test"
    assert measured["device"] == finished_run.device
    assert len(measured["exits"]) == len(finished_run.exits)
    card = (model / "README.md").read_text()
    assert f"{100 * finished_run.reported.accuracy:.2f} %" in card
    assert "network.predict" in card
    assert "Latency is that of a batch of 1 in eager" in card
    assert "| composed, ms | end to end, ms |" in card
    for exit_ in finished_run.exits:
        assert f"| {exit_.costs['latency']:.2f} | {exit_.end_to_end.median_ms:.2f} |" in card
    assert "ms |" not in run_card(finished_run, timed_below=True)
    assert "of a batch of 8 in eager" in run_card(replace(finished_run, latency_batch=8))
    for exit_ in finished_run.exits:
        assert f"| {exit_.name} | {exit_.structure} |" in card


def test_exporting_again_replaces_what_eenas_wrote(finished_run, model):
    before = (model / "eenas.json").read_bytes()
    (model / "eenas.json").unlink()  # as if the first export had been killed before the end
    assert export(model, run=finished_run.folder, backbone=backbone()) == model
    assert (model / "eenas.json").read_bytes() == before


def test_a_trial_and_a_design_file_go_home_untrained(smallest_study, tmp_path):
    trial = smallest_study.results.trials[2]
    (tmp_path / "design.json").write_text(trial.design.to_json())
    from_trial = export(tmp_path / "one", storage=smallest_study.storage, network="trial 2", backbone=backbone())
    from_file = export(tmp_path / "two", design_file=tmp_path / "design.json", backbone=backbone())
    one, two = (eenas.load(path, backbone=backbone()) for path in (from_trial, from_file))
    assert one.design == two.design == trial.design
    assert one.classes == smallest_study.results.classes
    assert two.classes == ("0", "1", "2", "3")
    for network, path in ((one, from_trial), (two, from_file)):
        assert json.loads((path / "eenas.json").read_text())["trained"] is False
        assert network.policy is None
        assert "untrained" in (path / "README.md").read_text()
        assert len(network(torch.zeros(2, 3, 8, 8))) == len(trial.design.branches) + 1
        network.train()
        sum(logits.sum() for logits in network(torch.randn(4, 3, 8, 8))).backward()
    with pytest.raises(eenas.EenasError, match="no policy"):
        one.predict(torch.zeros(1, 3, 8, 8))


def test_a_named_backbone_needs_no_module(tmp_path):
    from eenas.branches.fc import Fc
    from eenas.designs.design import Placed

    design = small_design(Placed(cut_point="layer2.0", branch=Fc()), size=32, backbone="cifar_resnet20", num_classes=10)
    (tmp_path / "design.json").write_text(design.to_json())
    state = torch.get_rng_state()
    network = eenas.load(export(tmp_path / "out", design_file=tmp_path / "design.json"))
    assert torch.equal(torch.get_rng_state(), state)
    assert network.exits == ("layer2.0", "final")


def test_python_code_runs_only_with_the_users_word(tmp_path, monkeypatch):

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from pathlib import Path\nfrom eenas.testing.smallest import smallest_backbone as make\nPath('ran').touch()\n"
    )
    design = small_design(backbone="./mine.py:make")
    (tmp_path / "design.json").write_text(design.to_json())
    with pytest.raises(ExportError, match=r"'./mine.py:make' is Python code; pass trust_code=True"):
        export("out", design_file="design.json")
    assert not (tmp_path / "out").exists()
    out = export("out", design_file="design.json", trust_code=True)
    (tmp_path / "ran").unlink()
    with pytest.raises(ExportError, match=r"out: the backbone './mine.py:make' is Python code; pass trust_code=True"):
        eenas.load(out)
    assert not (tmp_path / "ran").exists()
    assert eenas.load(out, trust_code=True).exits == ("final",)
    (tmp_path / "mine.py").rename(out / "mine.py")  # travels with the folder where the user puts it there
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert eenas.load(tmp_path / "out", trust_code=True).exits == ("final",)


def test_wrong_requests_are_one_line(smallest_study, finished_run, tmp_path):
    for sources in ({}, {"run": finished_run.folder, "network": "trial 1"}):
        with pytest.raises(ExportError, match="exactly one of"):
            export(tmp_path / "out", **sources)
    with pytest.raises(ExportError, match=r"a Python module of type Sequential; give it again: backbone="):
        export(tmp_path / "out", run=finished_run.folder)
    with pytest.raises(ExportError, match=r"a Python module, give it again: backbone=...; unknown backbone 'mine'"):
        check_code("mine", given=False, trust_code=False)
    with pytest.raises(ExportError, match="holds no report"):
        export(tmp_path / "out", run=smallest_study.folder)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / REPORT).write_bytes((finished_run.folder / REPORT).read_bytes())
    with pytest.raises(ExportError, match=r"half/weights.safetensors: cannot be read"):
        export(tmp_path / "out", run=tmp_path / "half", backbone=backbone())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("mine")
    with pytest.raises(ExportError, match="not written by eenas"):
        export(tmp_path / "mine", run=finished_run.folder, backbone=backbone())
    assert (tmp_path / "mine" / "README.md").read_text() == "mine"
    assert not (tmp_path / "out").exists()


def test_programs_are_compared_on_the_samples_of_the_study(smallest_study, finished_run, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "eenas.deployment.export.load_task", lambda spec, **options: asked.append(spec.spec) or smallest_task()
    )
    options = {"storage": smallest_study.storage, "backbone": backbone(), "format": "pt2"}
    for name, source in (
        ("run", {"run": finished_run.folder}),
        ("trial", {"network": f"trial {smallest_study.trial}"}),
    ):
        out = export(tmp_path / name, **source, **options)
        assert json.loads((out / "eenas.json").read_text())["program"]["parity"]["data"] == "smallest"
        assert "## On a device" in (out / "README.md").read_text()
    assert asked == ["smallest", "smallest"]


def test_programs_are_added_on_the_samples_of_the_study_that_a_folder_names(
    smallest_study, finished_run, tmp_path, monkeypatch
):
    plain = export(tmp_path / "plain", run=finished_run.folder, backbone=backbone())
    assert "data" not in json.loads((plain / "eenas.json").read_text())["measured"]
    options = {"run": plain, "backbone": backbone(), "format": "pt2"}
    with pytest.raises(ExportError, match=rf"of the study '{finished_run.study}', which cannot be .*as --storage$"):
        export(tmp_path / "out", storage=f"sqlite:///{tmp_path}/none.db", **options)
    monkeypatch.setattr("eenas.deployment.export.load_task", lambda spec, *_, **__: smallest_task())
    out = export(tmp_path / "out", storage=smallest_study.storage, **options)
    assert json.loads((out / "eenas.json").read_text())["program"]["parity"]["samples"] == 60


def test_a_folder_without_programs_names_its_data_for_those_that_are_added_and_for_verify(tmp_path, monkeypatch):
    asked = []

    def given(spec, *_, **__):
        asked.append(spec)
        return smallest_task()

    monkeypatch.setattr("eenas.deployment.export.given_task", given)
    network = smallest_package().network
    export(tmp_path / "plain", network=network, data="npz:new.npz")
    assert json.loads((tmp_path / "plain" / "eenas.json").read_text())["measured"]["data"] == "npz:new.npz"
    out = export(tmp_path / "out", run=tmp_path / "plain", backbone=backbone(), format="pt2")
    again = export(tmp_path / "again", run=out, backbone=backbone(), format="pt2")
    assert asked == ["npz:new.npz"] * 3
    for folder in (out, again):
        table = json.loads((folder / "eenas.json").read_text())
        assert table["program"]["parity"]["data"] == table["measured"]["data"] == "npz:new.npz"
    monkeypatch.undo()
    with pytest.raises(ExportError, match=r"samples of 'npz:new.npz': new.npz.*give some as --data"):
        export(tmp_path / "bare", run=out, backbone=backbone(), format="pt2")


def test_a_run_goes_home_as_programs_too(finished_run, tmp_path):
    options = {"run": finished_run.folder, "backbone": backbone(), "format": "pt2"}
    with pytest.raises(ExportError, match=r"samples of the study .*, which cannot be loaded: .*; give some as --data"):
        export(tmp_path / "out", **options)
    out = export(tmp_path / "out", data=smallest_task(), **options)
    model = eenas.runtime.load(out, trust_code=True)
    network = eenas.load(out, backbone=backbone())
    images = smallest_task().test.images(8, 3)[np.arange(60)]
    answer, expected = model.predict(images.numpy()), network.predict(network.transform(images))
    np.testing.assert_array_equal(answer.exits, expected.exits)
    np.testing.assert_array_equal(answer.classes, expected.classes)
    assert model.manifest.backbone_macs == finished_run.backbone.macs
    assert model.set_budget(macs=2.0).accuracy == max(point.accuracy for point in finished_run.points)
    found = ProgramLatency.of(out)
    assert found.conditions.endswith("one program for each segment")
    assert len(found.predicted_ms) == len(found.measured_ms) == len(finished_run.exits)
    assert found.prediction.startswith(f"composed by the study {finished_run.study}")
    measured, predicted = found.expected_ms
    assert predicted == pytest.approx(finished_run.reported.expected["latency"])
    fastest = min(model.manifest.points, key=lambda point: point.expected["latency"])
    assert model.set_budget(latency_ms=fastest.expected["latency"]) in model.manifest.points
    assert fastest.expected["latency"] == pytest.approx(np.dot(fastest.shares, found.measured_ms))
    kept = json.loads((out / "eenas.json").read_text())["measured"]
    assert [exit_["latency_ms"] for exit_ in kept["exits"]] == list(found.measured_ms)
    assert kept["reported"]["expected_latency_ms"] == pytest.approx(measured)
    assert kept["end_to_end_ms"] > 0
    card = (out / "README.md").read_text()
    assert "## Latency of the programs" in card
    assert "composed, ms" not in card  # one latency, not the search's and another one
    assert eenas.verify(out, data=smallest_task(), backbone=backbone(), trust_code=True).samples == 60
    found = eenas.calibrate(out, smallest_task(), max_accuracy_drop=0.05, trust_code=True)
    assert found.before.policy == finished_run.reported.policy
