"""Experts for distorted images, added to an exported network: trained, calibrated, compared and written."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from torch import nn

from eenas.backbones.load import BackboneSpec
from eenas.deployment.expert_export import samples_of_experts, write_experts
from eenas.deployment.fitting import network_costs
from eenas.errors import ExportError, PolicyError, plural
from eenas.frozen.experts.expert_building import ExpertSpec
from eenas.frozen.experts.expert_figures import ExpertFigures
from eenas.frozen.experts.expert_worth import ContextWorth
from eenas.frozen.experts.trained_experts import MacsBudget, train_experts
from eenas.programs.manifest import read_table
from eenas.programs.model_folder import Package, load
from eenas.programs.parity import Parity
from eenas.programs.programs import Format, need_onnx
from eenas.progress import Listener, silent
from eenas.specs import check_options
from eenas.tasks.load import given_task
from eenas.tasks.task import Task


class ExpertOptions(TypedDict, total=False):
    """Further options of `add_experts`: `max_macs`, the `seed`, `skip_bad`, `listener`, and options of `eenas.load`."""

    max_macs: float | None
    seed: int
    skip_bad: bool
    listener: Listener
    trust_code: bool
    backbone: nn.Module | None


@dataclass(frozen=True, kw_only=True)
class ExpertResult:
    """The result of `add_experts`: the figures of every context on the test split, and the parity of the programs.

    `parity` is None without programs.
    """

    folder: Path
    figures: ExpertFigures
    parity: Parity | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the experts, that for clean images first."""
        return self.figures.names

    @property
    def contexts(self) -> tuple[ContextWorth, ...]:
        """The figures of clean images and of each kind at each severity."""
        return self.figures.contexts

    @property
    def classifier_macs(self) -> int:
        """The MACs of choosing an expert."""
        return self.figures.classifier_macs

    @property
    def backbone_macs(self) -> float:
        """The MACs of the plain backbone."""
        return self.figures.backbone_macs


def add_experts(
    folder: str | Path,
    data: str | Task,
    out: str | Path,
    spec: ExpertSpec,
    *,
    format: Format = "torch",
    **options: Unpack[ExpertOptions],
) -> ExpertResult:
    """Add experts for distorted images to the trained network in `folder`, and write the result to the folder `out`.

    `data` (a task of images or its spec) is what the network was trained on: experts learn from its train split, their
    policies are fitted on its calibration split, and all figures refer to its test split, all of them distorted here.
    The backbone and the exits for clean images stay as they are. Each expert gets the most accurate policy whose mean
    MACs are within `max_macs`, a share of the plain backbone's (default: the target of the design).

    `format` "onnx" adds programs: one for each backbone segment, and one for each exit of each expert. They are
    compared with the network on clean and distorted samples, and timed. `load_experts` opens the folder, and
    `eenas.runtime.load` its programs. Raises ExportError for a folder without a fitted policy, with experts, or in
    use, for one that is `out`, and for the format "pt2"; TaskError for data that are not images; ParityError if a
    program differs.
    """
    check_options("add_experts", options, ExpertOptions)
    if format not in ("torch", "onnx"):
        raise ExportError(f"networks with experts are exported as 'torch' or 'onnx', got {format!r:.60}")
    share = options.get("max_macs")
    if share is not None and (isinstance(share, bool) or not isinstance(share, int | float) or not share >= 0):
        raise PolicyError(f"max_macs must be a share of the backbone's MACs from 0 up, got {share!r:.60}")
    if format == "onnx":
        need_onnx()
    path, trust_code = Path(folder), options.get("trust_code", False)
    if Path(out).resolve() == path.resolve():
        raise ExportError(f"{path}: the network with experts would replace this one; give another folder for it")
    table = read_table(path)
    base = load(path, trust_code=trust_code, backbone=options.get("backbone"))
    if base.policy is None or not table["measured"].get("exits"):
        raise ExportError(f"{path}: has no fitted policy; export a trained network")
    task = given_task(data, base.transform.inputs, skip_bad=options.get("skip_bad", False), trust_code=trust_code)
    if task.classes != base.classes:
        raise ExportError(
            f"the data must have the {plural(len(base.classes), 'class', 'classes')} of the network; rename or "
            "reorder them"
        )
    plain_costs, total = network_costs(base)
    budget = MacsBudget(
        costs=plain_costs, backbone_macs=total, share=base.design.policy.target_macs if share is None else share
    )
    found = train_experts(
        base, task, spec, budget, seed=options.get("seed", 0), listener=options.get("listener", silent)
    )
    package = Package(
        network=base,
        backbone=BackboneSpec(name=str(table["backbone"]["name"])),
        trained=True,
        measured=table["measured"],
        card="",
    )
    samples = None
    if format == "onnx":
        samples = samples_of_experts(found.network, task, spec, data if isinstance(data, str) else "")
    parity = write_experts(package, found, Path(out), samples)
    return ExpertResult(folder=Path(out), figures=found.figures, parity=parity)
