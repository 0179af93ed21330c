"""Full training of a chosen design: resumable, on one or several devices, reported once on the test split."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from eenas.designs.design import Design
from eenas.errors import StudyError
from eenas.files import write_whole
from eenas.networks.tables import exit_table
from eenas.progress import Listener, Notice, silent
from eenas.records.database import Database
from eenas.search.choice import Choice, choose_design
from eenas.search.config import StudySpec, override
from eenas.search.identity import differences, study_identity
from eenas.search.preparation import Ground, lay_ground
from eenas.search.read import read_results, study_record
from eenas.search.report import build_report
from eenas.search.results import StudyResults
from eenas.search.run_baselines import run_baselines
from eenas.search.run_report import DESIGN, REPORT, RunReport
from eenas.search.train_fully import train_fully
from eenas.specs import from_table
from eenas.tasks.task import Task
from eenas.training.world import open_world


def train(
    storage: str = "sqlite:///eenas.db",
    *,
    name: str | None = None,
    choice: Choice | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    overrides: Sequence[str] = (),
    artifacts: str | Path | None = None,
    trust_code: bool = False,
    backbone: nn.Module | None = None,
    task: Task | None = None,
    listener: Listener = silent,
) -> RunReport:
    """Train the chosen design of the study `name` (default: the newest) with the full budget and report on test.

    Writes the run's folder `out` (default: `runs/STUDY-TRIAL`), goes on from its checkpoint when it was cut off, and
    gives the report back when it was finished already. Under torchrun all processes train together and the first one
    reports. `backbone` and `task` repeat what was given to `search` as objects. `overrides` may change
    `full_training.*` and `baselines.*`. Raises StudyError when data, backbone or device are not the study's any more.
    """
    with open_world("cuda" if torch.cuda.is_available() and device != "cpu" else "cpu") as world:
        if world.size > 1 and torch.cuda.is_available() and device in ("auto", "cuda"):
            device = f"cuda:{world.local_rank}"
        quiet: Listener = listener if world.rank == 0 else silent
        database = Database(storage, create=False)
        record = study_record(database, name)
        results = read_results(database, record.name)
        table = record.settings
        for assignment in overrides:
            if not assignment.startswith(("full_training.", "baselines.")):
                raise StudyError(f"--set {assignment}: here only full_training.* and baselines.* can be changed")
            table = override(table, assignment)
        settings = from_table(StudySpec, table, file="--set" if overrides else "")
        chosen = choose_design(results, choice or Choice())
        label = f"trial{chosen.trial}" if chosen.trial is not None else f"design-{chosen.design.digest[:6]}"
        folder = Path(out) if out is not None else Path("runs") / f"{record.name}-{label}"
        if (folder / REPORT).exists():
            report = RunReport.read(folder)
            _same_design(folder, chosen.design)
            quiet(Notice(f"{folder} is finished already; delete it to train again"))
            return report
        ground = lay_ground(
            settings,
            storage=storage,
            artifacts=Path(artifacts) if artifacts is not None else None,
            device=device,
            module=backbone,
            task=task,
            folder=Path(record.facts["folder"]) if record.facts.get("folder") else None,
            trust_code=trust_code,
            listener=quiet,
        )
        _same_study(ground, record.identity, results)
        _claim_folder(folder, chosen.design)
        start = time.monotonic()
        network, costs = ground.build(chosen.design), ground.costs(chosen.design)
        samples = train_fully(
            network,
            ground,
            choice=chosen.design.training,
            spec=settings.full_training,
            costs=costs.macs.tolist(),
            folder=folder,
            phase="training",
            world=world,
            listener=quiet,
        )
        seconds = time.monotonic() - start
        tables = {split: exit_table(network, ground.task.split(split), costs) for split in ("calibration", "test")}
        baselines = run_baselines(ground, results, folder, world, quiet)
        report = build_report(
            ground,
            results,
            chosen,
            network,
            tables,
            baselines,
            folder=folder,
            samples=samples,
            seconds=seconds,
        )
        if world.rank == 0:
            report.save()
        world.wait()
        return report


def _same_study(ground: Ground, identity: dict[str, object], results: StudyResults) -> None:
    settings = replace(ground.settings, full_training=results.settings.full_training)
    now = study_identity(settings, ground.task, ground.identity_backbone, ground.device_text)
    changed = [key for key in differences(now, identity) if key not in ("device", "latency")]
    if changed:
        raise StudyError(
            f"{', '.join(changed)} is not what the study {results.name!r} was searched with; "
            "restore the data or weights, or search again"
        )
    if now["device"] != identity.get("device"):
        ground.listener(Notice(f"searched on {identity.get('device')}, trained and measured on {now['device']}"))


def _claim_folder(folder: Path, design: Design) -> None:
    """Put the design into the run's folder, or check that the folder is for this one."""
    if (folder / DESIGN).exists():
        _same_design(folder, design)
        return
    write_whole(folder / DESIGN, lambda file: file.write_text(design.to_json() + "\n", encoding="utf-8"))


def _same_design(folder: Path, design: Design) -> None:
    known = Design.from_json((folder / DESIGN).read_text(encoding="utf-8"))
    if known.digest != design.digest:
        raise StudyError(f"{folder} is the run of another design; give another --out, or delete the folder")
