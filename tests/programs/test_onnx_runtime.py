"""Segments exported one by one and joined are the chain; and what onnxruntime's parts of a profile are."""

import numpy as np
import pytest
import torch

from eenas.backbones.chain import Chain
from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.branches.cascade import Cascade
from eenas.branches.fc import Fc
from eenas.errors import DeviceError, ExportError, MeasurementError
from eenas.measurement.latency import LatencySpec
from eenas.measurement.profile import measure_branch, profile_backbone
from eenas.study.context.latencies import runtime_for

pytestmark = pytest.mark.slow

pytest.importorskip("onnx", reason="needs the extra onnx")
ort = pytest.importorskip("onnxruntime", reason="needs the extra onnx")

from eenas.programs import onnx_runtime  # noqa: E402
from eenas.programs.chain_models import ChainModels, join_models  # noqa: E402
from eenas.programs.onnx_runtime import OnnxRuntime  # noqa: E402
from tests.smallest_networks import loaded  # noqa: E402

CPU = torch.device("cpu")
SPEC = LatencySpec(runtime="onnxruntime", batch=3, warmup=1, min_repeats=2, max_repeats=3, seconds=0.1)
NAMES = ("0", "2")


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return loaded()


@pytest.fixture(scope="module")
def chain(backbone):
    return Chain.built_from(backbone.module, backbone.example(), NAMES)


def test_joined_segments_are_the_prefixes(backbone, chain):
    models = ChainModels(chain, backbone.example(2)).part(0, len(chain.segments))
    assert len(models) == 3
    x = torch.randn(5, 3, 8, 8)
    for first, last in ((0, 0), (0, 1), (0, 2), (1, 2)):
        session = ort.InferenceSession(join_models(models[first : last + 1]).SerializeToString())
        with torch.no_grad():
            given = x if first == 0 else chain.prefix(first - 1)(x)
            expected = given
            for segment in chain.segments[first : last + 1]:
                expected = segment(expected)
        (found,) = session.run(["logits"], {"x": given.numpy()})
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_joined_segments_keep_their_layout_without_entering_it_again():
    backbone = load_backbone(BackboneSpec(name="cifar_resnet20"), num_classes=4, input_size=8)
    chain = Chain.built_from(backbone.module, backbone.example(), ["layer1.0", "layer1.1"])
    models = ChainModels(chain, backbone.example(2)).part(0, len(chain.segments))
    pools = [sum(node.op_type == "MaxPool" for node in join_models(part).graph.node) for part in (models[1:], models)]
    assert pools == [1, 0]
    x = torch.randn(3, 3, 8, 8)
    (found,) = ort.InferenceSession(join_models(models).SerializeToString()).run(["logits"], {"x": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, chain(x).numpy(), atol=1e-5)


def test_a_profile_in_onnxruntime_says_so_and_has_what_joins_programs(backbone, chain):
    runtime = OnnxRuntime(CPU)
    found = profile_backbone(backbone, chain, device=CPU, latency=SPEC, runtime=runtime)
    assert len(found.latency_ms) == len(found.joints.cut_ms) == 2
    timed = (*found.latency_ms, found.total_latency, found.plain_latency, found.decision)
    assert all(each.runtime.startswith(f"onnxruntime {ort.__version__}") for each in timed)
    assert {each.batch for each in timed} == {3}
    assert found.plain_latency == found.total_latency
    assert found.decision.median_ms > 0
    assert found.joints.call_ms > 0
    shape = found.cut_points[0].shape
    for branch in (Fc(), Cascade(branch=Fc())):
        cost = measure_branch(branch, shape, 4, device=CPU, latency=SPEC, runtime=runtime)
        assert cost.latency.runtime == f"onnxruntime {ort.__version__}, one program"


def test_a_branch_is_timed_beside_the_whole_backbone_which_is_exported_once(backbone, chain, monkeypatch):
    exported, export = [], onnx_runtime.export_module

    def heard(module, example, *, exit_, before=""):
        exported.append(exit_)
        return export(module, example, exit_=exit_, before=before)

    monkeypatch.setattr(onnx_runtime, "export_module", heard)
    monkeypatch.setattr("eenas.programs.chain_models.export_module", heard)
    shape = backbone.cut_points[0].shape
    alone, beside = OnnxRuntime(CPU), runtime_for(SPEC, CPU, backbone)
    assert alone.time_branch(Fc(), shape, 4, CPU, SPEC).reference_ms is None
    for _ in range(2):
        assert beside.time_branch(Fc(), shape, 4, CPU, SPEC).reference_ms > 0
    assert exported.count("final") == 1
    again = runtime_for(SPEC, CPU, backbone)
    again.time_backbone(backbone, chain, CPU, SPEC)
    assert exported.count("final") == 2
    again.time_branch(Fc(), shape, 4, CPU, SPEC)
    assert exported.count("final") == 2  # the chain's segments, joined
    assert alone.conditions(CPU, SPEC) != beside.conditions(CPU, SPEC) == again.conditions(CPU, SPEC)


def test_the_way_to_a_branch_is_that_of_the_chain_that_was_timed(backbone, chain, monkeypatch):
    runtime, asked, part = runtime_for(SPEC, CPU, backbone), [], ChainModels.part
    runtime.time_backbone(backbone, chain, CPU, SPEC)
    monkeypatch.setattr(ChainModels, "part", lambda self, *where: asked.append(where) or part(self, *where))
    shapes = {point.name: point.shape for point in backbone.cut_points}
    missing = next(point.shape for point in backbone.cut_points if point.shape not in {shapes[name] for name in NAMES})
    for name, ways in ((NAMES[1], [(0, 2), (0, 3)]), (NAMES[0], [(0, 1)])):
        asked.clear()
        runtime.time_branch(Fc(), shapes[name], 4, CPU, SPEC)
        assert asked == ways
    asked.clear()
    runtime.time_branch(Fc(), missing, 4, CPU, SPEC)
    assert asked == [], "the whole backbone has a program already, and no cut point of the chain has such features"


def test_what_onnxruntime_cannot_do_is_one_line(backbone, monkeypatch):
    with pytest.raises(DeviceError, match="measures on cpu and cuda, got the device 'mps'"):
        OnnxRuntime(torch.device("mps"))
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        with pytest.raises(DeviceError, match=r"has no CUDAExecutionProvider .* or set latency.runtime to 'torch'"):
            OnnxRuntime(torch.device("cuda"))

    def fail(*arguments, **options):
        raise ExportError("ONNX has no operator for 'aten.frac'")

    monkeypatch.setattr("eenas.programs.onnx_runtime.export_module", fail)
    with pytest.raises(
        MeasurementError, match=r"fc at features \[.*\]: cannot be measured in onnxruntime: ONNX has no"
    ):
        OnnxRuntime(CPU).time_branch(Fc(), backbone.cut_points[0].shape, 4, CPU, SPEC)
