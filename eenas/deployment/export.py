"""The export of a network: a trained network, or an untrained architecture from a study or a design file."""

from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Unpack

from eenas.backbones.weights.weights import find_weights
from eenas.deployment import network_sources as sources
from eenas.deployment.expert_export import check_programs, samples_of_experts, write_experts
from eenas.deployment.model_card import latency_card, run_card
from eenas.deployment.prediction import timing_of
from eenas.deployment.preparation import device_section
from eenas.deployment.program_folder import write_model
from eenas.errors import EenasError, ExportError
from eenas.measurement.devices import resolve_device
from eenas.networks.network import EarlyExitNetwork
from eenas.programs.manifest import read_table
from eenas.programs.model_folder import Package, load_design, write_folder
from eenas.programs.parity import Parity, validation_samples
from eenas.programs.programs import Format, Programs
from eenas.progress import Listener, Notice
from eenas.records.database import Database
from eenas.records.studies import StudyRecord
from eenas.results.choice import Choice, choose_design
from eenas.results.read import code_folder, read_results, study_record
from eenas.runs.run_experts import load_run_experts
from eenas.runs.run_report import RunReport
from eenas.specs import from_table
from eenas.study.settings.reference import StudyOptions, referred
from eenas.study.settings.study_spec import StudySpec, readable
from eenas.tasks.load import given_task, load_task, names_data
from eenas.tasks.sample_check import left_out_notice
from eenas.tasks.task import Task


class ExportOptions(StudyOptions, total=False):
    """Further options of `export`: the study, a design file, weights, the device of timing, `skip_bad`, `experts`."""

    design_file: str | Path | None
    weights: str | Path | None
    device: str
    skip_bad: bool
    experts: bool


def export(
    out: str | Path,
    *,
    run: str | Path | None = None,
    network: str | EarlyExitNetwork | None = None,
    format: Format = "torch",
    single_file: bool = False,
    data: str | Task | None = None,
    **options: Unpack[ExportOptions],
) -> Path:
    """Write a network to the folder `out` for `eenas.load`; with another `format` also for `eenas.runtime.load`.

    Give exactly one source. `run` is the folder of a full training or of an earlier export. `network` is the name of
    a network in the study `name` in `storage`, such as "trial 8", or an `EarlyExitNetwork` from the user's own training
    loop. `design_file` is a design in JSON. Names and design files give an untrained architecture without a policy,
    unless `weights` names a file with the state dict of the trained network. A network from the user's own loop without
    a policy gets one, fitted on `data` for the target of its design; its figures refer to the test split of `data`.
    `backbone` repeats a module that was given to `search` as an object. Given modules are not changed.

    `format` "onnx" or "pt2" adds a program for each segment, `single_file` one ONNX model with batch size 1. Programs
    are compared with the network on samples of `data` (a task or its spec), and are exported only if they match. By
    default, the samples come from the study that the run or folder names, if it is in `storage`, else from the data
    that the folder names. Then the programs are timed end to end on `device`, in their runtime, with the threads and
    batch size of the study. All latencies in the manifest are these, including those of the operating points and hence
    of `set_budget(latency_ms=...)`. The predicted latency is stored with them: that of the study if it refers to the
    same runtime, else one composed here from a profile.

    A run with experts for distorted images is exported with them, for `eenas.load_experts`, as "torch" or "onnx";
    `experts` False exports its network without them.

    `options` are those of `ExportOptions`. `skip_bad` skips unreadable images of `data`. `listener` receives notices
    of skipped images and of ignored `weights`. Raises ExportError for an unfinished run, an `out` in use, a backbone
    that is Python code without `trust_code`, and a network that the format does not support; ParityError if a program
    differs from the network.
    """
    more: dict[str, Any] = dict(options)
    design_file, weights, device = more.pop("design_file", None), more.pop("weights", None), more.pop("device", "cpu")
    skip_bad, with_experts = more.pop("skip_bad", False), more.pop("experts", True)
    study = referred(None, more)
    listener = study.listener
    storage, name, backbone, trust_code = study.storage, study.name, study.backbone, study.trust_code
    programs = Programs(format=format, single_file=single_file)
    given = [source for source in (run, network, design_file) if source is not None]
    if len(given) != 1:
        raise ExportError("give exactly one of the folder of a run, --network NAME and --design FILE")
    module = network if isinstance(network, EarlyExitNetwork) else None
    if module is not None and weights is not None:
        raise ExportError("a network that is a module already has weights; leave weights out")
    is_run = run is not None and not sources.is_model_folder(Path(run))
    if is_run and weights is not None:
        raise ExportError("a run has its own weights; use --weights with a model folder, --network or --design")
    report = RunReport.read(str(run), trust_code=trust_code) if is_run else None
    given_data = cache(
        lambda: _given(_Data(data, skip_bad, trust_code, listener), package.network if module is None else module)
    )
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
    if run is not None:
        origin = _Origin.of_run(report, storage) if report is not None else _Origin.of_folder(Path(run), storage)
    else:
        origin = _Origin(storage=storage, study=name, known=isinstance(network, str))
    real_data = cache(lambda: _task(given_data(), origin, package.network, trust_code))
    if weights is not None:
        task, spec = real_data()
        trained = sources.with_weights(package.network, find_weights(str(weights)), listener)
        package, found = sources.of_own_training(trained, task, spec)
    if not package.network.classes:
        package.network.classes = tuple(str(index) for index in range(package.network.design.num_classes))
    if with_experts and report is not None and report.experts is not None:
        check_programs(programs, resolve_device(device))
        experts, samples = load_run_experts(report.folder, report.experts, package.network), None
        spec = given_data()[1] or origin.spec()
        if format == "onnx":
            task, spec = real_data()
            samples = samples_of_experts(experts.network, task, report.experts.spec, spec)
        write_experts(_naming(package, spec), experts, Path(out), samples)
        return Path(out)
    if format == "torch":
        spec = given_data()[1] or origin.spec()
        return write_folder(_naming(package, spec), Path(out))
    task, spec = real_data()
    package = _naming(package, spec)
    card = package.card if report is None else run_card(report, timed_below=True)
    return write_model(
        replace(package, card=card + device_section(package.network.transform)),
        Path(out),
        programs,
        validation_samples(package.network, task, data=spec),
        timing=partial(timing_of, package.network, found, report, resolve_device(device), format),
        card=latency_card,
    )


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """The source of samples for an export without `data`: the network's study, else the data of the spec `data`.

    `known` says whether the network has a study. `study` is its name, or None for the newest one in the storage.
    """

    storage: str
    study: str | None
    known: bool = True
    data: str = ""

    @classmethod
    def of_run(cls, report: RunReport, storage: str) -> "_Origin":
        return cls(storage=storage, study=report.study)

    @classmethod
    def of_folder(cls, folder: Path, storage: str) -> "_Origin":
        """Return the source that the manifest of an exported folder names."""
        table = read_table(folder)
        measured, program = table["measured"], table.get("program")
        study, data = measured.get("study"), measured.get("data")
        if not data and program is not None:
            data = Parity.of(folder).data
        texts = [text if isinstance(text, str) else "" for text in (study, data)]
        return cls(storage=storage, study=texts[0] or None, known=bool(texts[0]), data=texts[1])

    def record(self) -> StudyRecord:
        """Return the study in the storage. Raises EenasError if it does not exist."""
        return study_record(Database(self.storage, create=False), self.study)

    def spec(self) -> str:
        """Return the spec of the data, or "" if unknown."""
        if not self.known:
            return self.data
        try:
            return from_table(StudySpec, readable(self.record().settings)).task.spec
        except EenasError:
            return self.data


