"""Recalibration: refit the temperatures and thresholds of an exported model on new data, without training."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.deployment.calibrated import Calibration
from eenas.deployment.calibration_options import CalibrationOptions
from eenas.deployment.fit_limits import FitLimits
from eenas.deployment.network_segments import inputs_of, open_network
from eenas.errors import ExportError, plural
from eenas.escaping import as_markdown
from eenas.files import check_writable, replace_folder, write_text
from eenas.measurement.latency import LatencySpec
from eenas.measurement.stopwatch import restored_threads
from eenas.percent import percent
from eenas.policies.costs import LATENCY, MACS, CostFacts, Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import Fitting, declined
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.policies.policy import Policy
from eenas.policies.proportions import higher
from eenas.policies.rule import Rule
from eenas.policies.split_costs import split_from
from eenas.policies.temperatures import fit_temperatures
from eenas.programs.exit_latency import ProgramLatency, measure_exits, runtime_name
from eenas.programs.manifest import MANIFEST, checksum, export_errors, read_plain_table
from eenas.programs.model_folder import CARD, write_manifest
from eenas.programs.programs import write_single_file
from eenas.programs.runtime import ExportedModel
from eenas.programs.runtime import load as open_model
from eenas.runs.exit_facts import ExitFacts
from eenas.specs import check_options, from_table
from eenas.tasks.load import given_task
from eenas.tasks.split import Split
from eenas.tasks.task import Task

HEADING = "\n## Recalibrated\n"
TESTED = "tested"
"""The manifest's key for the final exit's accuracy on the run's test split, kept when other figures are replaced."""
UNLIKELY = 0.01
FEW = 100
"""With fewer samples, the accuracy is uncertain by about 10 points or more (95 %)."""
_BATCH = 64


@restored_threads()
def calibrate(
    folder: str | Path,
    data: str | Task,
    *,
    max_accuracy_drop: float | None = None,
    limits: Mapping[str, float | None] = MappingProxyType({}),
    unseen: bool = False,
    skip_bad: bool = False,
    **options: Unpack[CalibrationOptions],
) -> Calibration:
    """Refit the exported model in `folder` on `data` (a task or its spec) within one limit, and rewrite its manifest.

    The folder does not change until all new files are complete.

    `max_accuracy_drop` is the loss against the final exit, in [0, 1] (0.005 is half a point). It selects the cheapest
    policy that loses no more. The other limits select the most accurate policy whose mean cost is within the limit:
    `max_macs` as a share of the plain backbone's MACs, `max_latency_ms` of a sample on this machine in this runtime,
    and `limits` for other costs of the model, such as `{"max_energy": 2.5}`.

    With `confidence` (0.95), `max_accuracy_drop` is a guarantee: with this probability it bounds the share of new data
    with an error where the final exit is right, or with `loss="consistency"` with another answer than the final exit's.

    Temperatures and thresholds are fitted on the calibration split. With `unseen`, the network was trained on none of
    these data, and the train and validation splits are used for the fit, too. All figures refer to the test split. The
    kind of policy does not change. `skip_bad` skips unreadable images. A folder without programs is calibrated in
    torch; there, `trust_code` and `backbone` are those of `eenas.load`.

    Raises PolicyError, with the nearest policy, if no policy keeps the limit or too few samples can show it; nothing is
    written then. Raises ExportError for an incomplete folder, an untrained export, and data of other classes.
    """
    check_options("calibrate", options, CalibrationOptions)
    macs, latency = options.get("max_macs"), options.get("max_latency_ms")
    wanted = FitLimits.of(
        max_accuracy_drop,
        {"max_macs": macs, "max_latency_ms": latency, **limits},
        confidence=options.get("confidence"),
        loss=options.get("loss", "gap"),
    )
    trust_code, backbone, threads = options.get("trust_code", False), options.get("backbone"), options.get("threads")
    path, threads = Path(folder), (os.cpu_count() or 1) if threads is None else threads
    check_writable(path)
    table = read_plain_table(path)
    if table.get("program") is not None:
        model = open_model(path, threads=threads, trust_code=trust_code)
    elif LATENCY not in wanted.costs:
        model = open_network(path, trust_code=trust_code, backbone=backbone)
    else:
        raise ExportError(f"{path}: contains no programs to time; export with --format onnx, or set another limit")
    task = given_task(data, inputs_of(model), skip_bad=skip_bad, trust_code=trust_code)
    _check(path, model, task)
    balanced = bool(table["measured"].get("balanced", False))  # the setting of the model's study
    if LATENCY in wanted.costs:
        _measure_latency(path, model, table, threads)
    costs = _costs(table["measured"])
    split = split_from(table["measured"].get("reported", {}).get("split"))  # to which the costs of tiers refer
    wanted.check_costs(costs.names)
    splits = [task.train, task.calibration, task.validation] if unseen else [task.calibration]
    fitted_on, test = (exit_table(model, parts, costs, balanced=balanced) for parts in (splits, [task.test]))
    rule = wanted.rule(_rule(path, table))
    fitting = Fitting(fitted_on, rule)
    policy, guarantee = wanted.fit(fitting, float(model.manifest.backbone_macs or 0.0))
    before = None if model.policy is None else evaluate(model.policy, test)
    found = Calibration(
        before=before,
        after=replace(evaluate(policy, test), guarantee=guarantee, split=split),
        final_accuracy=test.exit_accuracy()[-1],
        backbone_macs=float(model.manifest.backbone_macs or 0.0),
        samples=len(test),
        fitted_on=len(fitted_on),
        warning=_warning(table["measured"], fitted_on, test),
        left_out=task.left_out,
        unused=0 if unseen else len(task.train) + len(task.validation),
        cautions=_cautions(fitted_on, test, policy, wanted, unseen=unseen),
        declined=declined(rule, policy),
        costs=costs.facts,
    )
    points = tuple(replace(point, split=split) for point in fitting.operating_points(test, common=True))
    spec = data if isinstance(data, str) else data.name
    with replace_folder(path, keep=lambda name: True) as work:
        _write(work, table, found, points, fit_temperatures(fitted_on), test, spec)
    return found


