"""How a network should be trained for a budget, as far as a search space lets it: between a low end and a high one."""

import math
from dataclasses import replace
from typing import Any

from eenas.designs.domains import Domain
from eenas.designs.known import first_choices
from eenas.designs.space import Space
from eenas.designs.training_choice import TrainingChoice, without_contradiction

LOW, HIGH = 0.25, 0.75
"""The shares of the backbone's MACs at which each end's recipe is taken whole."""
ENDS: dict[str, tuple[Any, Any]] = {
    "backbone_rate": (1.0, 0.3),
    "final_weight": (1.0, 4.0),
    "loss_weights": ("branchy", "equal"),
}
"""What moves between the two ends, each as (low, high); `tests/benchmarks/recipes.py` measures both.

A low budget is decided by early exits, for which the backbone's early layers learn at the full rate; a high one by the
final exit, which its weight and a lower rate of the backbone keep. On ResNet-20 and CIFAR-10 both are within noise of
each other at a quarter of the MACs after two passes (`docs/recipes.csv`): brief trials need not rank them as full
training does.
"""


def recipe_for(space: Space, target_macs: float) -> TrainingChoice:
    """The training of a first trial for an expected cost of `target_macs`, a share of the backbone's MACs.

    What the space fixes stays; numbers move on a log scale between the ends, names change halfway. It is where a search
    starts, not where it ends: whether the recipe suits the budget is measured like everything else that is drawn.
    """
    base, _ = first_choices(space)
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
