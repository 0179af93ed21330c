"""The study file as one value: task, backbone, space, training, measurement, objectives and constraints."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, Unpack

from eenas import shipped, specs
from eenas.backbones.load import BackboneSpec
from eenas.backbones.models.names import is_code
from eenas.designs.space import Space, load_space, may_have_experts
from eenas.errors import SpecError
from eenas.frozen.feature_cache import read_size
from eenas.measurement.costs.spec import CostSpec
from eenas.measurement.latency import LatencySpec
from eenas.measurement.tiers.tiers import Tiers
from eenas.plugins import is_reference
from eenas.study.settings.baselines_spec import BaselinesSpec
from eenas.study.settings.cost_names import check_costs
from eenas.study.settings.expert_settings import ExpertSettings, check_distorted_training, check_experts
from eenas.study.settings.flag_paths import name_here, path_here
from eenas.study.settings.limits import Limits
from eenas.study.settings.search_spec import SearchSpec
from eenas.study.settings.shortcuts import Shortcuts
from eenas.tasks.load import PATHS
from eenas.tasks.spec import TaskSpec
from eenas.training.spec import TrainingSpec

BUDGETS = ("epochs", "samples", "seconds")

_PREPARE, _BRIEF, _FULL = 7, 1, 30
"""The default epochs of backbone training, of a trial and of full training."""


@dataclass(frozen=True, kw_only=True)
class PrepareSpec:
    """The training of the plain backbone on the task before the search.

    A module or factory with a classifier at chance level is trained at the full rate.
    """

    when: Literal["auto", "always", "never"] = "auto"
    """"auto" keeps a classifier that came with the weights if, on training samples, it is as good as one fitted to its
    features. Otherwise a classifier is fitted to the frozen features, and the backbone is fine-tuned; a fine-tuned
    backbone is kept if it wins on held-out training samples."""
    training: TrainingSpec = field(default_factory=lambda: TrainingSpec(epochs=_PREPARE))
    """Budget of the training."""
    optimizer: Literal["sgd", "adamw"] = "adamw"
    """The optimizer."""
    learning_rate: float = 1e-3
    """Highest learning rate."""
    weight_decay: float = 0.05
    """Weight decay."""
    backbone_rate: float = 0.1
    """Fine-tuning is tried at this share of `learning_rate` and at the full rate; 0: neither."""

    def __post_init__(self) -> None:
        """Raise SpecError for impossible rates."""
        if not 0 <= self.backbone_rate <= 1:
            raise SpecError(f"backbone_rate must be a share of learning_rate in [0, 1], got {self.backbone_rate}")
        if self.learning_rate <= 0:
            raise SpecError(f"learning_rate must be above 0, got {self.learning_rate}")
        if self.weight_decay < 0:
            raise SpecError(f"weight_decay must not be negative, got {self.weight_decay}")

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the spec in a table. A training without a budget gets the default one."""
        return specs.read_fields(cls, _budgeted(table, training=_PREPARE), file=file, key=key)


