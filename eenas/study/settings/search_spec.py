"""The settings of a search: trials, sampler, time limit and objectives."""

from dataclasses import dataclass
from typing import Literal

from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.policies.contexts.robustness import MEASURES
from eenas.policies.costs import KNOWN, LATENCY, MACS

ACCURACY = "accuracy"
"""The objective that is not a cost."""
SamplerName = Literal["tpe", "nsgaii", "nsgaiii", "gp", "random"]


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """The sampler, the objectives and the budget of a search."""

    trials: int = 16
    """Number of trials in total, also when a search is resumed."""
    timeout: float | None = None
    """Limit in seconds from the start of the command. Loading, measuring and preparation count; the next command
    resumes them. A running trial is finished."""
    sampler: SamplerName = "tpe"
    """The sampler of Optuna that proposes designs."""
    objectives: tuple[str, ...] = (ACCURACY, MACS, LATENCY)
    """What is optimised: accuracy, and costs by name."""
    accuracy: Literal["plain", "balanced"] = "plain"
    """"plain": the share of correct predictions; "balanced": the mean of these shares over the classes. It counts in
    scores, front, tables and reports."""
    known_designs: bool = True
    """Whether the first trials are known designs, which need no search."""
    prune: bool = True
    """Whether hopeless trials are stopped early."""

    def __post_init__(self) -> None:
        """Raise SpecError for impossible budgets and objectives."""
        if self.trials < 1:
            raise SpecError(f"trials must be at least 1, got {self.trials}")
        if self.timeout is not None and self.timeout <= 0:
            raise SpecError(f"timeout is in seconds and must be positive, got {self.timeout}")
        if not self.objectives or len(set(self.objectives)) != len(self.objectives):
            raise SpecError(f"objectives must be one or more distinct names, got {shortened(list(self.objectives))}")

    @property
    def costs(self) -> tuple[str, ...]:
        """The costs that are minimised, or MACs if there are none. The first decides which network is cheaper."""
        known = (cost for cost in KNOWN if cost in self.objectives)
        others = (cost for cost in self.objectives if cost not in (ACCURACY, *MEASURES, *KNOWN))
        return (*known, *others) or (MACS,)

    @property
    def robustness(self) -> tuple[str, ...]:
        """The accuracies under distortions that are maximised."""
        return tuple(name for name in self.objectives if name in MEASURES)
