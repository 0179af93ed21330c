"""A network trained with the full budget, from a checkpoint where there is one."""

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
from eenas.study.context.training_progress import told
from eenas.study.trials.design_training import DesignTraining, train_design
from eenas.training.checkpoints import Checkpoint
from eenas.training.process_group import ProcessGroup
from eenas.training.spec import TrainingSpec

REPORTED = ("calibration", "test")
"""The splits that the report of a full training comes from."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A fully trained network, and what that took, resumed parts included: samples seen on all devices, wall seconds.

    `worse` is by how much it ended below the network as the study knew it before, which was kept then (`keep_better`).
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
    """Train the network of `design` for as long as `spec`, or load it where `folder` holds its finished weights.

    Where that made it worse than the study knew it before, it is given back the weights that it had then
    (`keep_better`). Training resumes from a checkpoint in `folder`; afterwards the folder holds the weights and no
    checkpoint.
    All processes end with the same weights. Raises StudyError when what the folder holds was trained otherwise.
    """
    settings = {"training": to_table(design.training), "full_training": to_table(spec), "exits": list(design.exits)}
    checkpoint, weights = Checkpoint(folder / CHECKPOINT), folder / WEIGHTS
    with group.first_alone():
        known = _recorded(folder, settings)
        if group.rank == 0 and not known:
            _record(folder, {"settings": settings})
    if weights.exists():
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
    with told(phase, context.listener, checkpoint) as after_epoch:
        network, report = train_design(design, context, training, after_epoch)
        with group.first_alone():
            if group.rank == 0:
                worse = keep_better(network, context)
                took = {"samples": report.samples, "seconds": report.seconds}
                _record(folder, {"settings": settings, **took, "worse": None if worse is None else to_table(worse)})
                save_weights(network, weights)
                checkpoint.remove()
        group.match(network)
    if worse is not None:
        context.listener(Notice(f"{phase} made it worse: {worse_words(worse)}"))
    return Trained(network, folder, report.samples, report.seconds, worse)


def _recorded(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What the folder says of the training in it, empty where there is none yet; refused when it is another one."""
    try:
        table = parse_json(read_file(folder / TRAINING, MOST_JSON))
        before = dict(table["settings"])
    except FileNotFoundError:
        return {}
    except (OSError, SpecError, *DAMAGE):
        raise StudyError(f"{folder / TRAINING}: not written by eenas; delete {folder} to train again") from None
    changed = [key for key, value in settings.items() if value != before.get(key)]
    if changed and any((folder / name).exists() for name in (CHECKPOINT, WEIGHTS)):
        name, now, then = differing(settings[changed[0]], before.get(changed[0]), changed[0])[0]
        raise StudyError(
            f"{folder} was begun with {name} = {_text(then)}, now it is {_text(now)}; "
            "repeat the command as it was, give another --out, or delete the folder"
        )
    return {} if changed else dict(table)


def _record(folder: Path, table: dict[str, Any]) -> None:
    text = json.dumps(table, indent=2) + "\n"
    write_text(folder / TRAINING, text)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(", ", "=")).replace('"', "")
