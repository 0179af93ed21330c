"""The kinds of controllers by name, custom kinds by reference, and reading kinds from tables and from texts."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eenas.bounds import check_keys, located
from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.plugins import Registry, class_problem
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controller_kind import ControllerKind
from eenas.policies.controllers.drift_guard import DriftGuard
from eenas.policies.controllers.fixed import FixedThresholds
from eenas.policies.controllers.splitee import SplitEE

CONTROLLER_KINDS: dict[str, type[ControllerKind]] = {
    AdaEE.kind: AdaEE,
    SplitEE.kind: SplitEE,
    FixedThresholds.kind: FixedThresholds,
    DriftGuard.kind: DriftGuard,
}
"""The kinds of eenas by name."""

_LISTS = ("thresholds", "costs", "safe")
_OF_THRESHOLDS = ("thresholds", "safe")


def controller_from_table(
    table: Mapping[str, Any], *, trust_code: bool = False, relative_to: Path | None = None, place: str = ""
) -> ControllerKind:
    """Return the kind of controller in the data of `ControllerKind.to_table`; the key "kind" is needed.

    Custom kinds are loaded with `trust_code`; `relative_to` is the folder of a `./file.py`. A single number in the
    place of a list stands for a list of one, and so does None in the place of thresholds. Raises SpecError for unknown
    keys with the nearest one, PolicyError for an unknown kind and invalid values, and PluginError for code that is not
    trusted.
    """
    check_keys(table, table, key=place, kind="a controller")
    values, where = dict(table), located("", place) or "a controller"
    kind = values.pop("kind", None)
    if not isinstance(kind, str):
        raise PolicyError(f"{where}: kind must be the name of a controller, got {shortened(kind)}")
    found = CONTROLLERS.find(kind, trust_code=trust_code, relative_to=relative_to)
    fields = {each.name: each for each in dataclasses.fields(found)}  # type: ignore[arg-type]
    needed = [
        name
        for name, each in fields.items()
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    ]
    check_keys(values, fields, needed, key=place or kind, kind="a controller")
    for name, value in values.items():
        if isinstance(value, Mapping):
            below = f"{place}.{name}" if place else name
            values[name] = controller_from_table(value, trust_code=trust_code, relative_to=relative_to, place=below)
        elif isinstance(value, list):
            values[name] = tuple(value)
        elif name in _LISTS and isinstance(value, int | float) and not isinstance(value, bool):
            values[name] = (value,)
        elif name in _OF_THRESHOLDS and value is None:  # nobody leaves early
            values[name] = (None,)
    return found(**values)


def controller_of(
    given: ControllerKind | str, settings: Mapping[str, Any], *, trust_code: bool = False
) -> ControllerKind:
    """Return a kind of controller from its name (or reference) and settings, or the given one if it needs none.

    Raises PolicyError for settings beside a kind that has its own, and as `controller_from_table` does.
    """
    if isinstance(given, str):
        tables = {
            name: each.to_table() if isinstance(each, ControllerKind) else each for name, each in settings.items()
        }
        lists = {name: list(each) if isinstance(each, tuple) else each for name, each in tables.items()}
        return controller_from_table({"kind": given, **lists}, trust_code=trust_code)
    if not isinstance(given, ControllerKind):
        raise PolicyError(f"a controller is a name such as 'adaee' or a kind of controller, got {shortened(given)}")
    if settings:
        raise PolicyError(f"{given.kind} has its own settings; give {', '.join(sorted(settings))} where it is made")
    return given


def _accept_controller(kind: str, found: Any) -> type[ControllerKind]:
    """Check a custom class and set its kind to the reference. Raises PolicyError."""
    problem = class_problem(found, ControllerKind, public="eenas.policies.controllers.ControllerKind")
    if problem and not __name__.startswith("eenas."):
        problem = "is read by eenas.runtime; import that in the place of runtime.py"
    if problem:
        raise PolicyError(f"{kind}: {problem}")
    own: type[ControllerKind] = found
    own.kind = kind
    return own


CONTROLLERS: Registry[type[ControllerKind]] = Registry(
    "kind of controller", CONTROLLER_KINDS, accept=_accept_controller, error=PolicyError
)
