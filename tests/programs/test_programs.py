"""Exporting programs: parity for every kind of network, what a program cannot hold, and folders left alone."""

import hashlib
import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from torch import nn

import eenas
import eenas.deployment.program_folder as program_folder
from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.branches.capsule import Capsule
from eenas.branches.cascade import Cascade
from eenas.branches.pool_fc import PoolFc
from eenas.deployment.calibration import calibrate
from eenas.deployment.program_folder import verify, write_model
from eenas.designs.design import Placed
from eenas.errors import ExportError, InputError, ParityError
from eenas.measurement.latency import LatencySpec
from eenas.networks.assembly import build_network
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.scores import score
from eenas.programs.exit_latency import ProgramLatency, Timing
from eenas.programs.model_folder import Package, load, write_folder
from eenas.programs.onnx_program import OPSET, keep_layout, leave_layout
from eenas.programs.parity import CLOSE, Parity, compare, validation_samples
from eenas.programs.programs import Programs
from eenas.programs.runtime import ExportedModel
from eenas.programs.runtime import load as open_model
from eenas.testing.smallest import smallest_backbone, smallest_task
from tests.smallest_networks import small_design

from ..exported import BACKBONE, BRANCHES, images, smallest_package

POOL = PoolFc(pool="max", size=2)
LINKED = (Placed(cut_point="0", branch=Capsule(width=8)), Placed(cut_point="2", branch=Cascade(branch=POOL)))


def export(package, out, **programs):
    programs.setdefault("format", "onnx")
    return write_model(package, out, Programs(**programs), validation_samples(package.network, smallest_task()))


def test_the_programs_are_the_network(exported):
    found = verify(exported, data=smallest_task(), trust_code=True)
    assert found == replace(Parity.of(exported), data="")
    assert found.samples == len(smallest_task().validation)
    assert max(found.differences) <= CLOSE
    network, x = load(exported, trust_code=True), images()[0]
    for one, other in zip(open_model(exported).logits(x), network(torch.from_numpy(x)), strict=True):
        np.testing.assert_allclose(one, other.detach(), atol=1e-5)
    with pytest.raises(ExportError, match="does not name the samples"):
        verify(exported, trust_code=True)


@pytest.mark.parametrize(("branches", "weights", "format"), [(LINKED, "equal", "onnx"), (BRANCHES, "boosted", "pt2")])
def test_exits_that_read_each_other(tmp_path, branches, weights, format):
    package = smallest_package(branches, weights)
    model = open_model(
        export(package, tmp_path / "model", format=format, single_file=format == "onnx"), trust_code=format == "pt2"
    )
    takes = [segment.takes_previous for segment in model.manifest.segments]
    assert takes == [False, True, weights == "boosted"]
    x, _ = images()
    np.testing.assert_array_equal(model.predict(x).exits, package.network.predict(torch.from_numpy(x)).exits)
    assert set(model.predict(x).exits) == {0, 1, 2}


def test_an_onnx_file_takes_any_batch_and_tells_nothing_of_the_machine(exported):
    for k in range(3):
        model = onnx.load(exported / f"segment_{k}.onnx")
        onnx.checker.check_model(model)
        assert [value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input] == ["batch"]
        assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    for file in exported.glob("*.onnx"):
        assert b".py" not in file.read_bytes()


def test_a_pt2_file_holds_its_own_segment_only(tmp_path):
    package = smallest_package()
    folder = export(package, tmp_path / "model", format="pt2")
    program = torch.export.load(folder / "segment_0.pt2")
    tensors = sum(value.numel() for value in program.state_dict.values())
    assert tensors < 0.3 * sum(value.numel() for value in package.network.state_dict().values())
    answer = open_model(folder, threads=1, trust_code=True).predict(images()[0])
    np.testing.assert_array_equal(answer.exits, package.network.predict(torch.from_numpy(images()[0])).exits)


