"""The export of a network: a trained one, or an untrained architecture of a study or a design file."""

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from torch import nn

from eenas.backbones.weights.weights import find_weights
from eenas.deployment import network_sources as sources
from eenas.deployment.model_card import DEVICE, latency_card, run_card
from eenas.deployment.prediction import timing_of
from eenas.deployment.program_folder import write_model
from eenas.errors import EenasError, ExportError
from eenas.measurement.devices import resolve_device
from eenas.networks.network import EarlyExitNetwork
from eenas.programs.model_folder import load_design, write_folder
from eenas.programs.parity import some_samples
from eenas.programs.programs import Format, Programs
from eenas.progress import Listener, silent
from eenas.records.database import Database
from eenas.results.choice import Choice, choose_design
from eenas.results.read import code_folder, read_results, study_record
from eenas.runs.run_report import RunReport
from eenas.specs import from_table
from eenas.study.settings.study_spec import StudySpec, readable
from eenas.tasks.load import given_task, load_task
from eenas.tasks.task import Task


def export(
    out: str | Path,
    *,
    run: str | Path | None = None,
    storage: str = "sqlite:///eenas.db",
    name: str | None = None,
    network: str | EarlyExitNetwork | None = None,
    design_file: str | Path | None = None,
    weights: str | Path | None = None,
    backbone: nn.Module | None = None,
    trust_code: bool = False,
    format: Format = "torch",
    single_file: bool = False,
    data: str | Task | None = None,
    device: str = "cpu",
    listener: Listener = silent,
) -> Path:
    """Write a network to the folder `out`: for `eenas.load`, and with another `format` also for `eenas.runtime.load`.

    `format` "onnx" or "pt2" adds a program for each segment, `single_file` one ONNX model for a batch of 1. They are
    compared with the network on samples of `data` (a task or its spec; by default the study's), and nothing is
    exported where they differ. Then they are timed on `device` of this machine, end to end, in the runtime that runs
    them and with the threads and batch of the study: the manifest's latencies, those of the operating points and so of
    `set_budget(latency_ms=...)` included, are these and say how they were taken. Beside them stands what was predicted:
    by the study, where its latencies are of the same runtime, else composed here of a profile.

    Exactly one of `run` (a folder of full training, or one that was exported before), `network` and `design_file` is
    given. A `network` is the name of one in the study `name` in `storage`, such as "trial 8", or an `EarlyExitNetwork`
    that was trained in one's own loop, and is not changed. Names and design files give untrained architectures without
    a policy, unless `weights` names a file with the state dict of the trained network. What was trained in one's own
    loop and has no policy gets one that is fitted on `data` for the design's own target, and its figures are those of
    the test split of `data`. `backbone` repeats a module that was given to `search` as an object, and is not changed.
    `listener` hears what of `weights` was left out. Raises ExportError for a run that is not finished, for an `out` in
    use, for a backbone that is Python code without `trust_code`, and for what the format cannot hold; ParityError where
    a program differs from the network.
    """
    programs = Programs(format=format, single_file=single_file)
    given = [source for source in (run, network, design_file) if source is not None]
    if len(given) != 1:
        raise ExportError("give exactly one of a run's folder, --network NAME and --design FILE")
    module = network if isinstance(network, EarlyExitNetwork) else None
    if module is not None and weights is not None:
        raise ExportError("a network that is given as a module has its weights; leave weights out")
    is_run = run is not None and not sources.is_model_folder(Path(run))
    if is_run and weights is not None:
        raise ExportError("a run has its weights; give --weights with a model folder, --network NAME or --design FILE")
    report = RunReport.read(str(run), trust_code=trust_code) if is_run else None
    given_data = cache(lambda: _given(data, package.network if module is None else module, trust_code))
    if module is not None:
        package, found = sources.of_own_training(module, *given_data())
    elif report is not None:
        package, found = sources.of_run(report.folder, backbone, trust_code)
    elif run is not None:
        package, found = sources.of_folder(Path(run), backbone, trust_code)
    elif design_file is not None:
        design = load_design(design_file, trust_code=trust_code)
        package, found = sources.untrained(design, (), backbone, trust_code)
    else:
        database = Database(storage, create=False)
        record = study_record(database, name)
        results = read_results(database, record.name, trust_code=trust_code)
        design = choose_design(results, Choice(network=str(network))).design
        package, found = sources.untrained(design, results.classes, backbone, trust_code, code_folder(record))
    study = report.study if report is not None else name
    of_study = report is not None or isinstance(network, str)
    real_data = cache(lambda: _task(given_data(), storage, study, trust_code, of_study=of_study))
    if weights is not None:
        task, spec = real_data()
        trained = sources.with_weights(package.network, find_weights(str(weights)), listener)
        package, found = sources.of_own_training(trained, task, spec)
    if not package.network.classes:
        package.network.classes = tuple(str(index) for index in range(package.network.design.num_classes))
    if format == "torch":
        return write_folder(package, Path(out))
    task, spec = real_data()
    card = package.card if report is None else run_card(report, timed_below=True)
    return write_model(
        replace(package, card=card + DEVICE),
        Path(out),
        programs,
        some_samples(package.network, task, data=spec),
        timing=partial(timing_of, package.network, found, report, resolve_device(device), format),
        card=latency_card,
    )


def _given(data: str | Task | None, network: EarlyExitNetwork, trust_code: bool) -> tuple[Task | None, str]:
    """The task that was given for a network, and its spec."""
    if data is None:
        return None, ""
    task = given_task(data, white=network.transform.white, trust_code=trust_code)
    return task, data if isinstance(data, str) else ""


def _task(
    given: tuple[Task | None, str], storage: str, study: str | None, trust_code: bool, *, of_study: bool
) -> tuple[Task, str]:
    """The task that was given, or that of a study in `storage`, and its spec."""
    task, spec = given
    if task is not None:
        return task, spec
    if not of_study:
        raise ExportError("a program is compared with the network on real samples; give some as --data (data=...)")
    try:
        record = study_record(Database(storage, create=False), study)
        found = from_table(StudySpec, readable(record.settings)).task
        return load_task(found, trust_code=trust_code, relative_to=code_folder(record)), found.spec
    except EenasError as error:
        raise ExportError(
            f"a program is compared with the network on samples of the study, which cannot be loaded: {error}; "
            "give some as --data (data=...)"
        ) from None
