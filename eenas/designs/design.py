"""A design as plain data: branches at named cut points of a backbone, their training and the kind of policy."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eenas import specs
from eenas.bounds import check_keys, parse_json
from eenas.branches.branch import Branch
from eenas.branches.cascade import Cascade
from eenas.designs.checks import at_least, number, truth
from eenas.designs.design_tables import SIZE, read_placed, where, with_inputs
from eenas.designs.training_choice import NO_EXPERTS, TrainingChoice
from eenas.errors import DesignError, PolicyError, SpecError, plural
from eenas.escaping import shortened
from eenas.plugins import is_reference
from eenas.policies.kinds.registry import POLICIES
from eenas.policies.rule import Rule, may_compare
from eenas.tasks.images.image_input import size_of
from eenas.tasks.inputs import InputSpec

__all__ = ["Design", "Placed", "PolicyChoice", "TrainingChoice"]

FORMAT = 1
FINAL = "final"
"""The exit name of the backbone's own classifier unless a cut point has it."""

MOST_CLASSES = 1_000_000
"""More classes than any data set has. Prevents a damaged file from creating a classifier of gigabytes."""


@dataclass(frozen=True)
class Placed:
    """A branch at a named cut point."""

    cut_point: str
    branch: Branch

    @property
    def uncascaded(self) -> "Placed":
        """The same with the branch inside a cascade; others are unchanged."""
        return Placed(self.cut_point, self.branch.branch) if isinstance(self.branch, Cascade) else self


@dataclass(frozen=True, kw_only=True)
class PolicyChoice(Rule):
    """The policy to fit for a design: a rule, and the target for the expected MACs as a share of the backbone's."""

    target_macs: float = 0.5

    def __post_init__(self) -> None:
        """Check every value."""
        try:
            super().__post_init__()
        except PolicyError as error:
            raise DesignError(str(error)) from None
        object.__setattr__(self, "target_macs", number("policy.target_macs", self.target_macs))
        if not 0 < self.target_macs <= 1:
            raise DesignError(f"policy.target_macs is a share of the backbone's MACs in (0, 1], got {self.target_macs}")

    def canonical(self, branches: int) -> "PolicyChoice":
        """Return the same choice for a network with `branches` exits before its last, without ineffective values.

        With one exit there is no decision. One branch has one threshold, no other exit to agree with, and no vote. Only
        thresholds can differ by exit, and `score` has no effect unless confidences are compared.
        """
        if branches == 0:
            return PolicyChoice(target_macs=1.0)
        kind = self.kind
        if branches == 1:
            kind = "threshold" if kind == "patience_confidence" else "patience" if kind == "vote" else kind
        compared = may_compare(kind) or self.final_rule == "most_confident"
        return replace(
            self,
            kind=kind,
            score=self.score if compared else "max_softmax",
            per_exit=self.per_exit and kind == "threshold" and branches > 1,
        )