def test_a_pt2_file_of_other_classes_or_features_is_refused_when_it_is_opened(tmp_path):
    folder = export(smallest_package(), tmp_path / "model", format="pt2")
    table = json.loads((folder / "eenas.json").read_text())
    (folder / "eenas.json").write_text(json.dumps({**table, "classes": list("abcde")}))
    with pytest.raises(ExportError, match=r"segment_0.pt2: returns logits \[2, 4\], .* says logits \[N, 5\]; copy"):
        open_model(folder, trust_code=True)
    table["program"]["segments"][1]["shape"] = [8, 4, 4]
    (folder / "eenas.json").write_text(json.dumps(table))
    with pytest.raises(ExportError, match=r"returns features \[2, 8, 8, 8\], .* says features \[N, 8, 4, 4\]; copy"):
        open_model(folder, trust_code=True)


def test_threads_of_pt2_files_are_torchs_and_an_export_leaves_them_as_they_were(tmp_path):
    package, device = smallest_package(), torch.device("cpu")
    timing = Timing(spec=LatencySpec(threads=2, warmup=0, min_repeats=2, max_repeats=4, seconds=0.05), device=device)
    samples = validation_samples(package.network, smallest_task())
    folder = write_model(package, tmp_path / "model", Programs(format="pt2"), samples, timing=lambda: timing)
    assert "2 threads" in ProgramLatency.of(folder).conditions
    assert torch.get_num_threads() == 1
    calibrate(folder, smallest_task(), max_macs=0.5, threads=2, trust_code=True)
    assert torch.get_num_threads() == 1
    open_model(folder, threads=2, trust_code=True)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("score", ["max_softmax", "entropy", "margin"])
def test_the_single_file_stops_like_the_programs(exported, score):
    from eenas.programs.single_file import single_file

    models = [onnx.load(exported / f"segment_{k}.onnx") for k in range(3)]
    policy = ThresholdPolicy(score=score, temperatures=(0.5, 0.2, 0.3), thresholds=(0.8, 0.6))
    session = onnxruntime.InferenceSession(single_file(models, policy).SerializeToString())
    model = open_model(exported)
    x, _ = images()

    def same(policy, feed):
        model.set_policy(policy)
        expected = model.predict(x)
        found = [session.run(["classes", "exits", "logits"], {"x": x[i : i + 1], **feed}) for i in range(len(x))]
        np.testing.assert_array_equal([int(one[1][0]) for one in found], expected.exits)
        np.testing.assert_array_equal([int(one[0][0]) for one in found], expected.classes)
        np.testing.assert_allclose([one[2][0] for one in found], expected.logits, atol=1e-5)
        return set(expected.exits)

    assert len(same(policy, {})) >= 2
    assert same(replace(policy, thresholds=(None, 0.0)), {"thresholds": np.array([np.inf, 0], np.float32)}) == {1}
    assert same(replace(policy, thresholds=(None, None)), {"thresholds": np.array([np.inf] * 2, np.float32)}) == {2}


def broken_images(x):
    """Images [1, ...] that are not finite, each for another reason: all of it, or one pixel."""
    found = [np.full_like(x[:1], value) for value in (np.nan, np.inf, -np.inf)]
    for value in (np.nan, np.inf, -np.inf):
        found.append(x[:1].copy())
        found[-1][0, 1, 5, 2] = value
    both = x[:1].copy()
    both[0, 0, 0, :2] = np.inf, -np.inf
    signs = np.where(np.random.default_rng(0).random(x[:1].shape) < 0.5, -1, 1)
    return [*found, both, (3e38 * signs).astype(np.float32)]  # the last one is finite, and overflows in the network


@pytest.mark.parametrize("score", ["max_softmax", "entropy", "margin"])
def test_the_single_file_never_lets_an_image_go_early_that_is_not_finite(exported, score):
    from eenas.programs.single_file import NO_CLASS, single_file

    models = [onnx.load(exported / f"segment_{k}.onnx") for k in range(3)]
    policy = ThresholdPolicy(score=score, temperatures=(0.5, 0.2, 0.3), thresholds=(0.01, 0.01))
    content = single_file(models, policy).SerializeToString()
    sessions = [onnxruntime.InferenceSession(content)]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    sessions.append(onnxruntime.InferenceSession(content, options))
    x, _ = images()
    everybody = {"thresholds": np.array([0.01, 0.0], np.float32)}
    for session in sessions:
        for image in broken_images(x):
            for feed, exit_ in (({}, 2), (everybody, 1)):  # a threshold of 0 lets everybody go
                classes, exits, logits = session.run(["classes", "exits", "logits"], {"x": image, **feed})
                assert (classes.tolist(), exits.tolist()) == ([NO_CLASS], [exit_])
                assert logits.shape == (1, 4)
                assert np.isnan(logits).all()
        classes, exits, logits = session.run(["classes", "exits", "logits"], {"x": x[:1]})
        assert classes[0] >= 0
        assert exits[0] < 2
        assert np.isfinite(logits).all()