def exit_table(model: ExportedModel, splits: list[Split], costs: Costs, *, balanced: bool = False) -> ExitTable:
    """Return the exit table of the program on several splits, concatenated."""
    inputs, rows = inputs_of(model), []
    for split in splits:
        reader = split.reader(inputs)
        for start in range(0, len(split), _BATCH):
            batch = reader[np.arange(start, min(start + _BATCH, len(split)))].numpy()
            rows.append(np.stack(model.logits(model.manifest.preprocessing(batch)), axis=1))
    return ExitTable(
        logits=np.concatenate(rows),
        labels=np.concatenate([split.labels for split in splits]),
        exits=model.exits,
        costs=costs,
        balanced=balanced,
    )


def _warning(measured: dict[str, Any], fitted_on: ExitTable, test: ExitTable) -> str | None:
    """Return a warning if the final exit is more accurate on these data than on the test split, beyond noise."""
    known = measured.get(TESTED) or _tested(measured)
    if known is None:
        return None
    right = sum(int(each.correct()[:, -1].sum()) for each in (fitted_on, test))
    samples = len(fitted_on) + len(test)
    if higher(right, samples, round(known["accuracy"] * known["samples"]), known["samples"]) >= UNLIKELY:
        return None
    return (
        f"the final exit has an accuracy of {percent(right / samples)} on these {samples:,} samples, and had "
        f"{percent(known['accuracy'])} on {known['samples']:,} test samples when it was exported: the model was "
        "probably trained on these samples, or they are easier than future ones, and the thresholds are too low; "
        "calibrate on data that the model has not seen"
    )


def _cautions(
    fitted_on: ExitTable, test: ExitTable, policy: Policy, limits: FitLimits, *, unseen: bool
) -> tuple[str, ...]:
    """Return sentences on a fit with few samples, and on a model whose samples all leave at the first exit."""
    found, samples, drop = [], len(fitted_on), limits.max_accuracy_drop
    if samples < FEW or (drop and samples * drop < 1):
        more = "give more" if unseen else "give more, or --unseen if the model was trained on none of them"
        found.append(
            f"the thresholds rest on {plural(samples, 'sample')}, each of which is {100 / samples:.2g} points of "
            "accuracy: "
            f"another sample would give other thresholds; {more}"
        )
    if len(test.exits) > 1 and all(evaluate(policy, table).shares[0] == 1 for table in (fitted_on, test)):
        found.append(
            f"every sample leaves at the first exit ({test.exits[0]}): the model is now static, and its later segments "
            "never run; for another trade-off, set another limit"
        )
    return tuple(found)


