"""The study file: task, backbone, space, training, measurement, objectives and constraints in one value."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, Unpack

from eenas import shipped, specs
from eenas.backbones.load import BackboneSpec
from eenas.designs.space import Space, load_space
from eenas.errors import SpecError, nearest
from eenas.escaping import shortened
from eenas.frozen.feature_cache import read_size
from eenas.measurement.costs.spec import CostSpec
from eenas.measurement.latency import LatencySpec
from eenas.plugins import is_reference
from eenas.policies.costs import KNOWN, name_fault
from eenas.study.settings.limits import Limits
from eenas.study.settings.search_spec import ACCURACY, SearchSpec
from eenas.study.settings.shortcuts import Shortcuts
from eenas.tasks.spec import TaskSpec
from eenas.training.spec import TrainingSpec

BUDGETS = ("epochs", "samples", "seconds")

_PREPARE, _BRIEF, _FULL = 7, 1, 30
"""The epochs of the backbone, of a trial and of a full training where no budget is given."""


@dataclass(frozen=True, kw_only=True)
class PrepareSpec:
    """How the plain backbone is trained on the task before the search.

    `when` is "auto", "always" (train whatever is given) or "never" (train nothing). "auto" measures on training
    samples: a classifier that came with the weights and is as good as one fitted on its features is kept; otherwise a
    classifier is fitted on the frozen features, and then all is fine-tuned at `backbone_rate` times `learning_rate` and
    at the full one (0: neither), which is kept where it wins on held-out training samples. A module or factory whose
    classifier is at chance is trained at the full rate.
    """

    when: Literal["auto", "always", "never"] = "auto"
    training: TrainingSpec = field(default_factory=lambda: TrainingSpec(epochs=_PREPARE))
    optimizer: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    backbone_rate: float = 0.1

    def __post_init__(self) -> None:
        """Refuse rates that no optimizer takes."""
        if not 0 <= self.backbone_rate <= 1:
            raise SpecError(f"backbone_rate is a share of learning_rate in [0, 1], got {self.backbone_rate}")
        if self.learning_rate <= 0:
            raise SpecError(f"learning_rate must be above 0, got {self.learning_rate}")
        if self.weight_decay < 0:
            raise SpecError(f"weight_decay must not be negative, got {self.weight_decay}")

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Read it by its fields; a training that is given without a budget keeps the default one."""
        return specs.read_fields(cls, _budgeted(table, training=_PREPARE), file=file, key=key)


@dataclass(frozen=True, kw_only=True)
class BaselinesSpec:
    """The rivals of a search: so many static networks are trained like a trial, and how long full training trains them.

    Static networks end at a cut point. Each cut point has one, with the best structure that the bank has there; the
    `static` ones that promise most are trained as a trial is. `eenas train --compare` trains rivals of the design for
    as long as `training` says (default: as the design).
    """

    static: int = 3
    training: TrainingSpec | None = None

    def __post_init__(self) -> None:
        """Refuse a negative number."""
        if self.static < 0:
            raise SpecError(f"baselines.static must not be negative, got {self.static}; 0 trains none")


