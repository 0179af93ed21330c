"""Kinds of input of one's own: plug-ins that join a transform and its equivalent without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eenas.errors import SpecError
from eenas.plugins import Registry, described, is_reference


@dataclass(frozen=True, kw_only=True)
class InputKind:
    """A kind of input. A reference names it, such as `./points.py:POINTS`; tables have the reference as their `kind`.

    `transform` derives from `eenas.backbones.Transform`, `preprocessing` from `eenas.programs.Preprocessing`. Both are
    frozen dataclasses with the same fields: what the transform's `to_table` writes, without `kind`. The function of the
    task returns the samples (`eenas.tasks.Samples`).
    """

    transform: type[Any]
    preprocessing: type[Any]


def _accepted_kind(name: str, found: Any) -> InputKind:
    if not isinstance(found, InputKind):
        raise SpecError(f"the kind of input {name!r} must be an eenas.tasks.InputKind, got {described(found)}")
    return found


INPUT_KINDS: Registry[InputKind] = Registry("kind of input", {}, accept=_accepted_kind, error=SpecError)
"""The kinds of plug-ins by reference."""


def load_kind(table: Any, *, trust_code: bool, relative_to: Path | None = None) -> None:
    """Load the kind of input of a plug-in that the table of a transform names, if any.

    Raises PluginError for code that is not trusted or does not load, SpecError if it is no kind of input.
    """
    kind = table.get("kind") if isinstance(table, Mapping) else None
    if isinstance(kind, str) and is_reference(kind):
        INPUT_KINDS.find(kind, trust_code=trust_code, relative_to=relative_to)
