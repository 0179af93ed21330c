"""The predicted latency of exported programs: from the study, or composed here from a profile."""

import torch

from eenas.backbones.load import Backbone
from eenas.measurement.devices import device_name
from eenas.measurement.latency import LatencySpec
from eenas.measurement.profile import measure_branch, profile_backbone
from eenas.networks.exit_costs import exit_costs
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.costs import LATENCY
from eenas.programs.exit_latency import Timing
from eenas.programs.programs import Format
from eenas.runs.run_report import RunReport
from eenas.study.context.latencies import runtime_for


def timing_of(
    network: EarlyExitNetwork, backbone: Backbone, report: RunReport | None, device: torch.device, format: Format
) -> Timing:
    """Return the settings for timing a network's programs on `device`, with the predicted latency.

    Threads and batch size are those of the run's study. The prediction is the study's if its latencies refer to this
    device and to the runtime of the programs. Otherwise, ONNX programs are predicted from a profile taken here, and
    .pt2 programs have no prediction.
    """
    timed = None if report is None else report.latency
    runtime = "onnxruntime" if format == "onnx" else "torch"
    spec = LatencySpec(
        runtime=runtime,
        batch=timed.batch if timed else 1,
        threads=timed.threads if timed else 1,
    )
    is_same = timed is not None and timed.runtime.startswith(runtime) and timed.device == device_name(device)
    if report is not None and timed is not None and is_same:
        times = [exit_.costs.get(LATENCY) for exit_ in report.exits]
        return Timing(
            spec=spec,
            device=device,
            predicted_ms=tuple(time for time in times if time is not None),
            prediction=f"composed by the study {report.study}, {timed.conditions}",
        )
    if format != "onnx":
        return Timing(spec=spec, device=device)
    found = _composed(network, backbone, spec, device)
    return Timing(spec=spec, device=device, predicted_ms=found, prediction="composed here from a profile of the parts")


def _composed(
    network: EarlyExitNetwork, backbone: Backbone, spec: LatencySpec, device: torch.device
) -> tuple[float, ...]:
    """Return the latencies of the exits, composed from a profile of their cut points and branches."""
    runtime, design = runtime_for(spec, device, backbone), network.design
    chain = network.eval().chain(backbone.example())
    profile = profile_backbone(backbone, chain, device=device, latency=spec, runtime=runtime)
    shapes = {point.name: point.shape for point in profile.cut_points}
    branches = [
        measure_branch(
            placed.branch, shapes[placed.cut_point], design.num_classes, device=device, latency=spec, runtime=runtime
        )
        for placed in design.branches
    ]
    return tuple(exit_costs(design, profile, branches).costs[LATENCY].tolist())
