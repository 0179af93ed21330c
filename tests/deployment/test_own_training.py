"""Networks of one's own training loop: built, trained, fitted, exported to every format, verified and calibrated."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cross_entropy
from typer.testing import CliRunner

import eenas
import eenas.deployment.export as export_module
from eenas.backbones.load import load_backbone
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.cli.main import app
from eenas.designs.design import Placed
from eenas.errors import ExportError, InputError, PolicyError, WeightsError
from eenas.measurement.latency import LatencySpec
from eenas.programs.exit_latency import Timing
from eenas.programs.preprocessing.kinds import preprocessing_from
from eenas.specs import to_table
from eenas.tasks.images.image_input import image_input
from eenas.tasks.load import load_task
from eenas.tasks.spec import TaskSpec
from eenas.testing.smallest import smallest_task
from tests.smallest_networks import small_design

BACKBONE, TASK = "eenas.testing.smallest:smallest_backbone", "eenas.testing.smallest:smallest_task"
POOL = PoolFc(pool="max", size=2)


def design(*cut_points, static=False):
    branches = tuple(Placed(cut_point=name, branch=Fc() if name == "3" else POOL) for name in cut_points)
    return small_design(*branches, backbone=BACKBONE, static=static)


def trained(found, steps=12):
    """As a user would: an ordinary loop over the sum of the exits' losses."""
    torch.manual_seed(0)
    network, task = eenas.build(found, trust_code=True), smallest_task()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    x = network.transform(task.train.images(8, 3)[np.arange(len(task.train))])
    labels = torch.from_numpy(np.array(task.train.labels))
    network.train()
    for _ in range(steps):
        optimizer.zero_grad()
        sum(cross_entropy(logits, labels) for logits in network(x)).backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(autouse=True)
def briefly(monkeypatch):
    """Programs are timed for a moment, and nothing is predicted for them."""

    def timing(network, backbone, report, device, format):
        return Timing(spec=LatencySpec(seconds=0.01), device=device)

    monkeypatch.setattr("eenas.deployment.export.timing_of", timing)


DESIGNS = {
    "no branch": design(),
    "static": design("0", static=True),
    "first and last cut": design("0.0", "3"),
    "two": design("0", "2"),
}


@pytest.mark.parametrize(
    ("kind", "format"),
    [
        *((kind, "onnx") for kind in ("no branch", "static", "first and last cut")),
        *((kind, "torch") for kind in DESIGNS),
        ("no branch", "pt2"),
        ("static", "pt2"),
    ],
)
def test_every_design_goes_to_every_format_and_is_verified_and_calibrated(tmp_path, kind, format):
    network, task = trained(DESIGNS[kind]), smallest_task()
    point = eenas.fit_thresholds(network, task, max_accuracy_drop=0.05)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    out = eenas.export(tmp_path / "m", network=network, format=format, single_file=format == "onnx", data=task)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert json.loads((out / "eenas.json").read_text())["measured"]["reported"]["accuracy"] == point.accuracy
    found = eenas.verify(out, data=task, trust_code=True)
    assert len(found.differences) == len(network.exits)
    raw = task.test.images(8, 3)[np.arange(len(task.test))]
    answer = eenas.load(out, trust_code=True).predict(raw)
    assert torch.equal(answer.exits, network.predict(network.transform(raw)).exits)
    refitted = eenas.calibrate(out, task, max_accuracy_drop=0.5, trust_code=True)
    assert refitted.before is not None
    assert refitted.after.expected["macs"] <= refitted.before.expected["macs"]
    assert eenas.verify(out, data=task, trust_code=True).samples == found.samples
    if format != "torch":
        model = eenas.runtime.load(out, trust_code=True)
        assert len(model.predict(raw.numpy()).classes) == len(raw)


def test_a_certified_fit_is_kept_by_the_export_until_the_policy_changes(tmp_path):
    network, task = trained(design("0", "2")), smallest_task()
    point = eenas.fit_thresholds(network, task, max_accuracy_drop=0.2, confidence=0.8)
    assert point.guarantee is not None
    assert network.guarantee == point.guarantee
    out = eenas.export(tmp_path / "m", network=network, data=task)
    assert eenas.load(out, trust_code=True).guarantee == point.guarantee
    assert "With 80 % probability" in (out / "README.md").read_text()
    network.policy = eenas.load(out, trust_code=True).policy
    assert network.guarantee == point.guarantee
    eenas.fit_thresholds(network, task, max_macs=0.5)
    assert network.guarantee is None
    with pytest.raises(PolicyError, match="confidence needs max_accuracy_drop"):
        eenas.fit_thresholds(network, task, max_macs=0.5, confidence=0.9)


def test_data_are_loaded_once(tmp_path, monkeypatch):
    loaded = []
    real = export_module.given_task
    monkeypatch.setattr(export_module, "given_task", lambda *a, **o: loaded.append(a) or real(*a, **o))
    network = trained(DESIGNS["no branch"])
    eenas.export(tmp_path / "module", network=network, format="onnx", data=TASK, trust_code=True)
    assert len(loaded) == 1
    torch.save(network.state_dict(), tmp_path / "mine.pt")
    (tmp_path / "d.json").write_text(DESIGNS["no branch"].to_json())
    given = {"design_file": tmp_path / "d.json", "weights": tmp_path / "mine.pt"}
    eenas.export(tmp_path / "file", **given, format="onnx", data=TASK, trust_code=True)
    assert len(loaded) == 2