@pytest.mark.parametrize("format", ["onnx", "pt2"])
def test_the_programs_refuse_an_image_that_is_not_finite_and_answer_the_others(exported, tmp_path, format):
    folder = exported if format == "onnx" else export(smallest_package(), tmp_path / "model", format="pt2")
    model, (x, _) = open_model(folder, threads=1, trust_code=True), images()
    network = smallest_package().network
    before = model.predict(x[:8])
    for image in broken_images(x):
        batch = np.concatenate([x[:5], image, x[5:8]])
        for run in (model.predict, model.logits, lambda batch: model.reach(batch, 2)):
            if np.isfinite(image).all() and run != model.predict:
                continue  # overflows inside
            with pytest.raises(InputError, match=r"(infinity in|numbers of) sample 5 of 9"):
                run(batch)
        with pytest.raises(InputError, match=r"(infinity in|numbers of) sample 5 of 9"):
            network.predict(torch.from_numpy(batch))
        with pytest.raises(InputError, match=r"(infinity in|numbers of) sample 0 of 1"):
            model.predict(image)
        np.testing.assert_array_equal(model.predict(np.delete(batch, 5, axis=0)).logits, before.logits)


def untrained(name, thresholds, branches=()):
    backbone = load_backbone(smallest_backbone() if name == BACKBONE else name, num_classes=4, input_size=8)
    design = small_design(*branches, backbone=name)
    network = build_network(design, backbone, classes=smallest_task().classes)
    temperatures = (1.0,) * (len(branches) + 1)
    network.policy = ThresholdPolicy(score="max_softmax", temperatures=temperatures, thresholds=thresholds)
    return Package(network=network, backbone=BackboneSpec(name=name), trained=False, measured={}, card="")


def test_a_backbone_that_is_no_sequence(tmp_path):
    package = untrained("cifar_resnet20", (0.4,), (Placed(cut_point="layer2.0", branch=POOL),))
    folder = export(package, tmp_path / "model")
    assert verify(folder, data=smallest_task()).differences == Parity.of(folder).differences
    assert open_model(folder).manifest.backbone_macs is None


def test_a_backbone_without_branches_is_one_program(tmp_path):
    model = open_model(export(untrained(BACKBONE, ()), tmp_path / "model", single_file=True))
    assert model.predict(np.zeros((2, 3, 8, 8), np.float32)).exits.tolist() == [0, 0]
    assert model.logits(np.zeros((0, 3, 8, 8), np.float32))[0].shape == (0, 4)


def test_a_network_without_a_policy_gives_logits_and_no_answers(tmp_path):
    package = smallest_package()
    package.network.policy = None
    folder = export(package, tmp_path / "model", format="pt2")
    with pytest.raises(ExportError, match=r".pt2 files can contain Python code; pass trust_code=True"):
        open_model(folder)
    model = open_model(folder, trust_code=True)
    x, _ = images()
    np.testing.assert_allclose(model.logits(x)[0], package.network(torch.from_numpy(x))[0].detach(), atol=1e-5)
    with pytest.raises(eenas.EenasError, match="exported without a policy"):
        model.predict(x)


