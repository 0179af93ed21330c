"""A network trained with the full budget, from a checkpoint where there is one."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eenas.bounds import DAMAGE, MOST_JSON, parse_json, read_file
from eenas.errors import SpecError, StudyError
from eenas.files import write_text
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.costs import MACS
from eenas.progress import Advanced, Finished, Listener, Notice, Started
from eenas.results.results import Comparison
from eenas.runs.before_training import keep_better
from eenas.runs.run_report import CHECKPOINT, TRAINING, WEIGHTS, worse_words
from eenas.seeding import derive
from eenas.specs import differing, digest, from_table, to_table
from eenas.study.context.study_context import StudyContext
from eenas.training.checkpoints import Checkpoint
from eenas.training.execution import TYPES, Execution
from eenas.training.process_group import ProcessGroup
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import RoundReport, Verdict, train_network


@dataclass(frozen=True)
class Trained:
    """What a full training took, resumed parts included: samples seen on all devices, wall seconds.

    `worse` is by how much it ended below the network as the study knew it before, which was kept then (`keep_better`).
    """

    folder: Path
    samples: int
    seconds: float
    worse: Comparison | None = None


def train_fully(
    network: EarlyExitNetwork,
    context: StudyContext,
    *,
    spec: TrainingSpec,
    folder: Path,
    phase: str,
    group: ProcessGroup,
    listener: Listener,
) -> Trained:
    """Train `network` as its design says for as long as `spec`, or load it where `folder` holds its finished weights.

    Where that made it worse than the study knew it before, it is given back the weights that it had then
    (`keep_better`). Training resumes from a checkpoint in `folder`; afterwards the folder holds the weights and no
    checkpoint.
    All processes end with the same weights. Raises StudyError when what the folder holds was trained otherwise.
    """
    choice = network.design.training
    settings = {"training": to_table(choice), "full_training": to_table(spec), "exits": list(network.exits)}
    checkpoint, weights = folder / CHECKPOINT, folder / WEIGHTS
    with group.first_alone():
        known = _recorded(folder, settings)
        if group.rank == 0 and not known:
            _record(folder, {"settings": settings})
    if weights.exists():
        load_weights(network, weights)
        if group.rank == 0:
            checkpoint.unlink(missing_ok=True)
        worse = known.get("worse")
        return Trained(
            folder,
            int(known.get("samples", 0)),
            float(known.get("seconds", 0.0)),
            None if worse is None else from_table(Comparison, worse, file=str(folder / TRAINING)),
        )
    listener(Started(phase, 100))
    if checkpoint.exists():
        listener(Notice(f"{phase}: resuming from {checkpoint}"))

    def report(round_: RoundReport) -> Verdict:
        listener(Advanced(phase, 100 * round_.progress, f"loss {round_.loss:.3f}"))
        return Verdict.CONTINUE

    training = train_network(
        network,
        context.task,
        TrainingPlan(
            choice=choice,
            spec=spec,
            costs=context.costs(network.design).costs[MACS].tolist(),
            seed=derive(context.settings.seed, "full", digest([choice, sorted(network.exits)])),
            execution=execution_for(context, spec),
        ),
        after_epoch=report,
        checkpoint=Checkpoint(checkpoint),
        group=group,
    )
    worse = None
    with group.first_alone():
        if group.rank == 0:
            worse = keep_better(network, context)
            took = {"samples": training.samples, "seconds": training.seconds}
            _record(folder, {"settings": settings, **took, "worse": None if worse is None else to_table(worse)})
            save_weights(network, weights)
            checkpoint.unlink(missing_ok=True)
    group.match(network)
    listener(Finished(phase))
    if worse is not None:
        listener(Notice(f"{phase} made it worse: {worse_words(worse)}"))
    return Trained(folder, training.samples, training.seconds, worse)


def execution_for(context: StudyContext, spec: TrainingSpec) -> Execution:
    """What `spec` states, and the study's own choice where it says "auto"."""
    found = context.execution
    if spec.precision != "auto":
        found = replace(found, autocast=TYPES[spec.precision])
    if spec.channels_last != "auto":
        found = replace(found, channels_last=spec.channels_last)
    return found if spec.small_maps == "auto" else replace(found, small_maps=spec.small_maps)


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
