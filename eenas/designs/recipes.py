"""Training recipes for a budget: between a low and a high one, as far as the search space allows."""

import math
from dataclasses import replace
from typing import Any

from eenas.designs.domains import Domain
from eenas.designs.known import default_choices
from eenas.designs.space import Space
from eenas.designs.training_choice import TrainingChoice, without_contradiction

LOW, HIGH = 0.25, 0.75
"""The shares of the backbone's MACs at which the low and the high recipe apply fully."""
ENDS: dict[str, tuple[Any, Any]] = {
    "backbone_rate": (1.0, 0.3),
    "final_weight": (1.0, 4.0),
    "loss_weights": ("branchy", "equal"),
}
"""The values that differ between the two recipes, each as (low, high); `tests/benchmarks/recipes.py` measures both.

A low budget depends on early exits, for which the backbone's early layers learn at the full rate. A high budget depends
on the final exit, which is protected by its weight and a lower rate of the backbone. On ResNet-20 and CIFAR-10 the two
are within noise of each other at a quarter of the MACs after two passes, and each wins at its own end after twelve
(`docs/recipes.csv`): brief trials need not rank them as full training does.
"""


def recipe_for(space: Space, target_macs: float) -> TrainingChoice:
    """Return the training of a first trial for an expected cost of `target_macs`, a share of the backbone's MACs.

    Values that the space fixes are kept. Numbers change on a log scale between the ends, names halfway. This is the
    starting point of a search: the study measures whether the recipe suits the budget, as for all drawn values.
    """
    base, _ = default_choices(space)
    share = min(1.0, max(0.0, (target_macs - LOW) / (HIGH - LOW)))
    moved: dict[str, Any] = {}
    for key, (low, high) in ENDS.items():
        setting = space.setting(f"training.{key}")
        if isinstance(setting, Domain):
            moved[key] = setting.nearest(_between(low, high, share))
    values, _ = without_contradiction({**vars(base), **moved})
    return replace(base, **values)


def _between(low: Any, high: Any, share: float) -> Any:
    if isinstance(low, str):
        return low if share < 0.5 else high
    return math.exp((1 - share) * math.log(low) + share * math.log(high))
