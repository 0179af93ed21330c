"""The rule of a policy: plain values that say which kind to fit, and how."""

from dataclasses import dataclass

from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened
from eenas.plugins import is_reference
from eenas.policies.kinds.registry import FITTED
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.scores import SCORES
from eenas.policies.values import check_truth

ENSEMBLES, FINAL_RULES = ("none", "geometric"), ("last", "most_confident")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The values that a policy is fitted from. The default is one common threshold on the largest probability.

    `kind` is one of FITTED, or a custom kind as `./file.py:Class`. `score` is the confidence, for kinds that compare
    one. `per_exit` gives each exit its own threshold (kind "threshold" only). `ensemble` combines each exit with the
    earlier ones. `final_rule` chooses the exit that answers for samples at the final exit. Raises PolicyError for an
    unknown value.
    """

    kind: str = ThresholdPolicy.kind
    score: str = "max_softmax"
    per_exit: bool = False
    ensemble: str = "none"
    final_rule: str = "last"

    def __post_init__(self) -> None:
        """Check the values."""
        pairs = (("kind", FITTED), ("score", SCORES), ("ensemble", ENSEMBLES), ("final_rule", FINAL_RULES))
        for name, known in pairs:
            value = getattr(self, name)
            if value not in known and not (name == "kind" and isinstance(value, str) and is_reference(value)):
                raise PolicyError(f"policy.{name}: unknown value {shortened(value)}; {nearest(str(value), known)}")
        check_truth("policy.per_exit", self.per_exit)

    @classmethod
    def of(cls, choice: "Rule") -> "Rule":
        """Return the rule with the values of `choice`. `per_exit` is kept for the kind "threshold" only."""
        return Rule(
            kind=choice.kind,
            score=choice.score,
            per_exit=choice.per_exit and choice.kind == ThresholdPolicy.kind,
            ensemble=choice.ensemble,
            final_rule=choice.final_rule,
        )


def may_compare(kind: str) -> bool:
    """Whether a kind may compare a confidence. True for custom kinds, whose code may not be loaded yet."""
    return FITTED[kind].compares if kind in FITTED else True