@dataclass(frozen=True, kw_only=True)
class BankSpec:
    """The branch bank: what trials inherit, and what is found on the frozen backbone before the first of them.

    With `use` every trial begins with branches that are trained on the frozen backbone, each for as long as `training`
    says (default: as a trial). Before the first trial branches of every family at every cut point are trained at once,
    at most `branches` of them and together at most `share` of the backbone's MACs. The first trials are the best
    `earlier` designs of earlier studies in the storage on the same backbone and data, and the best `designs` of the
    frozen front. `feature_cache` is how much of the backbone's features may be kept on disk, such as "2GB" (none where
    it is empty); branches are then trained on features in half precision.
    """

    use: bool = True
    training: TrainingSpec | None = None
    share: float = 1.0
    branches: int = 32
    designs: int = 4
    earlier: int = 4
    feature_cache: str = ""

    def __post_init__(self) -> None:
        """Refuse a negative share or number."""
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
    """Everything a study is; flags of the command line override the study file."""

    backbone: BackboneSpec
    task: TaskSpec = field(default_factory=TaskSpec)
    space: Space = field(default_factory=lambda: load_space("default"))
    training: TrainingSpec = field(default_factory=lambda: TrainingSpec(epochs=_BRIEF))
    full_training: TrainingSpec = field(default_factory=lambda: TrainingSpec(epochs=_FULL))
    baselines: BaselinesSpec = field(default_factory=BaselinesSpec)
    prepare: PrepareSpec = field(default_factory=PrepareSpec)
    bank: BankSpec = field(default_factory=BankSpec)
    latency: LatencySpec = field(default_factory=LatencySpec)
    search: SearchSpec = field(default_factory=SearchSpec)
    constraints: Limits = field(default_factory=Limits)
    costs: Mapping[str, CostSpec] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a negative seed, and costs that are named in objectives and limits but are not the study's."""
        if self.seed < 0:
            raise SpecError(f"seed must not be negative, got {self.seed}")
        for name in self.costs:
            fault = "every study has it" if name in KNOWN else name_fault(name)
            if fault is not None:
                raise SpecError(f"costs: a cost of one's own cannot be called {shortened(name)}: {fault}; rename it")
        known = (ACCURACY, *KNOWN, *self.costs)
        if unknown := [name for name in self.search.objectives if name not in known]:
            raise SpecError(
                f"search.objectives: unknown value {shortened(unknown[0])}; {nearest(unknown[0], known)}; a cost of "
                "one's own is described under [costs.NAME]"
            )
        try:
            self.constraints.check_costs(known[1:])
        except SpecError as error:
            raise SpecError(f"constraints.{error}") from None

    def to_table(self) -> dict[str, Any]:
        """The inverse of `from_table`; a study without costs of its own says nothing of them."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: specs.to_table(value) for name, value in values.items() if name != "costs" or value}

    @property
    def names_code(self) -> bool:
        """Whether its backbone, task or a cost is Python code of the user's, which runs only where it is trusted."""
        backbone, task = self.backbone.name, self.task.spec
        if any(is_reference(cost.kind) for cost in self.costs.values()):
            return True
        of_backbone = is_reference(backbone) and not backbone.startswith(("torchvision:", "module:"))
        return of_backbone or (is_reference(task) and not task.startswith(("folder:", "npz:")))

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Read it by its fields; a training that is given without a budget keeps the default one."""
        return specs.read_fields(cls, _budgeted(table, training=_BRIEF, full_training=_FULL), file=file, key=key)


def readable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a record, those of earlier versions too: keys under their new names, or left out."""
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
    """The settings of a study and the folder that `./file.py` and `./file.toml` in them are relative to.

    `study` is a file, the name of a shipped one, or settings. The named arguments override it, and `overrides`
    (`table.key=value`) override both. Raises SpecError for unknown keys and values, naming file, key and the nearest
    known one.
    """
    is_file = study is not None and not isinstance(study, StudySpec)
    path = shipped.find("studies", str(study)) if is_file else None
    table: dict[str, Any] = specs.read_table(path) if path is not None else {}
    if isinstance(study, StudySpec):
        table = specs.to_table(study)
    space, seed = shortcuts.get("space"), shortcuts.get("seed")
    flags: dict[str, dict[str, Any]] = {
        "backbone": {"name": backbone, "weights": shortcuts.get("weights")},
        "task": {"spec": task},
        "search": {"trials": shortcuts.get("trials"), "timeout": shortcuts.get("timeout")},
    }
    for name, values in flags.items():
        table = specs.merge(table, {name: given} if (given := _given(values)) else {})
    if seed is not None:
        table["seed"] = seed
    if space is not None:
        table["space"] = str(space)
    folder = path.parent if path is not None else None
    table["space"] = _space_table(table.get("space", "default"), folder if space is None else None)
    for assignment in overrides:
        table = override(table, assignment)
    named = table.get("backbone", {})
    if isinstance(named, Mapping) and "name" not in named:
        raise SpecError("no backbone was named; pass --backbone NAME or set name in [backbone] of the study file")
    settings = specs.from_table(StudySpec, table, file=str(path) if path is not None else "")
    settings.constraints.check_unit()
    return settings, folder


def _space_table(space: Any, folder: Path | None) -> Any:
    """The space as a table, so that `--set space.branches=3` changes one key of it and not the whole."""
    if not isinstance(space, str):
        return space
    local = folder / space if folder is not None else Path(space)
    found = shipped.find("search_spaces", str(local if os.path.isfile(local) else space))
    table = load_space(found).to_table()
    return table if found.parent.resolve() == (folder or Path()).resolve() else _rebased(table, found.parent, folder)


def _rebased(value: Any, home: Path, folder: Path | None) -> Any:
    """`value` with each `./file.py:name` that is there in `home` said from `folder`, the study's, in its place."""
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
    """The settings with `table.key=value` applied; a budget takes the place of a budget in another unit."""
    names = [name.strip() for name in assignment.partition("=")[0].split(".")]
    below = dict(table)
    if len(names) > 1 and names[-1] in BUDGETS:
        inner: Any = below
        for name in names[:-1]:
            held = inner.get(name, {})
            if not isinstance(held, Mapping):  # it can hold no budget; reading it raises the error
                return specs.assign(table, assignment)
            inner[name] = inner = dict(held)
        for unit in BUDGETS:
            inner.pop(unit, None)
    return specs.assign(below, assignment)


def _budgeted(table: Any, **epochs: int) -> Any:
    """`table` in which each of these trainings has so many epochs where it is given without a budget."""
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