@dataclass(frozen=True, kw_only=True)
class Design:
    """A resolved proposal. `branches` are in depth order; `provenance` (JSON data) records how the design came about.

    `inputs` are what the backbone's transform takes; for images, only the size distinguishes designs.

    A `static` design ends at its one branch, where every sample leaves; the network has nothing behind it.

    `digest` covers everything but the provenance; `architecture_digest` also leaves out training and policy. Both use
    the canonical design, so designs that differ only in values without effect have equal digests.
    """

    backbone: str
    num_classes: int
    inputs: InputSpec
    branches: tuple[Placed, ...] = ()
    training: TrainingChoice = field(default_factory=TrainingChoice)
    policy: PolicyChoice = field(default_factory=PolicyChoice)
    static: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check that the design is possible, and copy the provenance as plain JSON data."""
        at_least("num_classes", self.num_classes, 2)
        if self.inputs.kind == "images" and size_of(self.inputs) is None:
            raise DesignError("the images of a design have a size, got one that is open; give it")
        if self.num_classes > MOST_CLASSES:
            raise DesignError(f"num_classes must be at most {MOST_CLASSES:,}, got {self.num_classes:,}")
        object.__setattr__(self, "branches", tuple(self.branches))
        names = [placed.cut_point for placed in self.branches]
        doubled = [name for index, name in enumerate(names) if name in names[:index]]
        if doubled:
            raise DesignError(f"a cut point carries one branch, got two at {shortened(doubled[0])}; remove one")
        for index, placed in enumerate(self.branches):
            if placed.branch.is_open:
                raise DesignError(
                    f"the branch at {placed.cut_point!r} ({placed.branch.label()}) has a structure to be found, "
                    "and a design must name it; resolve the proposal with a learner"
                )
            if index == 0 and isinstance(placed.branch, Cascade):
                raise DesignError(
                    f"the first branch, at {placed.cut_point!r}, cannot be a cascade: no exit comes before it; "
                    f"use {placed.branch.branch.label()} itself"
                )
        truth("static", self.static)
        if self.static and len(self.branches) != 1:
            raise DesignError(
                f"a static design ends at its one branch, got {plural(len(self.branches), 'branch', 'branches')}; "
                "remove the others"
            )
        try:
            copied = json.loads(json.dumps(dict(self.provenance), allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise DesignError(f"provenance must be plain JSON data: {error}") from None
        object.__setattr__(self, "provenance", copied)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits, equal for equal designs on every machine and Python version."""
        table = self.canonical()._identity()
        return specs.digest({name: value for name, value in table.items() if name not in ("format", "provenance")})

    @property
    def architecture_digest(self) -> str:
        """The digest of backbone, classes, inputs and branches only."""
        table = self._identity()
        names = ("backbone", "num_classes", "inputs", "input_size", "branches", "static")
        return specs.digest({name: table[name] for name in names if name in table})

    @property
    def exits(self) -> tuple[str, ...]:
        """The names of the exits in depth order (see `exit_names`). A static design has no final exit."""
        names = tuple(placed.cut_point for placed in self.branches)
        return names if self.static else exit_names(names)

    def static_at(self, exit_: int) -> "Design":
        """Return the static design that ends at the branch of index `exit_`, without the branches before it."""
        return replace(self, branches=(self.branches[exit_],), static=True)

    def canonical(self) -> "Design":
        """Return the same design with ineffective training and policy values at fixed values.

        With one exit there is one loss and no early exit, and no gradients meet. With one branch, a common threshold
        and one per exit are the same. A strategy drops the values that it does not use.
        """
        count = len(self.exits) - 1
        return replace(
            self, training=self.training.canonical(count, static=self.static), policy=self.policy.canonical(count)
        )

    def label(self) -> str:
        """Return short text such as "layer1.2 fc, layer3.0 conv_fc 32", "ends at layer1.2: fc", or "no branch"."""
        if self.static:
            return f"ends at {self.branches[0].cut_point}: {self.branches[0].branch.label()}"
        branches = ", ".join(f"{placed.cut_point} {placed.branch.label()}" for placed in self.branches) or "no branch"
        return branches if self.canonical().training.experts == NO_EXPERTS else f"{branches}, with experts"

    def _identity(self) -> dict[str, Any]:
        """The table that digests are taken from; images stand there by their size alone, as in version 0.1."""
        table, size = self.to_table(), size_of(self.inputs)
        if size is not None:
            del table["inputs"]
            table[SIZE] = size if isinstance(size, int) else list(size)
        return table

    def to_table(self) -> dict[str, Any]:
        """Return the design as JSON data; `from_table` is the inverse."""
        placed = [{"cut_point": each.cut_point, "branch": each.branch.to_table()} for each in self.branches]
        return {
            "format": FORMAT,
            "backbone": self.backbone,
            "num_classes": self.num_classes,
            "inputs": self.inputs.to_table(),
            "branches": placed,
            **({"static": True} if self.static else {}),
            "training": specs.to_table(self.training),
            "policy": specs.to_table(self.policy),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_table(
        cls,
        table: Mapping[str, Any],
        *,
        file: str = "",
        key: str = "",
        trust_code: bool = False,
        relative_to: Path | None = None,
    ) -> "Design":
        """Read the result of `to_table`, or the table of a design of version 0.1.

        Raises DesignError, SpecError or BranchError with file, key and fix. A branch or policy of the user's own raises
        PluginError unless `trust_code`. A `./file.py` is looked up in `relative_to` (default: the folder of `file`),
        then in the working directory.
        """
        prefix = f"{key}." if key else ""
        if not isinstance(table, Mapping):
            raise DesignError(f"{where(file, key)}a design must be a table, got {shortened(table)}")
        values = dict(table)
        version = values.pop("format", FORMAT)
        if version != FORMAT:
            raise DesignError(
                f"{where(file, key)}the design has format {shortened(version)}, this eenas reads {FORMAT}; update"
            )
        values = with_inputs(values, file, prefix)
        known = ("backbone", "num_classes", "inputs", "branches", "static", "training", "policy", "provenance")
        check_keys(values, known, known[:3], file=file, key=key, error=DesignError, kind="a design")
        if not isinstance(values["backbone"], str):
            raise DesignError(f"{where(file, prefix + 'backbone')}must be text, got {shortened(values['backbone'])}")
        branches = values.get("branches", ())
        if not isinstance(branches, list | tuple):
            raise DesignError(f"{where(file, prefix + 'branches')}must be a list, got {shortened(branches)}")
        values["branches"] = tuple(
            Placed(*read_placed(item, file, f"{prefix}branches.{index}", trust_code, relative_to))
            for index, item in enumerate(branches)
        )
        for name, spec in (("training", TrainingChoice), ("policy", PolicyChoice)):
            values[name] = specs.from_table(spec, values.get(name, {}), file=file, key=prefix + name)
        if is_reference(kind := values["policy"].kind):
            folder = relative_to or (Path(file).parent if file else None)
            POLICIES.find(kind, trust_code=trust_code, relative_to=folder)
        if not isinstance(values.setdefault("provenance", {}), Mapping):
            raise DesignError(
                f"{where(file, prefix + 'provenance')}must be a table, got {shortened(values['provenance'])}"
            )
        try:
            return cls(**values)
        except DesignError as error:
            raise DesignError(f"{where(file, key)}{error}") from None

    def to_json(self) -> str:
        """Return the design as JSON text that ends in a newline."""
        return json.dumps(self.to_table(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(
        cls, text: str | bytes, *, file: str = "", trust_code: bool = False, relative_to: Path | None = None
    ) -> "Design":
        """Read the result of `to_json`; `file` is its origin, for errors."""
        try:
            table = parse_json(text)
        except SpecError as error:
            raise DesignError(f"{where(file, '')}{error}") from None
        return cls.from_table(table, file=file, trust_code=trust_code, relative_to=relative_to)


def exit_names(cut_points: Sequence[str]) -> tuple[str, ...]:
    """Return the exit names for branches at `cut_points`, the backbone's classifier last.

    It is called "final", in brackets if a cut point has that name.
    """
    last = FINAL
    while last in cut_points:
        last = f"({last})"
    return (*cut_points, last)
