"""The controller of a model: made from a name, settings or a kind, or one that was made before for the same model."""

from collections.abc import Mapping
from typing import Any

from eenas.errors import PolicyError
from eenas.policies.controllers.controlled_exits import ControlledExits
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.controller_kind import ControllerKind
from eenas.policies.controllers.registry import controller_of


def controller_for(
    given: Controller | ControllerKind | str,
    settings: Mapping[str, Any],
    *,
    exits: ControlledExits,
    model: str,
    seed: int,
    trust_code: bool,
) -> Controller:
    """Return a controller for the exits of the model with the identity `model`.

    A running controller is returned as it is; it may come from another open copy of the same model. Raises PolicyError
    for a controller of another model, for settings beside a controller that has its own, and for settings that do not
    fit the exits.
    """
    if isinstance(given, Controller):
        if settings:
            raise PolicyError(f"this controller has its own settings; leave out {', '.join(sorted(settings))}")
        if given.model != model or given.exits.temperatures != exits.temperatures:
            raise PolicyError("this controller belongs to another model or another version of this one; make a new one")
        return given
    return Controller(controller_of(given, settings, trust_code=trust_code), exits, seed=seed, model=model)
