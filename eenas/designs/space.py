"""A search space: branch slots, and a choice, a range or a fixed value for every key, read from TOML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from eenas import shipped, specs
from eenas.bounds import check_keys, located
from eenas.branches.branch import SIZES
from eenas.branches.registry import sizes_of
from eenas.designs.domains import Categorical, Domain, FloatRange, IntRange, Key, Scalar, Setting
from eenas.designs.effects import contradictions, used_keys, values_in
from eenas.designs.keys import BRANCH, LATER, SECTIONS
from eenas.designs.placement import candidates
from eenas.designs.training_choice import NO_EXPERTS
from eenas.errors import DesignError, SpecError
from eenas.escaping import shortened
from eenas.measurement.profile import Profile

_KIND = "the search space"
_TOP = ("version", "branches", "cost_cap", "placement", "branch", "slot", "network", "training", "policy")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of `Space.explain`: a key, its possible values, the number of its parameters, and its meaning."""

    key: str
    values: str
    parameters: int
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Space:
    """N branch slots and the values that a study may draw.

    `branches` is N. `cost_cap` is the largest MACs of a branch as a share of the MACs behind its cut point. The author
    of a space raises `version` when a change makes older studies incomparable. Every value is a choice (list), a range
    (table) or fixed (scalar); a missing key is fixed at its default. `slot` overrides values of `branch` for single
    slots, counted from 1. The fields accept TOML values and are converted.

    All parameters of a slot are always suggested, even if it carries no branch, because samplers do not handle
    conditional parameters well. Only parameters that no draw of this space can use are left out.
    """

    name: str = field(default="", compare=False)
    version: int = 1
    """Part of the identity of a study. Raise it when a change makes older studies incomparable."""
    branches: int = 6
    """Number of slots; each holds one branch or none."""
    cost_cap: float = 0.1
    """Largest MACs of a branch, as a share of the backbone's MACs behind its cut point."""
    placement: Mapping[str, Setting] = field(default_factory=dict, hash=False)
    """How places of branches are chosen."""
    branch: Mapping[str, Setting] = field(default_factory=dict, hash=False)
    """What each slot may hold."""
    slot: Mapping[int, Mapping[str, Setting]] = field(default_factory=dict, hash=False)
    """Values of `[branch]` for one slot only: `[slot.2]`, counted from 1."""
    network: Mapping[str, Setting] = field(default_factory=dict, hash=False)
    """What holds for the whole network."""
    training: Mapping[str, Setting] = field(default_factory=dict, hash=False)
    """How the network is trained."""
    policy: Mapping[str, Setting] = field(default_factory=dict, hash=False)
    """When a sample leaves."""

    def __post_init__(self) -> None:
        """Convert the values as from TOML, and fill in the defaults."""
        self._read(file="", key="")

    def _read(self, *, file: str, key: str) -> None:
        scalars = (("version", int, 1, None), ("branches", int, 1, 64), ("cost_cap", float, 0, 1))
        for name, kind, least, most in scalars:
            scalar = Key(type=kind, default=1, meaning="", least=least, most=most or float("inf"), above=kind is float)
            value = scalar.read(getattr(self, name), where=_where(file, key, name))
            if not isinstance(value, int | float):
                raise SpecError(f"{_where(file, key, name)}: must be one fixed number, got {getattr(self, name)!r}")
            object.__setattr__(self, name, value)
        for name, keys in SECTIONS.items():
            given = _read_section(getattr(self, name), keys, file=file, key=key, name=name)
            object.__setattr__(self, name, {each: given.get(each, known.default) for each, known in keys.items()})
        if not isinstance(self.slot, Mapping):
            raise SpecError(f"{_where(file, key, 'slot')}: must hold tables like [slot.2], got {shortened(self.slot)}")
        slots: dict[int, Mapping[str, Setting]] = {}
        for label, table in self.slot.items():
            if not (str(label).isdecimal() and 1 <= int(label) <= self.branches):
                where = _where(file, key, f"slot.{label}")
                raise SpecError(f"{where}: no such slot; the space has slots 1 to {self.branches}")
            slots[int(label)] = _read_section(table, BRANCH, file=file, key=key, name=f"slot.{label}")
        object.__setattr__(self, "slot", dict(sorted(slots.items())))
        for place, problem in contradictions({name: getattr(self, name) for name in SECTIONS}, self.branches):
            raise SpecError(f"{_where(file, key, place)}: {problem}")

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> "Space":
        """Read a space from the table of a TOML file. Raises SpecError with file, key and the nearest known name."""
        check_keys(table, _TOP, file=file, key=key, kind=_KIND)
        space = cls.__new__(cls)
        defaults: dict[str, Any] = {"version": 1, "branches": 6, "cost_cap": 0.1}
        for name in _TOP:
            object.__setattr__(space, name, table.get(name, defaults.get(name, {})))
        object.__setattr__(space, "name", Path(file).stem if file and not key else "")
        space._read(file=file, key=key)
        return space

    def to_table(self) -> dict[str, Any]:
        """Return the table for `from_table`, with all defaults."""
        table: dict[str, Any] = {"version": self.version, "branches": self.branches, "cost_cap": self.cost_cap}
        for name in SECTIONS:
            table[name] = _section_table(getattr(self, name))
        for name in LATER:
            section, _, key = name.partition(".")
            if table[section][key] == SECTIONS[section][key].default:
                del table[section][key]
        if self.slot:
            table["slot"] = {str(number): _section_table(values) for number, values in self.slot.items()}
        return table

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of everything but the name."""
        return specs.digest(self.to_table())

    def within(self, slots: int) -> "Space":
        """Return this space with at most `slots` slots (1 or more)."""
        if slots >= self.branches:
            return self
        table = self.to_table() | {"branches": slots}
        table["slot"] = {number: each for number, each in table.get("slot", {}).items() if int(number) <= slots}
        if slots == 1:  # [network] joins branches
            del table["network"]
        if min(values_in(self.placement["count"]), default=0) > slots:  # type: ignore[operator]
            table["placement"] = {**table["placement"], "count": slots}
        found = Space.from_table(table)
        object.__setattr__(found, "name", self.name)
        return found

    def slot_settings(self, slot: int) -> Mapping[str, Setting]:
        """Return the settings of one slot (from 1): its own table over [branch]."""
        return {**self.branch, **self.slot.get(slot, {})}

    def setting(self, name: str) -> Setting:
        """Return the setting of a parameter's name, such as `placement.kind` or `slot3.width`."""
        section, _, key = name.partition(".")
        table = self.slot_settings(int(section[4:])) if section.startswith("slot") else getattr(self, section)
        return table[key]

    def value(self, proposal: Mapping[str, Scalar], name: str) -> Scalar:
        """Return the value of `name` in a proposal. A name without a parameter has its fixed value or its first one."""
        setting = self.setting(name)
        return proposal.get(name, setting.first) if isinstance(setting, Domain) else setting

    def parameters(self) -> dict[str, Domain]:
        """Return the parameters of a proposal in the order of drawing. Fixed values have none."""
        return dict(self._parameters)

    @cached_property
    def _parameters(self) -> dict[str, Domain]:
        slots = range(1, self.branches + 1)
        names = self._used("placement")
        names += [f"slot{slot}.{key}" for slot in slots for key in BRANCH if self._has_effect(slot, key)]
        names += self._used("network") + self._used("training") + self._used("policy")
        settings = {name: self.setting(name) for name in names}
        return {name: setting for name, setting in settings.items() if isinstance(setting, Domain)}

    def _used(self, section: str) -> list[str]:
        used = used_keys(section, getattr(self, section), self.branches)
        return [f"{section}.{key}" for key in SECTIONS[section] if key in used]

    def _has_effect(self, slot: int, key: str) -> bool:
        settings = self.slot_settings(slot)
        if settings["on"] is False:
            return False
        if key == "depth":
            return "free" in values_of(self, "placement.kind")
        if key not in SIZES:
            return True
        return any(key in sizes_of(str(kind)) for kind in values_of(self, f"slot{slot}.structure"))

    def explain(self) -> list[Row]:
        """Return one row per key that some draw uses: its meaning, its values and its number of parameters."""
        made, slots = self._parameters, range(1, self.branches + 1)
        rows = [
            Row(
                key="branches",
                values=str(self.branches),
                parameters=0,
                meaning="slots, each with at most one branch",
            ),
            Row(
                key="cost_cap",
                values=f"{self.cost_cap:g}",
                parameters=0,
                meaning="largest cost of a branch, as a share of the MACs behind its cut point",
            ),
        ]
        for section, keys in SECTIONS.items():
            for key, known in keys.items():
                names = [f"{section}.{key}"]
                if section == "branch":
                    plain = [slot for slot in slots if key not in self.slot.get(slot, {})]
                    names = [f"slot{slot}.{key}" for slot in plain]
                    if not any(self._has_effect(slot, key) for slot in plain):
                        continue
                elif names[0] not in self._used(section):
                    continue
                count = sum(name in made for name in names)
                text = _text(getattr(self, section)[key])
                rows.append(Row(key=f"{section}.{key}", values=text, parameters=count, meaning=known.meaning))
        for number, table in self.slot.items():
            for key, setting in table.items():
                count = int(f"slot{number}.{key}" in made)
                meaning = f"slot {number} only: {BRANCH[key].meaning}"
                rows.append(Row(key=f"slot.{number}.{key}", values=_text(setting), parameters=count, meaning=meaning))
        return rows


