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

    `kind` is one of FITTED, or the user's own as `./file.py:Class`; `score` the confidence that is compared where one
    is; `per_exit` gives each exit a threshold of its own (kind "threshold" only); `ensemble` lets the exits seen so far
    decide together; `final_rule` says which exit answers for samples that none let go. Raises PolicyError for an
    unknown value.
    """

    kind: str = ThresholdPolicy.kind
    score: str = "max_softmax"
    per_exit: bool = False
    ensemble: str = "none"
    final_rule: str = "last"

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted."""
        pairs = (("kind", FITTED), ("score", SCORES), ("ensemble", ENSEMBLES), ("final_rule", FINAL_RULES))
        for name, known in pairs:
            value = getattr(self, name)
            if value not in known and not (name == "kind" and isinstance(value, str) and is_reference(value)):
                raise PolicyError(f"policy.{name}: unknown value {shortened(value)}; {nearest(str(value), known)}")
        check_truth("policy.per_exit", self.per_exit)

    @classmethod
    def of(cls, choice: "Rule") -> "Rule":
        """The rule in another value, such as a design's choice; thresholds for each exit only where there are some."""
        return Rule(
            kind=choice.kind,
            score=choice.score,
            per_exit=choice.per_exit and choice.kind == ThresholdPolicy.kind,
            ensemble=choice.ensemble,
            final_rule=choice.final_rule,
        )


def may_compare(kind: str) -> bool:
    """Whether a kind compares a confidence; the user's own may, whose code need not be loaded yet."""
    return FITTED[kind].compares if kind in FITTED else True
