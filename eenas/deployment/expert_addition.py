"""Experts for distorted images, added to an exported network: trained, calibrated, compared and written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from torch import nn

from eenas.backbones.load import BackboneSpec
from eenas.deployment.expert_card import expert_card
from eenas.deployment.fitting import network_costs
from eenas.errors import ExportError, PolicyError
from eenas.frozen.experts.expert_building import ExpertSpec, build_experts
from eenas.frozen.experts.expert_calibration import fit_experts, mixed_pictures
from eenas.frozen.experts.expert_worth import Contest, ContextWorth, worth_of_experts
from eenas.measurement.latency import LatencySpec
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.networks.experts.expert_tables import costs_with_classifier, routed_table
from eenas.networks.tables import exit_table
from eenas.policies.costs import MACS
from eenas.policies.experts.expert_fit import ExpertFitting
from eenas.policies.experts.routed_table import RoutedTable
from eenas.policies.fit import Fitting
from eenas.policies.operating_point import evaluate
from eenas.policies.rule import Rule
from eenas.policies.temperatures import fit_temperatures
from eenas.programs.exit_latency import ProgramLatency, measure_exits, runtime_name
from eenas.programs.experts.expert_folder import ExpertPackage, fill_expert_folder
from eenas.programs.experts.expert_parity import compare_experts
from eenas.programs.manifest import read_table
from eenas.programs.model_folder import Package, load, new_model_folder, write_manifest
from eenas.programs.parity import SAMPLES, Parity, ParitySamples
from eenas.programs.programs import Format, need_onnx
from eenas.programs.runtime import load as open_model
from eenas.progress import Listener, silent
from eenas.specs import check_options
from eenas.tasks.load import given_task
from eenas.tasks.task import Task


class ExpertOptions(TypedDict, total=False):
    """Further options of `add_experts`: `max_macs`, the `seed`, `skip_bad`, `listener`, and options of `eenas.load`."""

    max_macs: float | None
    seed: int
    skip_bad: bool
    listener: Listener
    trust_code: bool
    backbone: nn.Module | None


@dataclass(frozen=True, kw_only=True)
class ExpertResult:
    """The result of `add_experts`: the figures of every context on the test split, and the parity of the programs.

    `classifier_macs` are those of choosing an expert, `backbone_macs` those of the plain backbone. `parity` is None
    without programs.
    """

    folder: Path
    names: tuple[str, ...]
    contexts: tuple[ContextWorth, ...]
    classifier_macs: int
    backbone_macs: float
    parity: Parity | None


def add_experts(
    folder: str | Path,
    data: str | Task,
    out: str | Path,
    spec: ExpertSpec,
    *,
    format: Format = "torch",
    **options: Unpack[ExpertOptions],
) -> ExpertResult:
    """Add experts for distorted images to the trained network in `folder`, and write the result to the folder `out`.

    `data` (a task of images or its spec) is what the network was trained on: experts learn from its train split, their
    policies are fitted on its calibration split, and all figures refer to its test split, all of them distorted here.
    The backbone and the exits for clean images stay as they are. Each expert gets the most accurate policy whose mean
    MACs are within `max_macs`, a share of the plain backbone's (default: the target of the design).

    `format` "onnx" adds programs: one for each backbone segment, and one for each exit of each expert. They are
    compared with the network on clean and distorted samples, and timed. `load_experts` opens the folder, and
    `eenas.runtime.load` its programs. Raises ExportError for a folder without a fitted policy, with experts, or in
    use, for one that is `out`, and for the format "pt2"; TaskError for data that are not images; ParityError if a
    program differs.
    """
    check_options("add_experts", options, ExpertOptions)
    if format not in ("torch", "onnx"):
        raise ExportError(f"networks with experts are exported as 'torch' or 'onnx', got {format!r:.60}")
    share = options.get("max_macs")
    if share is not None and (isinstance(share, bool) or not isinstance(share, int | float) or not share >= 0):
        raise PolicyError(f"max_macs must be a share of the backbone's MACs from 0 up, got {share!r:.60}")
    if format == "onnx":
        need_onnx()
    path, trust_code = Path(folder), options.get("trust_code", False)
    if Path(out).resolve() == path.resolve():
        raise ExportError(f"{path}: the network with experts would replace this one; give another folder for it")
    table = read_table(path)
    base = load(path, trust_code=trust_code, backbone=options.get("backbone"))
    if base.policy is None or not table["measured"].get("exits"):
        raise ExportError(f"{path}: has no fitted policy; export a trained network")
    task = given_task(data, base.transform.inputs, skip_bad=options.get("skip_bad", False), trust_code=trust_code)
    if task.classes != base.classes:
        raise ExportError(f"the data must have the {len(base.classes)} classes of the network; rename or reorder them")
    seed = options.get("seed", 0)
    network = build_experts(base, task, spec, seed=seed, listener=options.get("listener", silent))
    plain_costs, total = network_costs(base)
    costs = costs_with_classifier(plain_costs, network.classifier.macs)
    rule = Rule.of(base.design.policy)
    fitting = fit_experts(network, task.calibration, costs, severities=spec.severities, rule=rule, seed=seed)
    budget = (base.design.policy.target_macs if share is None else share) * total
    network.policy = fitting.policy({MACS: budget})
    plain = Fitting(exit_table(base, task.calibration, plain_costs), rule).policy({MACS: budget})
    contest = Contest(
        network=network,
        policy=network.policy,
        costs=costs,
        plain=base,
        plain_policy=plain,
        plain_costs=plain_costs,
    )
    contexts = tuple(worth_of_experts(contest, task.test, spec.severities, seed=seed))
    pictures = mixed_pictures(task.test, network.transform.inputs, spec.kinds, spec.severities, seed=seed)
    test = routed_table(network, pictures, costs, balanced=task.test.balanced)
    measured = {
        **_measured(table["measured"], network, test, fitting),
        "contexts": [each.to_table() for each in contexts],
    }
    card = expert_card(network.names, contexts, network.classifier.macs, total)
    base.policy = None  # that of the folder is for experts
    package = Package(
        network=base,
        backbone=BackboneSpec(name=str(table["backbone"]["name"])),
        trained=True,
        measured=measured,
        card=card,
    )
    temperatures = tuple(tuple(fit_temperatures(each.calibration).tolist()) for each in fitting.fittings)
    content = ExpertPackage(package=package, network=network, temperatures=temperatures)
    parity = None
    with new_model_folder(Path(out)) as work:
        fill_expert_folder(content, work, programs=format == "onnx")
        if format == "onnx":
            samples = _samples(network, task, spec, data if isinstance(data, str) else "")
            parity = _compare_and_time(network, samples, work)
    return ExpertResult(
        folder=Path(out),
        names=network.names,
        contexts=contexts,
        classifier_macs=network.classifier.macs,
        backbone_macs=total,
        parity=parity,
    )


def _measured(
    before: dict[str, Any], network: ExpertNetwork, test: RoutedTable, fitting: ExpertFitting
) -> dict[str, Any]:
    """Return the manifest's table of figures, from that of the network without experts."""
    assert network.policy is not None
    point, accuracies = evaluate(network.policy, test), test.exit_accuracy()
    temperatures = fit_temperatures(fitting.fittings[0].calibration)
    backbone = before["backbone"]
    exits = [
        {
            "name": name,
            "structure": str(old.get("structure", "")),
            "macs": float(test.costs[MACS][k]),
            "macs_share": float(test.costs[MACS][k]) / float(backbone["macs"]),
            "accuracy": accuracies[k],
            "temperature": float(temperatures[k]),
            "share": point.shares[k],
        }
        for k, (name, old) in enumerate(zip(network.exits, before["exits"], strict=True))
    ]
    kept: dict[str, Any] = {name: before[name] for name in ("task", "study", "data") if name in before}
    return {
        **kept,
        "split": "test",
        "samples": len(test),
        **({"balanced": True} if test.balanced else {}),
        "backbone": {"name": backbone.get("name", ""), "macs": float(backbone["macs"])},
        "exits": exits,
        "reported": point.to_table(),
        "points": [each.to_table() for each in fitting.operating_points(test)],
        "end_to_end_ms": None,
    }


def _samples(network: ExpertNetwork, task: Task, spec: ExpertSpec, data: str) -> ParitySamples:
    """Return validation images for the comparison, clean and with every kind."""
    few = task.validation.subset(np.arange(min(len(task.validation), SAMPLES // len(network.names))))
    batches = mixed_pictures(few, network.transform.inputs, spec.kinds, spec.severities)
    inputs = torch.cat([network.transform(torch.from_numpy(images)) for images, _, _ in batches])
    return ParitySamples(inputs.contiguous(), few.name, data)


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
