"""Loading the custom code that a search space names, so this process knows and trusts it."""

from pathlib import Path

from eenas.branches.registry import BRANCHES
from eenas.designs.placement import PLACEMENTS
from eenas.designs.space import Space, values_of
from eenas.plugins import is_reference
from eenas.policies.kinds.registry import POLICIES
from eenas.training.strategies import STRATEGIES


def load_own_code(space: Space, *, trust_code: bool, relative_to: Path | None = None) -> None:
    """Load the custom branches, placements, training strategies and policies that the space names.

    A `./file.py` is looked up in `relative_to`, then in the working folder.

    Raises PluginError for code that is not trusted or cannot be loaded, and the error of its kind for an invalid
    object.
    """
    slots = range(1, space.branches + 1)
    kinds = (
        (BRANCHES, [f"slot{slot}.structure" for slot in slots]),
        (PLACEMENTS, ["placement.kind"]),
        (STRATEGIES, ["training.strategy"]),
        (POLICIES, ["policy.kind"]),
    )
    for registry, names in kinds:
        for value in dict.fromkeys(str(value) for name in names for value in values_of(space, name)):
            if value not in registry and is_reference(value):
                registry.find(value, trust_code=trust_code, relative_to=relative_to)
