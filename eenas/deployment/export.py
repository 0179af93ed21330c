"""The export of a network: a trained one, or an untrained architecture of a study or a design file."""

from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Unpack

from eenas.backbones.weights.weights import find_weights
from eenas.deployment import network_sources as sources
from eenas.deployment.model_card import latency_card, run_card
from eenas.deployment.prediction import timing_of
from eenas.deployment.preparation import device as device_text
from eenas.deployment.program_folder import write_model
from eenas.errors import EenasError, ExportError
from eenas.measurement.devices import resolve_device
from eenas.networks.network import EarlyExitNetwork
from eenas.programs.manifest import read_table
from eenas.programs.model_folder import Package, load_design, write_folder
from eenas.programs.parity import Parity, some_samples
from eenas.programs.programs import Format, Programs
from eenas.progress import Listener, Notice
from eenas.records.database import Database
from eenas.records.studies import StudyRecord
from eenas.results.choice import Choice, choose_design
from eenas.results.read import code_folder, read_results, study_record
from eenas.runs.run_report import RunReport
from eenas.specs import from_table
from eenas.study.settings.reference import StudyOptions, referred
from eenas.study.settings.study_spec import StudySpec, readable
from eenas.tasks.load import given_task, load_task, names_data
from eenas.tasks.sample_check import left_out_notice
from eenas.tasks.task import Task


class ExportOptions(StudyOptions, total=False):
    """What `export` takes beside its arguments: the study, a design file or weights, and the device of timing."""

    design_file: str | Path | None
    weights: str | Path | None
    device: str
    skip_bad: bool


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
    """Write a network to the folder `out`: for `eenas.load`, and with another `format` also for `eenas.runtime.load`.

    `format` "onnx" or "pt2" adds a program for each segment, `single_file` one ONNX model for a batch of 1. They are
    compared with the network on samples of `data` (a task or its spec; by default those of the study that the run or
    exported folder names, looked for in `storage`, else of the data that the folder names), and nothing is exported
    where they differ. Then they are timed on `device` of this machine, end to end, in the runtime that runs them and
    with the threads and batch of the study: the manifest's latencies, those of the operating points and so of
    `set_budget(latency_ms=...)` included, are these and say how they were taken. Beside them stands what was predicted:
    by the study, where its latencies are of the same runtime, else composed here of a profile.

    Exactly one of `run` (a folder of full training, or one that was exported before), `network` and `design_file` is
    given. A `network` is the name of one in the study `name` in `storage`, such as "trial 8", or an `EarlyExitNetwork`
    that was trained in one's own loop, and is not changed. Names and design files give untrained architectures without
    a policy, unless `weights` names a file with the state dict of the trained network. What was trained in one's own
    loop and has no policy gets one that is fitted on `data` for the design's own target, and its figures are those of
    the test split of `data`. `backbone` repeats a module that was given to `search` as an object, and is not changed.
    `options` are those of `ExportOptions`; `skip_bad` leaves out pictures of `data` that cannot be read. `listener`
    hears of them, and what of `weights` was left out. Raises ExportError for a run that is not finished, for an `out`
    in use, for a backbone that is Python code without `trust_code`, and for what the format cannot hold; ParityError
    where a program differs from the network.
    """
    more: dict[str, Any] = dict(options)
    design_file, weights, device = more.pop("design_file", None), more.pop("weights", None), more.pop("device", "cpu")
    skip_bad = more.pop("skip_bad", False)
    study = referred(None, more)
    listener = study.listener
    storage, name, backbone, trust_code = study.storage, study.name, study.backbone, study.trust_code
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
    if format == "torch":
        spec = given_data()[1] or origin.spec()
        return write_folder(_naming(package, spec), Path(out))
    task, spec = real_data()
    package = _naming(package, spec)
    card = package.card if report is None else run_card(report, timed_below=True)
    return write_model(
        replace(package, card=card + device_text(package.network.transform)),
        Path(out),
        programs,
        some_samples(package.network, task, data=spec),
        timing=partial(timing_of, package.network, found, report, resolve_device(device), format),
        card=latency_card,
    )


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where the data of a network are found that is exported without any: in its study, else under the spec `data`.

    `known` says whether there is a study; its name is None for the newest one in the storage.
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
        """What the manifest of an exported folder names."""
        table = read_table(folder)
        measured, program = table["measured"], table.get("program")
        study, data = measured.get("study"), measured.get("data")
        if not data and program is not None:
            data = Parity.of(folder).data
        texts = [text if isinstance(text, str) else "" for text in (study, data)]
        return cls(storage=storage, study=texts[0] or None, known=bool(texts[0]), data=texts[1])

    def record(self) -> StudyRecord:
        """The study in the storage. Raises EenasError where it is not there."""
        return study_record(Database(self.storage, create=False), self.study)

    def spec(self) -> str:
        """The spec of the data, as far as it is known."""
        if not self.known:
            return self.data
        try:
            return from_table(StudySpec, readable(self.record().settings)).task.spec
        except EenasError:
            return self.data


@dataclass(frozen=True)
class _Data:
    """The data that were given, and how they are read."""

    data: str | Task | None
    skip_bad: bool
    trust_code: bool
    listener: Listener


def _given(given: _Data, network: EarlyExitNetwork) -> tuple[Task | None, str]:
    """The task that was given for a network, and its spec."""
    data = given.data
    if data is None:
        return None, ""
    task = given_task(data, network.transform.inputs, skip_bad=given.skip_bad, trust_code=given.trust_code)
    if task.left_out and given.skip_bad:
        given.listener(Notice(left_out_notice(task.left_out)))
    return task, data if isinstance(data, str) else ""


def _naming(package: Package, spec: str) -> Package:
    """The package with the spec of its data among what was measured, for `verify` and for programs that are added."""
    return replace(package, measured={**package.measured, "data": spec}) if names_data(spec) else package


def _task(
    given: tuple[Task | None, str], origin: _Origin, network: EarlyExitNetwork, trust_code: bool
) -> tuple[Task, str]:
    """The task that was given, or that of where the network comes from, and its spec."""
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
