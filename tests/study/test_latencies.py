"""Which runtime "auto" means, that it is said, and what takes its place where a backbone cannot be exported."""

import pytest
import torch

from eenas.backbones.chain import Chain
from eenas.errors import ExportError, MeasurementError
from eenas.measurement.latency import LatencySpec
from eenas.progress import Notice
from eenas.records.database import Database
from eenas.records.measurements import DatabaseCache
from eenas.results.search import search
from eenas.study.context import latencies
from eenas.study.context.latencies import profiled, resolved
from eenas.study.one_node import OneNode
from eenas.testing.smallest import smallest_backbone, smallest_task
from tests.smallest_networks import loaded
from tests.smallest_study import SETTINGS

CPU = torch.device("cpu")
QUICK = {"warmup": 1, "min_repeats": 2, "max_repeats": 3, "seconds": 0.05}


@pytest.mark.parametrize("there", [True, False])
def test_auto_is_what_the_user_of_an_export_runs(monkeypatch, there):
    monkeypatch.setattr(latencies, "has_onnx", lambda: there)
    assert resolved(LatencySpec(), CPU).runtime == ("onnxruntime" if there else "torch")
    assert resolved(LatencySpec(dtype="bfloat16"), CPU).runtime == "torch"
    assert resolved(LatencySpec(), torch.device("cuda", 0)).runtime == "torch"
    assert resolved(LatencySpec(runtime="torch"), CPU).runtime == "torch"


def take(tmp_path, spec):
    torch.manual_seed(0)
    backbone, said = loaded(), []
    chain = Chain.built_from(backbone.module, backbone.example(), ["0", "2"])
    cache = DatabaseCache(Database(f"sqlite:///{tmp_path}/eenas.db"))
    found = profiled(spec, backbone, chain, device=CPU, cache=cache, latencies=None, listener=said.append)
    return found, [each.text for each in said if isinstance(each, Notice) and "quiet" not in each.text]


def test_a_backbone_that_cannot_be_exported_is_timed_in_torch_and_that_is_said(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")

    def fail(*arguments, **options):
        raise ExportError("ONNX has no operator for 'aten.frac'")

    monkeypatch.setattr("eenas.programs.onnx_runtime.ChainModels", fail)
    (spec, runtime, profile), said = take(tmp_path, LatencySpec(**QUICK))
    assert spec.runtime == "torch"
    assert isinstance(runtime, OneNode)
    assert profile.total_latency.runtime.startswith("torch ")
    assert len(said) == 1
    assert "no operator for 'aten.frac'; latencies are measured in eager torch instead" in said[0]
    with pytest.raises(MeasurementError, match="cannot be measured in onnxruntime"):
        take(tmp_path, LatencySpec(runtime="onnxruntime", **QUICK))


def test_a_study_by_default_is_of_the_exported_programs_and_says_so(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    results = search(
        smallest_backbone(), task=smallest_task(), storage=f"sqlite:///{tmp_path}/eenas.db", device="cpu",
        space="small", trials=1,
        overrides=[*(each for each in SETTINGS if not each.startswith("latency.runtime")), "bank.branches=1"],
    )  # fmt: skip
    assert results.settings.latency.runtime == "onnxruntime"
    assert results.latency.runtime.startswith("onnxruntime ")
    assert results.latency_place.endswith("in onnxruntime " + results.latency.runtime.split()[1].rstrip(","))
