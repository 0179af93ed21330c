"""Every key of study, space and dashboard files: type, default and meaning, from the classes that read the files."""

import dataclasses
import functools
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eenas.designs.domains import Key
from eenas.designs.keys import SECTIONS
from eenas.designs.space import Space
from eenas.errors import SpecError, nearest
from eenas.escaping import shortened
from eenas.manual.field_meanings import field_meanings
from eenas.manual.type_words import type_words, value_words
from eenas.measurement.costs.spec import KINDS, CostSpec
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.tiers import Tier
from eenas.reporting.report.page import PageSpec
from eenas.reporting.report.report_page import ReportSpec
from eenas.study.settings.limits import LIMITS
from eenas.study.settings.study_spec import StudySpec

FileKind = Literal["study", "space", "dashboard"]
NEEDED = "must be given"
_NOTHING = object()


@dataclass(frozen=True, kw_only=True)
class KeyText:
    """A key of a file of one kind. `note` says where it holds, such as for one kind of cost, or is empty.

    NAME in a key stands for a name that the user chooses, and N for the number of a slot.
    """

    file: FileKind
    key: str
    type: str
    default: str
    meaning: str
    note: str = ""

    @property
    def table(self) -> str:
        """The table that holds the key; empty for the top level of the file."""
        return self.key.rpartition(".")[0]


@functools.cache
def keys() -> tuple[KeyText, ...]:
    """Return every key, those of studies first, in the order of the classes."""
    return (
        *_fields("study", StudySpec, "", special=_STUDY),
        *_space(),
        *_fields("dashboard", PageSpec, "", note="live pages"),
        *_fields("dashboard", ReportSpec, "", note="reports"),
    )


def find_keys(asked: str) -> tuple[KeyText, ...]:
    """Return the keys that `asked` names: the whole key, its end, or the table that holds it.

    Chosen names and numbers of slots may stand for NAME and N, as in `tiers.edge.watts`. Raises SpecError with the
    nearest keys if there is none.
    """
    wanted = tuple(asked.strip("[] ").split("."))
    exact = [each for each in keys() if each.key == ".".join(wanted)]
    if whole := exact or [each for each in keys() if _is_like(each.key, wanted)]:
        inside = [each for each in keys() if any(each.table == one.key and each.file == one.file for one in whole)]
        return tuple(dict.fromkeys((*whole, *inside)))
    tables = [each for each in keys() if _is_like(each.table, wanted)]
    ends = [each for each in keys() if each.key.endswith("." + ".".join(wanted))]
    if found := tables or ends:
        return tuple(found)
    known = [each.key for each in keys()]
    lasts = [each.key.rpartition(".")[2] for each in keys()]
    near = nearest(asked, [*known, *lasts])
    advice = "" if near.startswith("nearest") else "; `eenas explain` lists all"
    raise SpecError(f"no file has the key {shortened(asked)}; {near}{advice}")


def _is_like(key: str, wanted: Sequence[str]) -> bool:
    """Whether the parts `wanted` are those of `key`, with chosen names and numbers for NAME and N."""
    parts = key.split(".")
    return len(parts) == len(wanted) and all(
        re.fullmatch(r"\d+" if part == "N" else re.escape(part).replace("NAME", r"\w+"), given)
        for part, given in zip(parts, wanted, strict=True)
    )