def _tested(measured: dict[str, Any]) -> dict[str, Any] | None:
    """Return the final exit's accuracy on the run's test split as exported, or None if it was not."""
    accuracy, samples = measured["exits"][-1].get("accuracy"), measured.get("samples")
    if accuracy is None or not samples or "calibrated_on" in measured:
        return None
    return {"accuracy": accuracy, "samples": samples}


def _check(path: Path, model: ExportedModel, task: Task) -> None:
    """Raise ExportError if the model's costs are unknown or the data have other classes."""
    if model.manifest.backbone_macs is None:
        raise ExportError(f"{path}: was exported untrained, without costs; export a run")
    if task.classes != model.classes:
        counts = f"{len(task.classes)} ({', '.join(task.classes[:3])}, ...)"
        own = f"{len(model.classes)} ({', '.join(model.classes[:3])}, ...)"
        raise ExportError(f"the data must have the classes of the model, {own}, got {counts}; rename or reorder them")


def _costs(measured: dict[str, Any]) -> Costs:
    """Return the costs of leaving at each exit from the manifest. Costs that an exit lacks are omitted."""
    exits = [ExitFacts.costs_in(exit_) for exit_ in measured["exits"]]
    names = [name for name in exits[0] if all(name in each for each in exits)]
    found = Costs.of({name: [each[name] for each in exits] for name in names})
    facts = {each["name"]: from_table(CostFacts, each) for each in measured.get("costs", ())}
    return Costs(tuple(facts.get(each.name, each) for each in found.facts), found.values)


def _rule(path: Path, table: dict[str, Any]) -> Rule:
    """Return the model's rule, which determines the kind of policy."""
    with export_errors(path / MANIFEST):
        return from_table(Rule, table["rule"], key="rule")


def _measure_latency(path: Path, model: ExportedModel, table: dict[str, Any], threads: int) -> None:
    """Measure the latency of one sample at each exit here, and write it into the manifest's table."""
    before = ProgramLatency.of(path) if table["program"].get("latency") is not None else None
    found = measure_exits(
        model,
        LatencySpec(threads=threads),
        device=torch.device("cpu"),
        runtime=runtime_name(model.manifest.kind),
    )
    measured = ProgramLatency(
        exits=model.exits,
        measured_ms=tuple(each.median_ms for each in found),
        conditions=found[-1].conditions,
    )
    if before is not None and before.conditions == measured.conditions:  # then the prediction still applies
        measured = replace(measured, predicted_ms=before.predicted_ms, prediction=before.prediction)
    measured.write_into(table)


def _write(
    path: Path,
    table: dict[str, Any],
    found: Calibration,
    points: tuple[OperatingPoint, ...],
    temperatures: NDArray[np.float64],
    test: ExitTable,
    data: str,
) -> None:
    """Write the manifest with the new policy, points and figures, the single file and the model card."""
    after, accuracies = found.after, test.exit_accuracy()
    measured = table["measured"]
    measured.setdefault(TESTED, _tested(measured))  # the new figures refer to other data
    for k, exit_ in enumerate(measured["exits"]):
        exit_ |= {"accuracy": accuracies[k], "temperature": float(temperatures[k]), "share": after.shares[k]}
    measured |= {
        "calibrated_on": data,
        "samples": found.samples,
        "reported": after.to_table(),
        "points": [point.to_table() for point in points],
        "end_to_end_ms": None,
    }
    table["policy"] = after.policy.to_table()
    if single := (table.get("program") or {}).get("single_file"):
        segments = [path / segment["file"] for segment in table["program"]["segments"]]
        write_single_file(segments, after.policy, path / single["file"])
        single["sha256"] = checksum(path / single["file"])
    write_manifest(table, path)
    card = path / CARD
    text = card.read_text(encoding="utf-8").partition(HEADING)[0] if card.is_file() else ""
    lines = (
        f"On {as_markdown(data)}: temperatures and thresholds were refitted on {found.fitted_on:,} samples. They",
        "replace those above, and a guarantee stated above does not hold for them. The",
        f"figures in `eenas.json` refer to {found.samples:,} other samples: accuracy {percent(after.accuracy, 2)} at "
        f"{percent(after.expected[MACS] / found.backbone_macs)} of the backbone's MACs "
        f"(the final exit alone: {percent(found.final_accuracy, 2)}).",
        *(line for each in found.declined for line in ("", as_markdown(each))),
        *(() if after.guarantee is None else ("", as_markdown(after.guarantee.sentence()))),
    )
    write_text(card, text + HEADING + "\n" + "\n".join(lines) + "\n")