@dataclass(frozen=True, kw_only=True)
class BankSpec:
    """The branch bank, from which trials inherit, and the search on the frozen backbone before the first trial."""

    use: bool = True
    """Whether every trial starts with branches that were trained on the frozen backbone."""
    training: TrainingSpec | None = None
    """Budget of each branch; by default that of a trial."""
    share: float = 1.0
    """Largest sum of the MACs of branches that are trained before the first trial, as a share of the backbone's; 0:
    none."""
    branches: int = 32
    """Largest number of branches, of every family at every cut point, that are trained together before the first trial;
    0: none."""
    designs: int = 4
    """Number of first trials that are the best designs of the frozen front."""
    earlier: int = 4
    """Number of first trials that are the best designs of earlier studies in the storage with the same backbone and
    data."""
    feature_cache: str = ""
    """Disk space for features of the backbone, such as "2GB"; empty: no cache. Branches are then trained on half-
    precision features."""

    def __post_init__(self) -> None:
        """Raise SpecError for a negative share or number, or an invalid cache size."""
        if self.share < 0:
            raise SpecError(f"bank.share must not be negative, got {self.share}; 0 trains nothing before the trials")
        if self.branches < 0:
            raise SpecError(
                f"bank.branches must not be negative, got {self.branches}; 0 trains nothing before the trials"
            )
        for name in ("designs", "earlier"):
            if (value := getattr(self, name)) < 0:
                raise SpecError(f"bank.{name} must not be negative, got {value}")
        if self.feature_cache:
            read_size(self.feature_cache)


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """All settings of a study. Flags of the command line override the study file."""

    backbone: BackboneSpec
    """The network that gets branches."""
    task: TaskSpec = field(default_factory=TaskSpec)
    """The data."""
    space: Space = field(default_factory=lambda: load_space("default"))
    """The search space: a shipped name, a file relative to the study file, or a table."""
    training: TrainingSpec = field(default_factory=lambda: TrainingSpec(epochs=_BRIEF))
    """Training of each trial."""
    full_training: TrainingSpec = field(default_factory=lambda: TrainingSpec(epochs=_FULL))
    """Training of a chosen network by `eenas train`."""
    baselines: BaselinesSpec = field(default_factory=BaselinesSpec)
    """The networks that the search is compared with."""
    prepare: PrepareSpec = field(default_factory=PrepareSpec)
    """Training of the plain backbone before the search."""
    bank: BankSpec = field(default_factory=BankSpec)
    """Branches trained on the frozen backbone, from which trials inherit."""
    latency: LatencySpec = field(default_factory=LatencySpec)
    """How latency is measured."""
    search: SearchSpec = field(default_factory=SearchSpec)
    """Sampler, objectives and number of trials."""
    constraints: Limits = field(default_factory=Limits)
    """Limits that every offered operating point meets."""
    costs: Mapping[str, CostSpec] = field(default_factory=dict)
    """Further costs, each a table `[costs.NAME]`."""
    tiers: Tiers | None = None
    """Machines that share the network, each a table `[tiers.NAME]`; each operating point then has the best split
    between them."""
    experts: ExpertSettings | None = None
    """Experts for distorted images at the end of full training; in a space that draws them, only if the design has
    them."""
    seed: int = 0
    """Seed of the study: weights, samples and the sampler."""

    def __post_init__(self) -> None:
        """Raise SpecError for a negative seed, invalid names of costs, and unknown costs."""
        if self.seed < 0:
            raise SpecError(f"seed must not be negative, got {self.seed}")
        check_costs(self.costs, self.tiers, self.search, self.constraints)
        asked = [*self.search.robustness, *(f"min_{name}" for name in self.constraints.robustness)]
        if asked and self.task.distortions is None:
            raise SpecError(f"{asked[0]} needs distorted samples; name kinds in [task.distortions]")
        check_experts(self.experts, self.space, self.task.distortions)
        check_distorted_training(self.space, self.task.distortions)
        if self.tiers is not None and may_have_experts(self.space):
            raise SpecError("training.experts of the search space cannot be drawn in a study with tiers; leave one out")

    def to_table(self) -> dict[str, Any]:
        """Return the settings as plain data, the inverse of `from_table`.

        Without custom costs, there is no table `costs`, and none of `experts` or `tiers` without these.
        """
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        optional = ("costs", "experts", "tiers")
        left_out = {name for name in optional if not values[name]}
        return {name: specs.to_table(value) for name, value in values.items() if name not in left_out}

    @property
    def names_code(self) -> bool:
        """Whether the backbone, the task or a cost is Python code of the user, which runs only if trusted."""
        backbone, task = self.backbone.name, self.task.spec
        if any(is_reference(cost.kind) for cost in self.costs.values()):
            return True
        of_paths = tuple(f"{kind}:" for kind in PATHS)
        return is_code(backbone) or (is_reference(task) and not task.startswith(of_paths))

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the settings in a table. A training without a budget gets the default one."""
        return specs.read_fields(cls, _budgeted(table, training=_BRIEF, full_training=_FULL), file=file, key=key)


def readable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a record in the current form: keys of earlier versions are renamed or left out."""
    table = {name: dict(value) if isinstance(value, Mapping) else value for name, value in settings.items()}
    search = table.get("search", {})
    if "stop_hopeless" in search:
        search["prune"] = search.pop("stop_hopeless")
    for key in ("truncated", "uniform"):
        table.get("baselines", {}).pop(key, None)
    return table


