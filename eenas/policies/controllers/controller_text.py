"""A controller as a text of the command line: NAME,key=value,key=value."""

from pathlib import Path
from typing import Any

from eenas.bounds import parse_toml_value
from eenas.errors import PolicyError, SpecError
from eenas.escaping import shortened
from eenas.policies.controllers.controller_kind import ControllerKind
from eenas.policies.controllers.registry import controller_from_table

LONGEST = 10_000
"""The largest number of characters of a text."""
_NONE = ("none", "null", "None")


def controller_from_text(text: str, *, trust_code: bool = False, relative_to: Path | None = None) -> ControllerKind:
    """Return the kind of controller in a text such as "adaee,overhead=0.2,thresholds=[0.5, 0.9]".

    A value is one of TOML, a bare word or `none`. `controller.overhead=0.2` is a setting of the controller inside a
    drift guard. Raises SpecError or PolicyError with the setting.
    """
    name, *settings = _pieces(text)
    table: dict[str, Any] = {"kind": name}
    for setting in settings:
        key, equals, value = (each.strip() for each in setting.partition("="))
        names = key.split(".")
        if not equals or not all(names):
            raise PolicyError(f"a controller must read NAME,key=value,..., got {shortened(setting)} in it")
        try:
            found = None if value in _NONE else parse_toml_value(value)
        except SpecError as error:
            raise PolicyError(f"{shortened(key)}: {error}") from None
        inner = table
        for each in names[:-1]:
            inner = inner.setdefault(each, {})
            if not isinstance(inner, dict):
                raise PolicyError(f"{shortened(key)}: {shortened(each)} is given as a value, too; give one of them")
        last = names[-1]
        if last == "controller" and isinstance(found, str):
            last, inner = "kind", inner.setdefault("controller", {})
        if last in inner:
            raise PolicyError(f"{shortened(key)} is given twice; give it once")
        inner[last] = found
    inside = table.get("controller")
    if isinstance(inside, dict):
        inside.setdefault("kind", "adaee")
    return controller_from_table(table, trust_code=trust_code, relative_to=relative_to)


def _pieces(text: str) -> list[str]:
    """Split a text at the commas outside brackets. Raises PolicyError for an empty or very long one."""
    if not 0 < len(text) <= LONGEST:
        raise PolicyError(f"a controller must be a text of 1 to {LONGEST:,} characters, got {len(text):,}")
    pieces, depth, piece = [], 0, ""
    for mark in text:
        depth += (mark in "[{") - (mark in "]}")
        if mark == "," and depth == 0:
            pieces.append(piece.strip())
            piece = ""
        else:
            piece += mark
    return [*pieces, piece.strip()]
