"""A network taken home: from a finished run, or an untrained architecture from a trial or a design file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.deployment.model_folder import Package, load_design, write_folder
from eenas.designs.design import Design
from eenas.errors import ExportError
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights
from eenas.plugins import is_reference
from eenas.records.database import Database
from eenas.search.choice import Choice, choose_design
from eenas.search.model_card import run_card, untrained_card
from eenas.search.read import read_results, study_record
from eenas.search.run_report import WEIGHTS, RunReport
from eenas.seeding import seeded
from eenas.specs import to_table


def export(
    out: str | Path,
    *,
    run: str | Path | None = None,
    storage: str = "sqlite:///eenas.db",
    name: str | None = None,
    trial: int | None = None,
    design_file: str | Path | None = None,
    backbone: nn.Module | None = None,
    trust_code: bool = False,
) -> Path:
    """Write a network to the folder `out`, for `eenas.load`.

    Exactly one of `run` (a folder of full training), `trial` (of the study `name` in `storage`) and `design_file` says
    which; the latter two give an untrained architecture without a policy. `backbone` repeats a module that was given
    to `search` as an object. Raises ExportError for a run that is not finished, and for an `out` in use.
    """
    given = [source for source in (run, trial, design_file) if source is not None]
    if len(given) != 1:
        raise ExportError("give exactly one of a run's folder, --trial N and --design FILE")
    if run is not None:
        package = _from_run(Path(run), backbone, trust_code)
    elif trial is not None:
        database = Database(storage, create=False)
        results = read_results(database, study_record(database, name).name)
        design = choose_design(results, Choice(trial=trial)).design
        package = _untrained(design, results.settings.backbone.name, results.classes, backbone, trust_code)
    else:
        design = load_design(Path(str(design_file)))
        classes = tuple(str(index) for index in range(design.num_classes))
        package = _untrained(design, design.backbone, classes, backbone, trust_code)
    return write_folder(package, Path(out))


def _from_run(folder: Path, module: nn.Module | None, trust_code: bool) -> Package:
    report = RunReport.read(folder)
    package = _untrained(report.design, report.design.backbone, report.classes, module, trust_code)
    network = package.network
    load_weights(network, folder / WEIGHTS)
    network.policy = report.reported.policy
    return replace(package, trained=True, measured=_measured(report), card=run_card(report))


def _untrained(
    design: Design, name: str, classes: tuple[str, ...], module: nn.Module | None, trust_code: bool
) -> Package:
    if module is None and is_reference(name) and not name.startswith("torchvision:") and not trust_code:
        raise ExportError(f"the backbone {name!r} is Python code; pass --trust-code (trust_code=True) if you trust it")
    spec = BackboneSpec(name=name)
    with seeded(0):
        found = load_backbone(
            spec if module is None else module,
            num_classes=design.num_classes,
            input_size=design.input_size,
            trust_code=trust_code,
        )
        network = build_network(design, found, classes=classes)
    return Package(network=network, backbone=spec, trained=False, measured={}, card=untrained_card(design, network))


def _measured(report: RunReport) -> dict[str, Any]:
    return {
        "study": report.study,
        "task": report.task,
        "device": report.device,
        "split": "test",
        "samples": report.test_samples,
        "backbone": to_table(report.backbone),
        "exits": [to_table(exit_) for exit_ in report.exits],
        "reported": report.reported.to_table(),
        "points": [point.to_table() for point in report.points],
        "end_to_end_ms": report.end_to_end_ms,
    }