def load_settings(
    study: str | Path | StudySpec | None = None,
    *,
    backbone: str | None = None,
    task: str | None = None,
    overrides: Sequence[str] = (),
    **shortcuts: Unpack[Shortcuts],
) -> tuple[StudySpec, Path | None]:
    """Return the settings of a study, and the folder to which `./file.py` and `./file.toml` in them are relative.

    `study` is a file, the name of a shipped study, or settings. The named arguments override it, and `overrides`
    (`table.key=value`) override both.

    Raises SpecError for unknown keys and values, with the file, the key and the nearest known one.
    """
    is_file = study is not None and not isinstance(study, StudySpec)
    path = shipped.find("studies", str(study)) if is_file else None
    table: dict[str, Any] = specs.read_table(path) if path is not None else {}
    if isinstance(study, StudySpec):
        table = specs.to_table(study)
        if study.tiers is not None:  # as in a file, so that an override reaches a tier by its name
            table["tiers"] = {row.pop("name"): row for row in table["tiers"]}
    space, seed = shortcuts.get("space"), shortcuts.get("seed")
    folder = path.parent if path is not None else None
    flags: dict[str, dict[str, Any]] = {
        "backbone": {"name": name_here(backbone, folder), "weights": path_here(shortcuts.get("weights"), folder)},
        "task": {"spec": name_here(task, folder)},
        "search": {"trials": shortcuts.get("trials"), "timeout": shortcuts.get("timeout")},
    }
    for name, values in flags.items():
        table = specs.merge(table, {name: given} if (given := _given(values)) else {})
    if seed is not None:
        table["seed"] = seed
    if space is not None:
        table["space"] = str(space)
    table["space"] = _space_table(table.get("space", "default"), folder if space is None else None)
    for assignment in overrides:
        table = override(table, assignment)
        table["space"] = _space_table(table["space"], folder)
    named = table.get("backbone", {})
    if isinstance(named, Mapping) and "name" not in named:
        raise SpecError("the study has no backbone; pass --backbone NAME or set name in [backbone] of the study file")
    settings = specs.from_table(StudySpec, table, file=str(path) if path is not None else "")
    settings.constraints.check_unit()
    return settings, folder


def _space_table(space: Any, folder: Path | None) -> Any:
    """Return the space as a table, so `--set space.branches=3` can override a single key."""
    if not isinstance(space, str):
        return space
    local = folder / space if folder is not None else Path(space)
    found = shipped.find("search_spaces", str(local if os.path.isfile(local) else space))
    table = load_space(found).to_table()
    return table if found.parent.resolve() == (folder or Path()).resolve() else _rebased(table, found.parent, folder)


def _rebased(value: Any, home: Path, folder: Path | None) -> Any:
    """Return `value` with each `./file.py:name` that exists in `home` made relative to `folder`, that of the study."""
    if isinstance(value, Mapping):
        return {name: _rebased(each, home, folder) for name, each in value.items()}
    if isinstance(value, list):
        return [_rebased(each, home, folder) for each in value]
    if not isinstance(value, str) or not is_reference(value):
        return value
    place, _, name = value.rpartition(":")
    if not place.endswith(".py") or not os.path.isfile(home / place):
        return value
    return f"{Path(os.path.relpath(home / place, folder or Path())).as_posix()}:{name}"


def override(table: Mapping[str, Any], assignment: str) -> dict[str, Any]:
    """Return the settings with `table.key=value` applied. A budget replaces one in another unit."""
    names = [name.strip() for name in assignment.partition("=")[0].split(".")]
    below = dict(table)
    if len(names) > 1 and names[-1] in BUDGETS:
        inner: Any = below
        for name in names[:-1]:
            held = inner.get(name, {})
            if not isinstance(held, Mapping):  # not a table; reading it raises the error
                return specs.assign(table, assignment)
            inner[name] = inner = dict(held)
        for unit in BUDGETS:
            inner.pop(unit, None)
    return specs.assign(below, assignment)


def _budgeted(table: Any, **epochs: int) -> Any:
    """Return `table` with default epochs for each of these trainings that is given without a budget."""
    if not isinstance(table, Mapping):
        return table
    found = dict(table)
    for name, default in epochs.items():
        given = table.get(name)
        if isinstance(given, Mapping) and not any(unit in given for unit in BUDGETS):
            found[name] = {"epochs": default, **given}
    return found


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
