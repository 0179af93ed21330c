"""Full training of a network, resumed from a checkpoint if there is one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eenas.bounds import DAMAGE, MOST_JSON, parse_json, read_file
from eenas.designs.design import Design
from eenas.errors import SpecError, StudyError
from eenas.files import write_text
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.networks.network import EarlyExitNetwork
from eenas.progress import Notice
from eenas.results.results import Comparison
from eenas.runs.before_training import keep_better
from eenas.runs.run_report import CHECKPOINT, TRAINING, WEIGHTS, worse_words
from eenas.specs import differing, from_table, to_table
from eenas.study.context.study_context import StudyContext
from eenas.study.context.training_progress import progress_reports
from eenas.study.trials.design_training import DesignTraining, train_design
from eenas.training.checkpoints import Checkpoint
from eenas.training.process_group import ProcessGroup
from eenas.training.spec import TrainingSpec

REPORTED = ("calibration", "test")
"""The splits of the report of a full training."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A fully trained network, the number of samples in all processes and the seconds, including resumed parts.

    `worse` is how far it ended below the earlier network, which was kept then (`keep_better`).
    """

    network: EarlyExitNetwork
    folder: Path
    samples: int
    seconds: float
    worse: Comparison | None = None


def train_fully(
    design: Design,
    context: StudyContext,
    *,
    spec: TrainingSpec,
    folder: Path,
    phase: str,
    group: ProcessGroup,
) -> Trained:
    """Train the network of `design` with the budget `spec`, or load its finished weights from `folder`.

    If training made it worse than the study knew it, the earlier weights are restored (`keep_better`). Training is
    resumed from a checkpoint in `folder`. Afterwards, the folder holds the weights and no checkpoint, and all processes
    have the same weights.

    Raises StudyError if `folder` holds a training with other settings, or processes on other nodes do not see it.
    """
    settings = {"training": to_table(design.training), "full_training": to_table(spec), "exits": list(design.exits)}
    checkpoint, weights = Checkpoint(folder / CHECKPOINT), folder / WEIGHTS
    with group.first_alone():
        known = _recorded(folder, settings)
        if group.rank == 0 and not known:
            _record(folder, {"settings": settings})
    if not (folder / TRAINING).exists():
        raise StudyError(
            f"{folder}: not seen by process {group.rank}; give --out on a file system that all nodes share"
        )
    if group.share(weights.exists()):
        network = context.build(design)
        load_weights(network, weights)
        if group.rank == 0:
            checkpoint.remove()
        worse = known.get("worse")
        return Trained(
            network,
            folder,
            int(known.get("samples", 0)),
            float(known.get("seconds", 0.0)),
            None if worse is None else from_table(Comparison, worse, file=str(folder / TRAINING)),
        )
    training, worse = DesignTraining.full(design, context, spec=spec, checkpoint=checkpoint, group=group), None
    with progress_reports(phase, context.listener, checkpoint) as after_epoch:
        network, report = train_design(design, context, training, after_epoch)
        with group.first_alone():
            if group.rank == 0:
                worse = keep_better(network, context)
                took: dict[str, Any] = {"samples": report.samples, "seconds": report.seconds}
                took |= {"compiled": dict(report.compiled)} if report.compiled else {}
                _record(folder, {"settings": settings, **took, "worse": None if worse is None else to_table(worse)})
                save_weights(network, weights)
                checkpoint.remove()
        group.match(network)
    if worse is not None:
        context.listener(Notice(f"{phase} made it worse: {worse_words(worse)}"))
    return Trained(network, folder, report.samples, report.seconds, worse)


def _recorded(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the record of the training in the folder, or an empty one.

    Raises StudyError if the folder holds a training with other settings.
    """
    try:
        table = parse_json(read_file(folder / TRAINING, MOST_JSON))
        before = dict(table["settings"])
    except FileNotFoundError:
        return {}
    except (OSError, SpecError, *DAMAGE):
        raise StudyError(f"{folder / TRAINING}: was not written by eenas; delete {folder} to train again") from None
    changed = [key for key, value in settings.items() if _lasting(value) != _lasting(before.get(key))]
    if changed and any((folder / name).exists() for name in (CHECKPOINT, WEIGHTS)):
        name, now, then = differing(settings[changed[0]], before.get(changed[0]), changed[0])[0]
        raise StudyError(
            f"{folder} was started with {name} = {_text(then)}, but now it is {_text(now)}; "
            "rerun the original command, give another --out, or delete the folder"
        )
    return {} if changed else dict(table)


def _lasting(setting: Any) -> Any:
    """Return a setting without what a resumed training may change: how it is divided and compiled."""
    left_out = ("sharding", "compile")
    return {k: each for k, each in setting.items() if k not in left_out} if isinstance(setting, dict) else setting


def _record(folder: Path, table: dict[str, Any]) -> None:
    text = json.dumps(table, indent=2) + "\n"
    write_text(folder / TRAINING, text)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(", ", "=")).replace('"', "")