@dataclass(frozen=True)
class _Data:
    """The data that were given, with the options for reading them."""

    data: str | Task | None
    skip_bad: bool
    trust_code: bool
    listener: Listener


def _given(given: _Data, network: EarlyExitNetwork) -> tuple[Task | None, str]:
    """Return the task that was given for a network, and its spec."""
    data = given.data
    if data is None:
        return None, ""
    task = given_task(data, network.transform.inputs, skip_bad=given.skip_bad, trust_code=given.trust_code)
    if task.left_out and given.skip_bad:
        given.listener(Notice(left_out_notice(task.left_out)))
    return task, data if isinstance(data, str) else ""


def _naming(package: Package, spec: str) -> Package:
    """Return the package with the spec of its data among the measurements, for `verify` and later exports."""
    return replace(package, measured={**package.measured, "data": spec}) if names_data(spec) else package


def _task(
    given: tuple[Task | None, str], origin: _Origin, network: EarlyExitNetwork, trust_code: bool
) -> tuple[Task, str]:
    """Return the given task, or the one from the network's origin, and its spec."""
    task, spec = given
    if task is not None:
        return task, spec
    wanted = "give some as --data (data=...)"
    why = f"a program is compared with the network on real samples; {wanted}"
    if origin.known:
        try:
            record = origin.record()
            found = from_table(StudySpec, readable(record.settings)).task
            return load_task(found, trust_code=trust_code, relative_to=code_folder(record)), found.spec
        except EenasError as error:
            study = "the study" if origin.study is None else f"the study {origin.study!r}"
            reason = f"a program is compared with the network on samples of {study}, which cannot be loaded"
            why = f"{reason}: {error}; {wanted}, or the study's database as --storage"
    if origin.data:
        try:
            return given_task(origin.data, network.transform.inputs, trust_code=trust_code), origin.data
        except EenasError as error:
            why = f"a program is compared with the network on samples of {origin.data!r}: {error}; {wanted}"
    raise ExportError(why)
