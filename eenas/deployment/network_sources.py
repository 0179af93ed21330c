"""The sources of an exported network: a run, a study, a design, a model folder, or the user's own training loop."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from eenas.backbones.copies import copy_of, evaluated
from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.backbones.weights.weights import load_weights as load_own_weights
from eenas.backbones.weights.weights import read_weights
from eenas.deployment.fitting import Scored, backbone_of, class_names, fit_on
from eenas.deployment.model_card import own_card, run_card, untrained_card
from eenas.deployment.preparation import ON_A_DEVICE
from eenas.designs.design import Design
from eenas.errors import ExportError, WeightsError
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.kinds.threshold import ONE_EXIT
from eenas.programs.manifest import MANIFEST, read_table
from eenas.programs.model_folder import CARD, Package, check_code, load, load_design
from eenas.progress import Listener
from eenas.runs.run_report import WEIGHTS, RunReport
from eenas.seeding import seeded
from eenas.specs import to_table
from eenas.tasks.task import Task

Source = tuple[Package, Backbone]
"""The content of an export and the network's backbone."""


def build(
    design: Design | str | Path,
    *,
    backbone: nn.Module | None = None,
    weights: str = "none",
    classes: tuple[str, ...] = (),
    channels: int | None = None,
    trust_code: bool = False,
) -> EarlyExitNetwork:
    """Return the untrained network of a design (or of its JSON file), an `nn.Module` for the user's own training loop.

    `forward(x)` takes the output of `network.transform` and returns the logits of every exit, the backbone's own last;
    the loss is a sum over them. `weights` of the backbone are "none", "pretrained" or the path of a file. A `backbone`
    module is copied and keeps its weights. `classes` are the names of the classes, `channels` the number of input
    channels if it differs from the backbone's. Raises EenasError for an invalid design, backbone or weights.
    """
    folder = None if isinstance(design, Design) else Path(design).parent
    found = design if isinstance(design, Design) else load_design(design, trust_code=trust_code)
    package, _ = untrained(found, classes, backbone, trust_code, folder, channels=channels, weights=weights)
    return package.network


def of_run(folder: Path, module: nn.Module | None, trust_code: bool) -> Source:
    """Return the network of a finished run."""
    report = RunReport.read(folder, trust_code=trust_code)
    channels = None if report.transform is None else report.transform.inputs.channels
    home = None if report.code_folder is None else Path(report.code_folder)
    package, found = untrained(report.design, report.classes, module, trust_code, home, channels=channels)
    network = package.network
    try:
        load_weights(network, folder / WEIGHTS)
    except WeightsError as error:
        raise ExportError(f"{error}; is this the backbone that was trained?") from None
    own = None if report.contexts is None else report.contexts.policy
    network.policy = own or report.reported.policy
    network.certify(None if own else report.reported.guarantee)
    if report.transform is not None:
        network.transform = report.transform.with_files(folder)
    return replace(package, trained=True, measured=_measured(report), card=run_card(report)), found


def of_folder(folder: Path, module: nn.Module | None, trust_code: bool) -> Source:
    """Return the network in an exported folder."""
    network, table = load(folder, trust_code=trust_code, backbone=module), read_table(folder)
    card = folder / CARD
    text = card.read_text(encoding="utf-8").partition(ON_A_DEVICE)[0] if card.is_file() else ""
    package = Package(
        network=network,
        backbone=BackboneSpec(name=str(table["backbone"]["name"])),
        trained=bool(table.get("trained")),
        measured=table["measured"],
        card=text,
    )
    return package, backbone_of(network)


def is_model_folder(folder: Path) -> bool:
    """Whether the folder is an export, not a run."""
    return (folder / MANIFEST).is_file()


def untrained(
    design: Design,
    classes: tuple[str, ...],
    module: nn.Module | None,
    trust_code: bool,
    folder: Path | None = None,
    *,
    channels: int | None = None,
    weights: str = "none",
) -> Source:
    """Return the untrained network of a design. `folder` is the base of a `./file.py` that names its backbone."""
    check_code(design.backbone, given=module is not None, trust_code=trust_code)
    spec = BackboneSpec(name=design.backbone, weights=weights, channels=channels)
    with seeded(0):
        found = load_backbone(
            spec if module is None else copy_of(module),
            num_classes=design.num_classes,
            inputs=design.inputs if channels is None else design.inputs.with_size("channel", channels),
            trust_code=trust_code,
            relative_to=folder,
        )
        found = replace(found, transform=found.transform.sized(design.inputs))  # the fit of pictures, too
        network = build_network(design, found, classes=classes)
    if len(network.exits) == 1:  # without decisions, nothing has to be fitted
        network.policy = ONE_EXIT
    card = untrained_card(design, network)
    return Package(network=network, backbone=spec, trained=False, measured={}, card=card), found


def of_own_training(network: EarlyExitNetwork, task: Task | None, data: str) -> Source:
    """Return a copy of a network that the user trained, with figures of `task` and, if missing, a policy fitted on it.

    Without a task, nothing is fitted or measured. `data` is the spec of the task, or empty.
    """
    alone = evaluated(network, device="cpu")
    measured: dict[str, Any] = {}
    if task is not None:
        scored = Scored.on(alone, task)
        if alone.policy is None or alone.policy == ONE_EXIT:
            fit_on(alone, scored)
        alone.classes = class_names(alone) or task.classes
        measured = scored.measured(alone) | ({"data": data} if data else {})
    elif not alone.classes:
        alone.classes = tuple(str(index) for index in range(alone.design.num_classes))
    spec = BackboneSpec(name=alone.design.backbone)
    card = own_card(alone, measured)
    return Package(network=alone, backbone=spec, trained=True, measured=measured, card=card), backbone_of(alone)


def with_weights(network: EarlyExitNetwork, file: Path, listener: Listener) -> EarlyExitNetwork:
    """Load the weights of a file from the user's own training into the network: a state dict, in any container."""
    state = read_weights(file, listener)
    load_own_weights(network, state, classifier=(), source=str(file), listener=listener)
    network.policy = ONE_EXIT if len(network.exits) == 1 else None
    return network


def _measured(report: RunReport) -> dict[str, Any]:
    return {
        "study": report.study,
        "task": report.task,
        "device": report.device,
        "split": "test",
        "samples": report.test_samples,
        **({"balanced": True} if report.balanced else {}),
        "backbone": to_table(report.backbone),
        "costs": to_table(report.costs),
        "exits": [to_table(exit_) for exit_ in report.exits],
        "reported": report.reported.to_table(),
        "points": [point.to_table() for point in report.points],
        "end_to_end_ms": report.end_to_end_ms,
        **({} if report.codec is None else {"codec": to_table(report.codec)}),
    }
