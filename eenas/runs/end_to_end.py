"""End-to-end latency of a network at each of its exits, for comparison with composed latencies."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from eenas.backbones.copies import evaluated
from eenas.backbones.load import BackboneSpec
from eenas.measurement.latency import Latency, LatencySpec, torch_runtime
from eenas.measurement.torch_runtime import time_program, time_programs
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.programs.exit_latency import measure_answers, measure_exits, runtime_name
from eenas.programs.model_folder import Package, write_folder
from eenas.programs.programs import Programs
from eenas.programs.runtime import ExportedModel, load

EVEN = 1e6
"""A temperature that makes all classes nearly equally likely, so no score reaches 1."""


def end_to_end(
    network: EarlyExitNetwork, inputs: torch.Tensor, *, device: torch.device, spec: LatencySpec
) -> tuple[Latency, ...]:
    """Return the latency of leaving at each exit by `predict`, for `inputs` [spec.batch, ...], floats on `device`.

    It covers all segments, branches and decisions on the way, under the conditions of the profile. The time is taken on
    the host, which waits for each decision.
    """
    policies = [_leave_at(k, len(network.exits)) for k in range(len(network.exits))]
    return time_programs(
        [partial(network.predict, policy=policy) for policy in policies],
        inputs,
        device=device,
        spec=spec,
        runtime=torch_runtime("segment by segment"),
    )


def answers_ms(network: EarlyExitNetwork, inputs: torch.Tensor, *, device: torch.device, spec: LatencySpec) -> float:
    """Return the median time of `predict` by the network's policy in ms, over single samples of `inputs` [N, ...]."""
    turn = itertools.cycle(range(len(inputs)))
    found = time_program(
        lambda x: network.predict(x[(index := next(turn)) : index + 1]),
        inputs,
        device=device,
        spec=replace(spec, batch=1),
        runtime=torch_runtime("segment by segment"),
        host_clock=True,
        varies=True,
    )
    return found.median_ms


def programs_end_to_end(
    network: EarlyExitNetwork, inputs: torch.Tensor, *, device: torch.device, spec: LatencySpec
) -> tuple[tuple[Latency, ...], float | None]:
    """Return the results of `end_to_end` and `answers_ms` for the ONNX programs of an export of `network`.

    They are measured on `device`. The second is None for a network without a policy.

    Raises ExportError for operations that ONNX does not support.
    """
    with _programs(network, device, spec) as model:
        found = measure_exits(model, spec, device=device, runtime=runtime_name("onnx"))
        if model.policy is None:
            return found, None
        return found, measure_answers(model, inputs.cpu().numpy(), spec, device)


@contextmanager
def _programs(network: EarlyExitNetwork, device: torch.device, spec: LatencySpec) -> Iterator[ExportedModel]:
    """Yield the opened programs of a network, in a temporary folder."""
    on_cpu = evaluated(network, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        backbone = BackboneSpec(name=network.design.backbone)
        package = Package(network=on_cpu, backbone=backbone, trained=False, measured={}, card="")
        write_folder(package, Path(folder) / "programs", Programs(format="onnx"))
        yield load(Path(folder) / "programs", provider=device.type, threads=spec.threads or 1)


def _leave_at(k: int, exits: int) -> ThresholdPolicy:
    """Return a policy by which all samples leave at exit k, and all scores up to it are computed and compared."""
    thresholds = [1.0] * (exits - 1)
    thresholds[k : k + 1] = [0.0] * len(thresholds[k : k + 1])
    return ThresholdPolicy(score="max_softmax", temperatures=(EVEN,) * exits, thresholds=tuple(thresholds))
