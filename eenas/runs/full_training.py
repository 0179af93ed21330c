"""Full training of a chosen design: resumable, on one or several devices, and evaluated once on the test split."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import torch

from eenas.bounds import read_json
from eenas.designs.design import Design
from eenas.errors import EenasError, SpecError, StudyError, nearest
from eenas.files import write_text
from eenas.names import file_part
from eenas.networks.tables import exit_tables
from eenas.percent import percent
from eenas.programs.model_folder import load_design
from eenas.progress import Notice, notices_to, silent
from eenas.records.database import Database
from eenas.records.read_only import writable_storage
from eenas.records.studies import StudyRecord
from eenas.results.choice import Choice, Chosen, choose_design
from eenas.results.read import code_folder, read_results, study_record
from eenas.results.results import StudyResults
from eenas.runs.certified_policy import certified_limit, check_calibration, keeps
from eenas.runs.codecs.codec_choice import choose_codec
from eenas.runs.report import build_report
from eenas.runs.run_baselines import plain_baseline, run_rivals
from eenas.runs.run_experts import add_run_experts, check_experts, experts_of, holds_experts
from eenas.runs.run_report import DESIGN, ORIGIN, REPORT, RunReport, origin
from eenas.runs.searched_study import SearchedStudy
from eenas.runs.train_fully import REPORTED, train_fully
from eenas.specs import from_table
from eenas.study.context.backbone.prepared_backbone import prepare_backbone
from eenas.study.context.held_out import as_searched
from eenas.study.context.study_context import StudyContext
from eenas.study.context.tiers import limited
from eenas.study.settings.reference import STORAGE, StudyOptions, StudyReference, referred
from eenas.study.settings.study_spec import StudySpec, override, readable
from eenas.tasks.task import Task
from eenas.training.process_group import ProcessGroup, open_process_group


def train(
    study: StudyReference | str = STORAGE,
    *,
    choice: Choice | None = None,
    compare: bool = False,
    out: str | Path | None = None,
    device: str = "auto",
    overrides: Sequence[str] = (),
    **options: Unpack[StudyOptions],
) -> RunReport:
    """Train the chosen design of a study with the full budget and report on the test split.

    `study` is a reference or the storage, and `options` are the fields of a `StudyReference`: name, artifacts,
    trust_code, backbone, task and so on. `choice` defaults to the recommended network. With `compare`, its rivals are
    trained too and listed in the report. If training made a network worse than the study knew it, the earlier one is
    kept (`worse` in the report). The folder of the run is `out` (default: `runs/STUDY-NETWORK`, followed by part of the
    design's digest if that is the run of another operating point of the network). An interrupted run is resumed from
    its checkpoint, and the report of a finished run is returned; for another guarantee (`choice.confidence`) or other
    experts it is made again of the trained weights. Under torchrun, all processes train together and process 0 reports.
    `overrides` may change `full_training.*`, `baselines.*` and `experts.*`.

    Raises StudyError if data or backbone differ from those of the study, and for a folder with other content.
    """
    asked = referred(study, options)
    trust_code = asked.trust_code
    with (
        open_process_group("cuda" if torch.cuda.is_available() and device != "cpu" else "cpu") as group,
        notices_to(quiet := asked.listener if group.rank == 0 else silent),
        writable_storage(asked.storage, asked.artifacts, trust_code=asked.trust_code) as (place, kept),
    ):
        device = _own_device(group, device)
        database = Database(asked.storage, create=False)
        record = study_record(database, asked.name)
        results = read_results(database, record.name, trust_code=trust_code)
        settings = _settings(record, overrides)
        chosen = choose_design(results, choice or Choice(), trust_code=trust_code)
        limit = certified_limit(choice or Choice(), chosen)
        if (notice := _stopped_notice(results, chosen)) is not None:
            quiet(notice)
        folder = Path(out) if out is not None else _default_folder(record, chosen, trust_code=trust_code)
        if (folder / REPORT).exists():
            report = RunReport.read(folder, trust_code=trust_code)
            _same_run(folder, report.design, chosen.design, record)
        else:
            report = None
        is_whole = (
            report is not None and keeps(report, limit) and holds_experts(report, experts_of(settings, chosen.design))
        )
        if report is not None and is_whole and (not compare or report.is_compared):
            quiet(Notice(f"{folder} is already finished ({report.samples:,} samples); delete it to train again"))
            return report.with_limits(chosen.limits, chosen.accepted_drop)
        reference = replace(asked, name=record.name, listener=quiet)
        searched = SearchedStudy(
            reference=reference, database=database, record=record, results=results, settings=settings
        ).with_data()
        check_calibration(limit, len(_task_of(searched).calibration))
        with group.first_alone():
            if group.rank == 0:
                _claim_folder(folder, chosen.design, record, trust_code=trust_code)
            context = searched.make_context(place, kept, device=device)
            _check_fits(chosen.design, context)
            check_experts(context, chosen.design)
            context = prepare_backbone(context)
        context = replace(context, execution=group.share(context.execution))
        trained = train_fully(
            chosen.design, context, spec=settings.full_training, folder=folder, phase="training", group=group
        )
        context = replace(context, tiers=limited(context.tiers, chosen.limits))
        coded = choose_codec(context, trained.network, chosen)
        context = context if coded is None else coded.context
        rivals = run_rivals(context, results, chosen.design, folder, group) if compare else ()
        with group.first_alone():
            if group.rank == 0:
                tables = exit_tables(trained.network, context.task, context.costs(chosen.design), REPORTED)
                baselines = (plain_baseline(context), *rivals)
                report = build_report(context, results, chosen, tables, baselines, trained, limit)
                report = replace(report, codec=None if coded is None else coded.report)
                report = add_run_experts(report, trained.network, context)
                home = code_folder(record)
                replace(report, code_folder=None if home is None else str(home)).save()
        return RunReport.read(folder, trust_code=trust_code)


def _task_of(searched: SearchedStudy) -> Task:
    """Return the task of a study whose data are loaded."""
    assert searched.reference.task is not None  # `with_data`
    return searched.reference.task


def _stopped_notice(results: StudyResults, chosen: Chosen) -> Notice | None:
    """Return a notice on a network whose trial was stopped before its training ended."""
    trial = next((each for each in results.trials if f"trial {each.number}" == chosen.name), None)
    if trial is None or trial.state != "stopped":
        return None
    why = f" ({trial.reason})" if trial.reason else ""
    return Notice(
        f"{chosen.name} was stopped in the search after {trial.samples:,} samples{why}; it is trained fully now"
    )


def _default_folder(record: StudyRecord, chosen: Chosen, *, trust_code: bool) -> Path:
    """Return the default folder of a run, which differs between operating points of a network."""
    name = f"{record.name}-{chosen.label}"
    plain, own = (Path("runs") / file_part(each) for each in (name, f"{name}-{chosen.design.digest[:6]}"))
    if (own / DESIGN).exists():
        return own
    try:
        there = load_design(plain / DESIGN, trust_code=trust_code, relative_to=code_folder(record))
    except EenasError:  # no folder or no run: `_claim_folder` handles both
        return plain
    return plain if there.digest == chosen.design.digest else own


def _own_device(group: ProcessGroup, device: str) -> str:
    """Return the CUDA device with the local rank of this process if there are several processes."""
    if group.size == 1 or not torch.cuda.is_available() or device == "cpu":
        return device
    if device not in ("auto", "cuda"):
        raise StudyError(f"--device {device}: under torchrun each process uses its own device; give auto, cuda or cpu")
    return f"cuda:{group.local_rank}"


def _settings(record: StudyRecord, overrides: Sequence[str]) -> StudySpec:
    table = readable(record.settings)
    for assignment in overrides:
        if not assignment.strip().startswith(("full_training.", "baselines.", "experts.")):
            raise StudyError(
                f"--set {assignment}: only full_training.*, baselines.* and experts.* can be changed; leave it out"
            )
        table = override(table, assignment)
    return as_searched(from_table(StudySpec, table, file="--set" if overrides else ""))


def _check_fits(design: Design, context: StudyContext) -> None:
    """Raise StudyError for a design from a file that is for another backbone or input, or uses an unknown cut point."""
    for quantity, wanted, there in (
        ("backbone", design.backbone, context.backbone.name),
        ("number of classes", design.num_classes, context.backbone.num_classes),
    ):
        if wanted != there:
            raise StudyError(
                f"the design is for the {quantity} {wanted}, but the study has {there}; use a design of this study"
            )
    if not design.inputs.agrees(context.backbone.transform.inputs):
        raise StudyError(
            f"the design is for {design.inputs}, but the study has {context.backbone.transform.inputs}; use a design "
            "of this study"
        )
    known = [point.name for point in context.profile.cut_points]
    for placed in design.branches:
        if placed.cut_point not in known:
            raise StudyError(f"the study has no cut point {placed.cut_point!r}; {nearest(placed.cut_point, known)}")


def _claim_folder(folder: Path, design: Design, record: StudyRecord, *, trust_code: bool) -> None:
    """Write the design into the folder of the run, or check that the folder is for this design."""
    if (folder / DESIGN).exists():
        try:
            known = load_design(folder / DESIGN, trust_code=trust_code, relative_to=code_folder(record))
        except EenasError as error:
            raise StudyError(f"{folder} is not a run of eenas ({error}); give another --out, or delete it") from None
        _same_run(folder, known, design, record)
        return
    begun = {ORIGIN}  # the only file if a command was interrupted between its first two files
    if folder.exists() and not (
        folder.is_dir() and all(each.name in begun or each.name.startswith(".") for each in folder.iterdir())
    ):
        raise StudyError(f"{folder} exists but is not a run of eenas; give a new or empty folder as --out")
    text = json.dumps(origin(record.name, record.identity), indent=2) + "\n"
    write_text(folder / ORIGIN, text)
    write_text(folder / DESIGN, design.to_json())


def _same_run(folder: Path, known: Design, design: Design, record: StudyRecord) -> None:
    if known.digest != design.digest:
        why = ""
        if replace(known, policy=design.policy).digest == design.digest:
            there, here = (percent(each.policy.target_macs) for each in (known, design))
            why = f" (there for {there} of the MACs, here for {here})"
        raise StudyError(f"{folder} is the run of another design{why}; give another --out, or delete the folder")
    try:
        said = read_json(folder / ORIGIN)
    except SpecError:
        return
    if said != origin(record.name, record.identity):
        raise StudyError(f"{folder} is the run of another study; give another --out, or delete the folder")
