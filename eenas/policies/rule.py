"""What kind of policy is to be fitted, as plain values."""

from dataclasses import dataclass
from typing import Protocol

from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.patience_confidence import PatienceConfidencePolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.kinds.vote import VotePolicy
from eenas.policies.values import check_choice, check_truth

FITTED = (ThresholdPolicy.kind, PatiencePolicy.kind, PatienceConfidencePolicy.kind, VotePolicy.kind)
"""The kinds that are fitted."""

ENSEMBLES, FINAL_RULES = ("none", "geometric"), ("last", "most_confident")


class PolicyValues(Protocol):
    """Anything that says which policy to fit, such as the policy values of a design: see `Rule`."""

    @property
    def kind(self) -> str:
        """One of FITTED."""

    @property
    def score(self) -> str:
        """The confidence that is compared."""

    @property
    def per_exit(self) -> bool:
        """Whether each exit gets a threshold of its own."""

    @property
    def ensemble(self) -> str:
        """One of ENSEMBLES."""

    @property
    def final_rule(self) -> str:
        """One of FINAL_RULES."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Values that say which policy to fit, by default one common threshold on the largest probability.

    `per_exit` acts on the kind "threshold" alone; `score` where a confidence is compared. Raises PolicyError for an
    unknown value.
    """

    kind: str = ThresholdPolicy.kind
    score: str = "max_softmax"
    per_exit: bool = False
    ensemble: str = "none"
    final_rule: str = "last"

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted."""
        pairs = (("kind", FITTED), ("ensemble", ENSEMBLES), ("final_rule", FINAL_RULES))
        for name, known in pairs:
            value = getattr(self, name)
            if value not in known:
                raise PolicyError(f"{name} of a policy: unknown value {shortened(value)}; {nearest(str(value), known)}")
        check_choice(self.score)
        check_truth("per_exit", self.per_exit)

    @classmethod
    def of(cls, choice: PolicyValues) -> "Rule":
        """The rule with the values of another choice; thresholds for each exit only where there are thresholds."""
        return cls(
            kind=choice.kind,
            score=choice.score,
            per_exit=choice.per_exit and choice.kind == ThresholdPolicy.kind,
            ensemble=choice.ensemble,
            final_rule=choice.final_rule,
        )