def _fields(
    file: FileKind,
    cls: type,
    prefix: str,
    value: Any = _NOTHING,
    *,
    special: Mapping[str, Callable[[str], Iterator[KeyText]]] | None = None,
    note: str = "",
) -> Iterator[KeyText]:
    """Yield the keys of a dataclass and of those in it. `value` holds the defaults, if they are not its own."""
    hints, meanings = typing.get_type_hints(cls, include_extras=True), field_meanings(cls)
    for field in dataclasses.fields(cls):
        default = getattr(value, field.name) if value is not _NOTHING else _default(field)
        hint, key = hints[field.name], f"{prefix}{field.name}"
        inner = _table_class(hint)
        reader = (special or {}).get(field.name)
        is_table = inner is not None or reader is not None
        yield KeyText(
            file=file,
            key=key,
            type=type_words(hint) if field.name != "space" else "text or table",
            default=_default_words(default, is_table, field.name),
            meaning=meanings.get(field.name, ""),
            note=note,
        )
        if reader is not None:
            yield from reader(f"{key}.")
        elif inner is not None:
            held = default if isinstance(default, inner) else _NOTHING
            yield from _fields(file, inner, f"{key}.", held, note=note)


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else _NOTHING


def _default_words(value: Any, is_table: bool, name: str) -> str:
    if name == "space":
        return '"default"'
    if value is _NOTHING:
        return NEEDED
    return "" if is_table and value is not None else value_words(value)


def _table_class(hint: Any) -> type | None:
    """Return the dataclass of a hint such as `TrainingSpec` or `TrainingSpec | None`."""
    for each in (hint, *typing.get_args(hint)):
        if isinstance(each, type) and dataclasses.is_dataclass(each):
            return each
    return None


def _space(file: FileKind = "space", prefix: str = "") -> Iterator[KeyText]:
    """Yield the keys of a search space, whose sections say themselves what their keys mean."""
    meanings, defaults = field_meanings(Space), Space()
    for name, meaning in meanings.items():
        section = SECTIONS.get(name)
        default = "" if section is not None or name == "slot" else value_words(getattr(defaults, name))
        kind = "table" if default == "" else type_words(typing.get_type_hints(Space)[name])
        yield KeyText(file=file, key=f"{prefix}{name}", type=kind, default=default, meaning=meaning)
        keys_of = section or (SECTIONS["branch"] if name == "slot" else {})
        for each, known in keys_of.items():
            choices = " or ".join(value_words(choice) for choice in known.choices)
            yield KeyText(
                file=file,
                key=f"{prefix}slot.N.{each}" if name == "slot" else f"{prefix}{name}.{each}",
                type=(choices or type_words(known.type)) + (", or your own" if known.open else ""),
                default=f"that of branch.{each}" if name == "slot" else value_words(known.default),
                meaning=_sentence(known),
            )


def _sentence(known: Key) -> str:
    """Return the meaning as a sentence. A value that it begins with keeps its spelling."""
    text = known.meaning
    first = text.partition(":")[0]
    return f"{text}." if first in known.choices else f"{text[:1].upper()}{text[1:]}."


def _limits(prefix: str) -> Iterator[KeyText]:
    for name, meaning in LIMITS.items():
        kind = "whole number" if name in ("max_parameters", "max_branches") else "number"
        yield KeyText(file="study", key=f"{prefix}{name}", type=kind, default="not set", meaning=meaning)


def _costs(prefix: str) -> Iterator[KeyText]:
    kind = field_meanings(CostSpec)["kind"]
    yield KeyText(file="study", key=f"{prefix}NAME.kind", type="text", default=NEEDED, meaning=kind)
    for name, cls in KINDS.items():
        yield from _fields("study", cls, f"{prefix}NAME.", note=f'kind = "{name}"')


def _tiers(prefix: str) -> Iterator[KeyText]:
    yield from (each for each in _fields("study", Tier, f"{prefix}NAME.") if not each.key.endswith(".name"))
    link = "The link to the next tier; all tiers but the last need one."
    yield KeyText(file="study", key=f"{prefix}NAME.link", type="table", default=NEEDED, meaning=link)
    yield from _fields("study", Link, f"{prefix}NAME.link.")


_STUDY: Mapping[str, Callable[[str], Iterator[KeyText]]] = {
    "space": lambda prefix: _space("study", prefix),
    "constraints": _limits,
    "costs": _costs,
    "tiers": _tiers,
}
"""Tables of a study that are not read field by field."""
