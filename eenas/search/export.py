"""A network taken home: from a finished run, or an untrained architecture of a study or a design file."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from eenas.backbones.copies import copy_of
from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.deployment.model_folder import Package, check_code, load_design, write_folder
from eenas.deployment.parity import Samples, some_samples
from eenas.deployment.program_folder import write_model
from eenas.deployment.programs import Format, Programs
from eenas.designs.design import Design
from eenas.errors import EenasError, ExportError, WeightsError
from eenas.measurement.devices import resolve_device
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.threshold import ONE_EXIT
from eenas.records.database import Database
from eenas.search.choice import Choice, choose_design
from eenas.search.config import StudySpec
from eenas.search.model_card import DEVICE, latency_card, run_card, untrained_card
from eenas.search.prediction import timing_of
from eenas.search.read import code_folder, read_results, readable, study_record
from eenas.search.run_report import WEIGHTS, RunReport
from eenas.seeding import seeded
from eenas.specs import from_table, to_table
from eenas.tasks.load import load_task
from eenas.tasks.task import Task


def export(
    out: str | Path,
    *,
    run: str | Path | None = None,
    storage: str = "sqlite:///eenas.db",
    name: str | None = None,
    network: str | None = None,
    design_file: str | Path | None = None,
    backbone: nn.Module | None = None,
    trust_code: bool = False,
    format: Format = "torch",
    single_file: bool = False,
    data: str | Task | None = None,
    device: str = "cpu",
) -> Path:
    """Write a network to the folder `out`: for `eenas.load`, and with another `format` also for `eenas.runtime.load`.

    `format` "onnx" or "pt2" adds a program for each segment, `single_file` one ONNX model for a batch of 1. They are
    compared with the network on samples of `data` (a task or its spec; by default the study's), and nothing is
    exported where they differ. Then they are timed on `device` of this machine, end to end, in the runtime that runs
    them and with the threads and batch of the study: the manifest's latencies, those of the operating points and so of
    `set_budget(latency_ms=...)` included, are these and say how they were taken. Beside them stands what was predicted:
    by the study, where its latencies are of the same runtime, else composed here of a profile.

    Exactly one of `run` (a folder of full training), `network` (its name in the study `name` in `storage`, such as
    "trial 8") and `design_file` says which; the latter two give an untrained architecture without a policy. `backbone`
    repeats a module that was given to `search` as an object, and is not changed. Raises ExportError for a run that is
    not finished, for an `out` in use, for a backbone that is Python code without `trust_code`, and for what the format
    cannot hold; ParityError where a program differs from the network.
    """
    programs = Programs(format=format, single_file=single_file)
    given = [source for source in (run, network, design_file) if source is not None]
    if len(given) != 1:
        raise ExportError("give exactly one of a run's folder, --network NAME and --design FILE")
    if run is not None:
        package, found = _from_run(Path(run), backbone, trust_code)
    elif network is not None:
        database = Database(storage, create=False)
        record = study_record(database, name)
        results = read_results(database, record.name, trust_code=trust_code)
        design = choose_design(results, Choice(network=network)).design
        package, found = _untrained(design, results.classes, backbone, trust_code, code_folder(record))
    else:
        design = load_design(Path(str(design_file)), trust_code=trust_code)
        classes = tuple(str(index) for index in range(design.num_classes))
        package, found = _untrained(design, classes, backbone, trust_code)
    if format == "torch":
        return write_folder(package, Path(out))
    if isinstance(data, str):
        samples = some_samples(package.network, load_task(data, trust_code=trust_code), data=data)
    elif data is not None:
        samples = some_samples(package.network, data)
    elif design_file is not None:
        raise ExportError("a program is compared with the network on real samples; give some as --data (data=...)")
    else:
        study = name if run is None else RunReport.read(run, trust_code=trust_code).study
        samples = _study_samples(package.network, storage, study, trust_code)
    where = resolve_device(device)
    report = None if run is None else RunReport.read(run, trust_code=trust_code)
    card = package.card if report is None else run_card(report, timed_below=True)
    return write_model(
        replace(package, card=card + DEVICE),
        Path(out),
        programs,
        samples,
        timing=partial(timing_of, package.network, found, report, where, format),
        card=latency_card,
    )


def _study_samples(network: EarlyExitNetwork, storage: str, study: str | None, trust_code: bool) -> Samples:
    """Samples of the task of a study in `storage`."""
    try:
        record = study_record(Database(storage, create=False), study)
        spec = from_table(StudySpec, readable(record.settings)).task
        task = load_task(spec, trust_code=trust_code, relative_to=code_folder(record))
    except EenasError as error:
        raise ExportError(
            f"a program is compared with the network on samples of the study, which are not to be had: {error}; "
            "give some as --data (data=...)"
        ) from None
    return some_samples(network, task, data=spec.spec)


def _from_run(folder: Path, module: nn.Module | None, trust_code: bool) -> tuple[Package, Backbone]:
    report = RunReport.read(folder, trust_code=trust_code)
    channels = 3 if report.transform is None else report.transform.channels
    home = None if report.code_folder is None else Path(report.code_folder)
    package, found = _untrained(report.design, report.classes, module, trust_code, home, channels)
    network = package.network
    try:
        load_weights(network, folder / WEIGHTS)
    except WeightsError as error:
        raise ExportError(f"{error}; is this the backbone that was trained?") from None
    network.policy = report.reported.policy
    if report.transform is not None:
        network.transform = report.transform
    return replace(package, trained=True, measured=_measured(report), card=run_card(report)), found


def _untrained(
    design: Design,
    classes: tuple[str, ...],
    module: nn.Module | None,
    trust_code: bool,
    folder: Path | None = None,
    channels: int = 3,
) -> tuple[Package, Backbone]:
    check_code(design.backbone, given=module is not None, trust_code=trust_code)
    spec = BackboneSpec(name=design.backbone)
    with seeded(0):
        found = load_backbone(
            spec if module is None else copy_of(module),
            num_classes=design.num_classes,
            input_size=design.input_size,
            channels=channels,
            trust_code=trust_code,
            relative_to=folder,
        )
        network = build_network(design, found, classes=classes)
    if len(network.exits) == 1:  # nobody decides, so that nothing has to be fitted
        network.policy = ONE_EXIT
    card = untrained_card(design, network)
    return Package(network=network, backbone=spec, trained=False, measured={}, card=card), found


def _measured(report: RunReport) -> dict[str, Any]:
    return {
        "study": report.study,
        "task": report.task,
        "device": report.device,
        "split": "test",
        "samples": report.test_samples,
        **({"balanced": True} if report.balanced else {}),
        "backbone": to_table(report.backbone),
        "exits": [to_table(exit_) for exit_ in report.exits],
        "reported": report.reported.to_table(),
        "points": [point.to_table() for point in report.points],
        "end_to_end_ms": report.end_to_end_ms,
    }
