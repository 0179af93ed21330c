"""Blocks of a series without an exit between them are measured as an export runs them: read at once."""

import numpy as np
import pytest
import torch
from torch import nn

from eenas.backbones.chain import Chain, whole_module
from eenas.backbones.load import Backbone, load_backbone
from eenas.backbones.models.series.unrolled import TimeStep
from eenas.measurement import torch_runtime
from eenas.measurement.latency import LatencySpec
from eenas.measurement.profile import profile_backbone
from eenas.measurement.torch_runtime import TorchRuntime
from eenas.tasks.series.series_input import series_input
from tests.smallest_networks import loaded

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    return load_backbone("series_gru_in_time", num_classes=4, inputs=series_input(2, 64))


def built(backbone: Backbone) -> Chain:
    return Chain.built_from(backbone.module, backbone.example(), [point.name for point in backbone.cut_points])


def steps_of(module: nn.Module) -> int:
    return sum(isinstance(part, TimeStep) for part in module.modules())


def test_a_prefix_is_one_step_and_gives_what_its_segments_give(backbone):
    chain = built(backbone)
    x = backbone.example(3)
    with torch.inference_mode():
        for k in range(len(chain.segments)):
            expected = x
            for segment in list(chain.segments)[: k + 1]:
                expected = segment(expected)
            torch.testing.assert_close(chain.prefix(k)(x), expected, atol=1e-5, rtol=1e-5)
            assert steps_of(chain.prefix(k)) == 1
    assert chain.joins(0, 2)
    assert not chain.joins(1, 2)
    assert steps_of(whole_module(backbone.module)) == 1


def test_networks_that_are_not_unrolled_run_as_they_are():
    own = loaded()
    chain = built(own)
    assert not chain.joins(0, len(chain.segments))
    assert list(chain.prefix(1)) == list(chain.segments)[:2]
    assert whole_module(own.module) is own.module
    assert not list(torch_runtime._joints(chain, own.example()))


def test_the_torch_runtime_measures_joined_blocks_and_what_a_cut_between_them_costs(backbone, monkeypatch):
    timed: list[int] = []
    part = torch_runtime._part

    def noted(module, *rest):
        timed.append(steps_of(module))
        return part(module, *rest)

    monkeypatch.setattr(torch_runtime, "_part", noted)
    spec = LatencySpec(runtime="torch", warmup=1, min_repeats=2, max_repeats=3, seconds=0.05)
    chain = built(backbone)
    found = profile_backbone(backbone, chain, device=CPU, latency=spec, runtime=TorchRuntime(backbone))
    cuts = len(chain.names)
    assert timed == [1] * (cuts + 1) + [2, 1] * cuts
    assert len(found.joints.cut_ms) == cuts
    assert len(found.latency_ms) == cuts


@pytest.mark.slow
def test_a_model_of_onnx_for_several_blocks_is_exported_as_one_step(backbone):
    pytest.importorskip("onnx", reason="needs the extra onnx")
    ort = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    from eenas.programs.chain_models import ChainModels, join_models

    chain = built(backbone)
    models = ChainModels(chain, backbone.example(2))
    apart = join_models([model for k in range(len(chain.segments)) for model in models.part(k, k + 1)])
    (together,) = models.part(0, len(chain.segments))
    recurrent = [sum(node.op_type == "GRU" for node in each.graph.node) for each in (apart, together)]
    assert recurrent[0] == recurrent[1] * len(chain.segments)
    x = backbone.example(5).numpy()
    found = [ort.InferenceSession(each.SerializeToString()).run(["logits"], {"x": x})[0] for each in (apart, together)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    (middle,) = models.part(1, 3)
    with torch.inference_mode():
        features = chain.prefix(0)(backbone.example(5))
        expected = chain.prefix(2)(backbone.example(5))
    given = ort.InferenceSession(middle.SerializeToString()).run(["logits"], {"x": features.numpy()})[0]
    np.testing.assert_allclose(given, expected.numpy(), atol=1e-5)