def load_space(name: str | Path) -> Space:
    """Load a shipped space by name (`default`, `small`) or a TOML file by path. Raises SpecError."""
    path = shipped.find("search_spaces", str(name))
    return Space.from_table(specs.read_table(path), file=str(path))


def fitted_space(space: Space, profile: Profile) -> Space:
    """Return the space with at most as many slots as the backbone has cut points with work behind them.

    Raises DesignError if there is no such cut point.
    """
    count = len(candidates(profile))
    if not count:
        raise DesignError(
            f"{profile.backbone} has no cut point with work behind it that a branch could save; "
            "try cut_points = 'all' for the backbone"
        )
    return space.within(count)


def check_fitted(space: Space, profile: Profile) -> None:
    """Raise DesignError if the space has more slots than the backbone has cut points; see `fitted_space`."""
    fitted = fitted_space(space, profile)
    if fitted is not space:
        raise DesignError(
            f"more exits than cut points: the space has {space.branches} branch slots, {profile.backbone} has "
            f"{fitted.branches} cut points with work behind them; set branches = {fitted.branches} in the search "
            "space, or cut_points = 'all' for the backbone"
        )


def values_of(space: Space, name: str) -> tuple[Scalar, ...]:
    """Return every value of a finite setting, one for a fixed setting. Not for ranges without steps."""
    return values_in(space.setting(name))


