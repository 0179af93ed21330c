"""The export of a network with experts: the folder, its programs, and their comparison with the network."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eenas.deployment.expert_card import expert_card
from eenas.errors import ExportError
from eenas.frozen.experts.expert_building import ExpertSpec
from eenas.frozen.experts.expert_calibration import mixed_batches
from eenas.frozen.experts.trained_experts import TrainedExperts
from eenas.measurement.latency import LatencySpec
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.programs.exit_latency import ProgramLatency, measure_exits, runtime_name
from eenas.programs.experts.expert_folder import ExpertPackage, fill_expert_folder
from eenas.programs.experts.expert_parity import compare_experts
from eenas.programs.manifest import read_table
from eenas.programs.model_folder import Package, new_model_folder, write_manifest
from eenas.programs.parity import SAMPLES, Parity, ParitySamples
from eenas.programs.programs import Programs
from eenas.programs.runtime import load as open_model
from eenas.tasks.task import Task


def write_experts(
    package: Package, found: TrainedExperts, out: Path, samples: ParitySamples | None = None
) -> Parity | None:
    """Write a network with experts to the folder `out`, with programs if there are `samples` to compare them on.

    `package` holds the network without experts and its figures, which lends the names of its parts. Programs are timed
    on the CPU. Raises the same errors as `write_model`.
    """
    figures = found.figures
    package.network.policy = None  # that of the folder is for experts
    content = ExpertPackage(
        package=replace(package, measured=_measured(package.measured, found), card=expert_card(figures)),
        network=found.network,
        temperatures=found.temperatures,
    )
    parity = None
    with new_model_folder(out) as work:
        fill_expert_folder(content, work, programs=samples is not None)
        if samples is not None:
            parity = _compare_and_time(found.network, samples, work)
    return parity


def check_programs(programs: Programs, device: torch.device) -> None:
    """Raise ExportError for programs that networks with experts do not have, and for timing off the CPU."""
    if programs.format != "torch" and device.type != "cpu":
        raise ExportError(f"the programs of experts are timed on the CPU, got the device {device}; leave device out")
    if programs.single_file or programs.format not in ("torch", "onnx"):
        got = "a single file" if programs.single_file else f"{programs.format!r:.60}"
        raise ExportError(
            f"a network with experts is exported as 'torch' or 'onnx' without a single file, got {got}; "
            "--no-experts (experts=False) exports the network without them"
        )


def samples_of_experts(network: ExpertNetwork, task: Task, spec: ExpertSpec, data: str) -> ParitySamples:
    """Return validation images for the comparison, clean and with every kind. `data` is the spec of the task, or ""."""
    few = task.validation.subset(np.arange(min(len(task.validation), SAMPLES // len(network.names))))
    batches = mixed_batches(few, network.transform.inputs, spec.kinds, spec.severities)
    inputs = torch.cat([network.transform(torch.from_numpy(images)) for images, _, _ in batches])
    return ParitySamples(inputs.contiguous(), few.name, data)


def _measured(before: Mapping[str, Any], found: TrainedExperts) -> dict[str, Any]:
    """Return the manifest's table of figures, from that of the network without experts."""
    figures, backbone = found.figures, before["backbone"]
    exits = [
        {
            "name": name,
            "structure": str(old.get("structure", "")),
            "macs": figures.macs[k],
            "macs_share": figures.macs[k] / figures.backbone_macs,
            "accuracy": figures.accuracy[k],
            "temperature": found.temperatures[0][k],
            "share": figures.reported.shares[k],
        }
        for k, (name, old) in enumerate(zip(found.network.exits, before["exits"], strict=True))
    ]
    kept: dict[str, Any] = {name: before[name] for name in ("task", "study", "data") if name in before}
    return {
        **kept,
        "split": "test",
        "samples": figures.samples,
        **({"balanced": True} if figures.balanced else {}),
        "backbone": {"name": backbone.get("name", ""), "macs": figures.backbone_macs},
        "exits": exits,
        "reported": figures.reported.to_table(),
        "points": [each.to_table() for each in figures.points],
        "end_to_end_ms": None,
        "contexts": [each.to_table() for each in figures.contexts],
    }


def _compare_and_time(network: ExpertNetwork, samples: ParitySamples, folder: Path) -> Parity:
    """Compare the programs in a folder with the network and time them; write both into the manifest."""
    model = open_model(folder, threads=1)
    parity = compare_experts(network, model, samples)
    table, spec = read_table(folder), LatencySpec()
    table["program"]["parity"] = parity.to_table()
    found = measure_exits(model, spec, device=torch.device("cpu"), runtime=runtime_name("onnx"))
    times = tuple(each.median_ms for each in found)
    ProgramLatency(exits=model.exits, measured_ms=times, conditions=found[-1].conditions).write_into(table)
    write_manifest(table, folder)
    return parity