def test_by_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.json").write_text(DESIGNS["two"].to_json())

    def eenas_(*words):
        done = CliRunner().invoke(app, [*words, "--trust-code"])
        assert done.exit_code == 0, done.output
        return done.output

    eenas_("export", "untrained", "--design", "d.json")
    network = eenas.load("untrained", trust_code=True)
    assert network.policy is None
    wrapped = torch.nn.DataParallel(trained(DESIGNS["two"]))
    torch.save({"epoch": 3, "state_dict": wrapped.state_dict()}, "mine.pt")
    said = eenas_("export", "untrained", "torch", "--weights", "mine.pt", "--data", TASK)
    assert "written: torch" in said
    eenas_("verify", "torch")
    eenas_("calibrate", "torch", "--data", TASK, "--max-accuracy-drop", "0.02")
    eenas_("export", "torch", "programs", "--format", "onnx", "--single-file", "--data", TASK)
    eenas_("verify", "programs")
    eenas_("calibrate", "programs", "--data", TASK, "--max-macs", "0.9")
    own = wrapped.module.state_dict()
    for folder in ("torch", "programs"):
        loaded = eenas.load(folder, trust_code=True)
        assert all(torch.equal(own[key], value) for key, value in loaded.state_dict().items())
        assert loaded.policy is not None
    raw = smallest_task().test.images(8, 3)[np.arange(len(smallest_task().test))]
    answer, given = loaded.predict(loaded.transform(raw)), eenas.runtime.load("programs").predict(raw.numpy())
    np.testing.assert_array_equal(given.exits, answer.exits.numpy())
    np.testing.assert_array_equal(given.classes, answer.classes.numpy())


def test_what_does_not_fit_is_one_line(tmp_path):
    network = trained(DESIGNS["two"], steps=1)
    with pytest.raises(PolicyError, match=r"this network has no policy; fit one: eenas.fit_thresholds"):
        network.predict(torch.zeros(1, 3, 8, 8))
    with pytest.raises(InputError, match=r"transformed first: network\(network.transform\(x\)\)"):
        network(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(PolicyError, match=r"the classes of the network, 4 \(without names\), got 10 \(0, 1, 2"):
        eenas.fit_thresholds(network, "digits")
    with pytest.raises(PolicyError, match="no policy keeps max_macs 1e-09"):
        eenas.fit_thresholds(network, smallest_task(), max_macs=1e-9)
    with pytest.raises(PolicyError, match="exactly one limit of"):
        eenas.fit_thresholds(network, smallest_task(), max_macs=0.5, max_accuracy_drop=0.1)
    assert network.policy is None
    with pytest.raises(ExportError, match="already has weights; leave weights out"):
        eenas.export(tmp_path / "m", network=network, weights="x.pt")
    with pytest.raises(ExportError, match="give some as --data"):
        eenas.export(tmp_path / "m", network=network, format="onnx")
    torch.save(
        {key: value for key, value in network.state_dict().items() if "branches.0" not in key}, tmp_path / "w.pt"
    )
    (tmp_path / "d.json").write_text(DESIGNS["two"].to_json())
    with pytest.raises(WeightsError, match=r"missing \(branches.0"):
        eenas.export(
            tmp_path / "m", design_file=tmp_path / "d.json", weights=tmp_path / "w.pt", data=TASK, trust_code=True
        )
    assert not (tmp_path / "m").exists()


def test_a_network_that_was_not_measured_is_exported_as_it_is(tmp_path):
    network = trained(DESIGNS["two"], steps=1)
    out = eenas.export(tmp_path / "m", network=network)
    assert eenas.load(out, trust_code=True).policy is None
    with pytest.raises(ExportError, match="exported untrained, without costs"):
        eenas.calibrate(out, smallest_task(), max_accuracy_drop=0.1, trust_code=True)


@pytest.mark.parametrize(("size", "fit"), [((8, 20), "pad"), (12, "stretch")])
def test_the_runtime_prepares_pictures_as_the_design_says_and_the_card_tells_how(tmp_path, size, fit):
    for name in ("cat", "owl"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(14):
            values = np.random.default_rng(number).integers(0, 256, (30 + number, 61, 3), dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / "photos" / name / f"{number}.png")
    spec = f"folder:{tmp_path}/photos"
    task = load_task(TaskSpec(spec=spec, input_size=size, fit=fit))
    network = eenas.build(replace(design("1"), num_classes=2, inputs=image_input(size, 3, fit)), trust_code=True)
    eenas.fit_thresholds(network, spec)
    out = eenas.export(tmp_path / "m", network=network, data=spec, format="onnx")
    model = eenas.runtime.load(out)
    given = model.preprocess([task.test.samples.files[row] for row in task.test.rows])
    seen = task.test.reader(task.inputs)[np.arange(len(task.test))]
    np.testing.assert_array_equal(given, seen.numpy())
    np.testing.assert_array_equal(model.manifest.preprocessing(given), network.transform(seen).numpy())
    card = (out / "README.md").read_text()
    assert {"pad": "8 x 20 pixels (height x width), and centre", "stretch": "whole picture to 12 x 12"}[fit] in card
    assert "subtract the mean [0.485, 0.456, 0.406]" in card


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "torchvision:squeezenet1_1"])
def test_the_transform_of_pretrained_weights_is_that_of_the_runtime(name):
    transform = load_backbone(name, num_classes=2, inputs=image_input((64, 96), 3, "pad")).transform
    raw = np.random.default_rng(0).integers(256, size=(3, 3, 64, 96)).astype(np.uint8)
    found = preprocessing_from(to_table(transform))(raw)
    np.testing.assert_array_equal(found, transform(torch.from_numpy(raw)).numpy())