def may_learn_from_backbone(space: Space) -> bool:
    """Whether a draw can have a training with the prepared backbone as the teacher."""
    methods = [str(name) for name in values_of(space, "training.strategy")]
    if "hybrid" in methods:
        methods += [str(name) for name in values_of(space, "training.hybrid")]
    return "backbone" in values_of(space, "training.teacher") and any("distillation" in name for name in methods)


def may_have_experts(space: Space) -> bool:
    """Whether a draw can have experts for distorted images."""
    return set(values_of(space, "training.experts")) != {NO_EXPERTS}


def _read_section(table: Any, keys: Mapping[str, Key], *, file: str, key: str, name: str) -> dict[str, Setting]:
    check_keys(table, keys, file=file, key=f"{key}.{name}".strip("."), kind=_KIND)
    return {each: keys[each].read(value, where=_where(file, key, f"{name}.{each}")) for each, value in table.items()}


def _section_table(settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {key: value.to_table() if isinstance(value, Domain) else value for key, value in settings.items()}


def _where(file: str, key: str, name: str) -> str:
    return located(file, f"{key}.{name}".strip(".")) or _KIND


def _text(setting: Setting) -> str:
    if isinstance(setting, Categorical):
        return ", ".join(_text(choice) for choice in setting.choices)
    if isinstance(setting, IntRange | FloatRange):
        step = setting.step if setting.step not in (None, 1) else None
        tail = ", on a log scale" if setting.log else f", in steps of {step:g}" if step is not None else ""
        return f"{setting.low:g} to {setting.high:g}{tail}"
    shown = str(setting)
    return f"{setting:g}" if isinstance(setting, float) else shown.lower() if isinstance(setting, bool) else shown
