"""How a study searches: trials, sampler, time limit and objectives."""

from dataclasses import dataclass
from typing import Literal

from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.policies.costs import KNOWN, LATENCY, MACS

ACCURACY = "accuracy"
"""The objective that is no cost."""
SamplerName = Literal["tpe", "nsgaii", "nsgaiii", "gp", "random"]


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """How the study proposes and for how long: `trials` is a total (also on resume).

    `timeout` is in seconds from the start of the command and counts all that a search does, loading, measuring and
    preparation included, which stop there and are resumed by the next command; a trial that runs is finished.
    `accuracy` is the share of right answers, or with "balanced" the mean of these shares over the classes: what trials
    are scored by, and what front, tables and reports hold.
    """

    trials: int = 16
    timeout: float | None = None
    sampler: SamplerName = "tpe"
    objectives: tuple[str, ...] = (ACCURACY, MACS, LATENCY)
    accuracy: Literal["plain", "balanced"] = "plain"
    known_designs: bool = True
    prune: bool = True

    def __post_init__(self) -> None:
        """Refuse budgets and objectives that no study can have."""
        if self.trials < 1:
            raise SpecError(f"trials must be at least 1, got {self.trials}")
        if self.timeout is not None and self.timeout <= 0:
            raise SpecError(f"timeout is in seconds and must be positive, got {self.timeout}")
        if not self.objectives or len(set(self.objectives)) != len(self.objectives):
            raise SpecError(f"objectives must be one or more different names, got {shortened(list(self.objectives))}")

    @property
    def costs(self) -> tuple[str, ...]:
        """The costs that are minimised, or MACs; the first tells which of two networks is cheaper."""
        known = (cost for cost in KNOWN if cost in self.objectives)
        others = (cost for cost in self.objectives if cost != ACCURACY and cost not in KNOWN)
        return (*known, *others) or (MACS,)