def fails_on_more_than_three(path):
    """Let an ONNX file look up its batch's size in a table of four, where onnxruntime finds nothing beyond."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.output[:] = ["own" if name == "logits" else name for name in node.output]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(4, np.float32), "table"))
    model.graph.node.append(helper.make_node("Shape", ["own"], ["batch_size"], start=0, end=1))
    model.graph.node.append(helper.make_node("Gather", ["table", "batch_size"], ["found"]))
    model.graph.node.append(helper.make_node("Add", ["own", "found"], ["logits"]))
    return model.SerializeToString()


def test_a_program_that_opens_and_does_not_run_refuses_the_export(tmp_path, monkeypatch, capfd):
    real = program_folder.fill_folder

    def spoilt(package, out, programs=None):
        real(package, out, programs)
        content = fails_on_more_than_three(out / "segment_1.onnx")
        (out / "segment_1.onnx").write_bytes(content)
        table = json.loads((out / "eenas.json").read_text())
        table["program"]["segments"][1]["sha256"] = hashlib.sha256(content).hexdigest()
        (out / "eenas.json").write_text(json.dumps(table))

    monkeypatch.setattr(program_folder, "fill_folder", spoilt)
    with pytest.raises(
        ParityError, match=r"^segment_1.onnx: does not run here \(.*bounds.*\); export again, or use"
    ) as said:
        export(smallest_package(), tmp_path / "out")
    assert "\n" not in str(said.value)
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "out").exists()


def test_a_program_that_does_not_run_is_one_line_in_the_runtime(exported, tmp_path):
    exported = shutil.copytree(exported, tmp_path / "out")
    (exported / "segment_1.onnx").write_bytes(fails_on_more_than_three(exported / "segment_1.onnx"))
    table = json.loads((exported / "eenas.json").read_text())
    table["program"]["segments"][1]["sha256"] = hashlib.sha256((exported / "segment_1.onnx").read_bytes()).hexdigest()
    (exported / "eenas.json").write_text(json.dumps(table))
    model = open_model(exported)
    assert len(model.logits(images()[0][:3])) == len(model.exits)
    with pytest.raises(ExportError, match=r"segment_1.onnx: does not run here .*; export again, or use another"):
        model.logits(images()[0][:5])


def test_a_difference_refuses_the_export_and_shows_where(tmp_path, monkeypatch):
    real = program_folder.fill_folder

    def spoilt(package, out, programs=None):
        with torch.no_grad():
            package.network.branches.at("2")[-1].bias += 0.01
        real(package, out, programs)
        with torch.no_grad():
            package.network.branches.at("2")[-1].bias -= 0.01

    monkeypatch.setattr(program_folder, "fill_folder", spoilt)
    with pytest.raises(ParityError, match=r"exit '2': logits of sample \d+ differ by 0\.01, allowed are 0\.0001"):
        export(smallest_package(), tmp_path / "model", format="pt2")
    assert list(tmp_path.iterdir()) == []


def test_decisions_may_differ_close_to_a_threshold_only(exported):
    network, model = smallest_package().network, open_model(exported)
    samples = validation_samples(network, smallest_task())
    with torch.no_grad():
        logits = network(samples.inputs)[0].numpy()
    found = np.sort(score(logits, model.policy.temperatures[0], model.policy.score))
    at = replace(model.policy, thresholds=(float(found[30]), None))
    model = ExportedModel(replace(model.manifest, single_file=None, policy=at), model.segments)
    parity = compare(network, model, samples)
    assert parity.near == (np.abs(found - found[30]) <= 1e-5).sum() >= 1
    model.segments = (lambda x, previous: turned(*segment(x, previous)), *model.segments[1:])
    segment = open_model(exported).segments[0]

    def turned(features, logits, by=2e-6):
        return features, logits * np.float32(1 - by)  # every score a little lower

    assert compare(network, model, samples).differing == 1
    model.set_policy(replace(at, thresholds=(float(found[30]) - 1.5e-5, None)))
    turned.__defaults__ = (9e-5 / float(np.abs(logits).max()),)  # logits stay within what is allowed
    with pytest.raises(ParityError, match=r": 1 sample decided differently, first \d+: exit 0 and class \d"):
        compare(network, model, samples)


class Strange(nn.Module):
    """Runs an operator that ONNX does not have."""

    def forward(self, x):
        return x + torch.special.bessel_j0(x)


def test_an_operator_that_onnx_lacks_is_named_with_its_module_and_cut_points(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3)
            self.block = nn.Sequential(nn.ReLU(), Strange())
            self.last = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))

        def forward(self, x):
            return self.last(self.block(self.first(x)))

    backbone = load_backbone(Net(), num_classes=4, input_size=8)
    branches = (Placed(cut_point="first", branch=POOL),)
    design = small_design(*branches, backbone=backbone.name)
    network = build_network(design, backbone)
    spec = BackboneSpec(name=backbone.name)
    package = Package(network=network, backbone=spec, trained=False, measured={}, card="")
    with pytest.raises(ExportError) as error:
        export(package, tmp_path / "model")
    text = str(error.value)
    assert "no operator for 'aten.special_bessel_j0', which 'block.1' (Strange) runs" in text
    assert "the segment from cut point 'first' to the end" in text
    assert "\n" not in text
    assert list(tmp_path.iterdir()) == []


def test_what_a_single_file_cannot_hold_is_said_before_anything_is_exported(tmp_path, monkeypatch):
    monkeypatch.setattr("eenas.programs.programs.segment_programs", lambda network: pytest.fail("exported"))
    package = smallest_package(policy=PatiencePolicy(exits=3, patience=1))
    with pytest.raises(ExportError, match="needs a policy of the kind 'threshold', got 'patience'"):
        export(package, tmp_path / "model", single_file=True)
    with pytest.raises(ExportError, match="got the format 'pt2'; use --format onnx"):
        Programs(format="pt2", single_file=True)
    with pytest.raises(ExportError, match="unknown format 'tflite'; known: 'torch', 'onnx', 'pt2'"):
        Programs(format="tflite")


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_a_library_that_is_not_installed_is_named_before_the_work(tmp_path, monkeypatch, library):
    monkeypatch.setattr("eenas.programs.programs.segment_programs", lambda network: pytest.fail("exported"))
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ExportError, match=rf"{library} cannot be imported .*; pip install 'eenas\[onnx\]'"):
        export(smallest_package(), tmp_path / "model")


def test_folders_of_others_are_left_alone_and_older_programs_taken_away(exported, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "README.md").write_text("mine")
    with pytest.raises(ExportError, match="not written by eenas"):
        export(smallest_package(), mine)
    folder = export(smallest_package(), tmp_path / "model", format="pt2")
    assert {path.suffix for path in folder.glob("segment_*")} == {".pt2"}
    write_folder(smallest_package(), folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("README.md", "design.json", "eenas.json", "weights.safetensors")
    ]
    assert "program" not in json.loads((folder / "eenas.json").read_text())
    assert load(exported, trust_code=True).exits == ("0", "2", "final")


def residual_graph(channels, *, convolved=True):
    """x through a convolution or a ReLU, added to x."""
    dims = ["batch", channels, 8, 8]
    kernel = onnx.numpy_helper.from_array(np.random.default_rng(0).random((channels, channels, 1, 1), np.float32), "w")
    first = helper.make_node("Conv", ["x", "w"], ["y"]) if convolved else helper.make_node("Relu", ["x"], ["y"])
    return helper.make_graph(
        [first, helper.make_node("Add", ["y", "x"], ["features"])],
        "residual",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, dims)],
        [kernel],
    )


def answer(graph, x):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def test_features_that_are_convolved_and_added_to_enter_the_layout_of_onnxruntime():
    x = np.random.default_rng(1).standard_normal((3, 16, 8, 8), dtype=np.float32)
    graph = residual_graph(16)
    as_it_was, before = graph.SerializeToString(), answer(graph, x)
    keep_layout(graph)
    assert [node.op_type for node in graph.node] == ["MaxPool", "Conv", "Add"]
    np.testing.assert_array_equal(answer(graph, x), before)
    leave_layout(graph)
    assert graph.SerializeToString() == as_it_was


@pytest.mark.parametrize("graph", [residual_graph(12), residual_graph(16, convolved=False)])
def test_other_features_are_left_alone(graph):
    before = graph.SerializeToString()
    keep_layout(graph)
    leave_layout(graph)
    assert graph.SerializeToString() == before
