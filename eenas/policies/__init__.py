"""Policies: exit tables, scores, thresholds and operating points; NumPy only."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.policies.contexts.context_fit import fit_by_context
    from eenas.policies.costs import CostFacts, Costs
    from eenas.policies.exit_table import ExitTable
    from eenas.policies.fit import Fitting, operating_points
    from eenas.policies.kinds.confidence import ConfidencePolicy
    from eenas.policies.kinds.context_policy import ContextPolicy
    from eenas.policies.kinds.geometric import GeometricPolicy
    from eenas.policies.kinds.most_confident import MostConfidentPolicy
    from eenas.policies.kinds.patience import PatiencePolicy
    from eenas.policies.kinds.patience_confidence import PatienceConfidencePolicy
    from eenas.policies.kinds.registry import policy_from_table
    from eenas.policies.kinds.signal_policy import SignalPolicy
    from eenas.policies.kinds.threshold import ThresholdPolicy
    from eenas.policies.kinds.vote import VotePolicy
    from eenas.policies.learned.comparison import PolicyComparison, compare_learned
    from eenas.policies.learned.learned_policy import LearnedPolicy
    from eenas.policies.operating_point import OperatingPoint, evaluate
    from eenas.policies.policy import Decisions, Policy
    from eenas.policies.risk.control import Controlled, RiskLimit, controlled
    from eenas.policies.risk.guarantee import Guarantee
    from eenas.policies.rule import Rule

_HOMES = {
    "ConfidencePolicy": "kinds.confidence",
    "ContextPolicy": "kinds.context_policy",
    "Controlled": "risk.control",
    "CostFacts": "costs",
    "Costs": "costs",
    "Decisions": "policy",
    "ExitTable": "exit_table",
    "Fitting": "fit",
    "GeometricPolicy": "kinds.geometric",
    "Guarantee": "risk.guarantee",
    "LearnedPolicy": "learned.learned_policy",
    "MostConfidentPolicy": "kinds.most_confident",
    "OperatingPoint": "operating_point",
    "PatienceConfidencePolicy": "kinds.patience_confidence",
    "PatiencePolicy": "kinds.patience",
    "Policy": "policy",
    "RiskLimit": "risk.control",
    "PolicyComparison": "learned.comparison",
    "Rule": "rule",
    "SignalPolicy": "kinds.signal_policy",
    "ThresholdPolicy": "kinds.threshold",
    "VotePolicy": "kinds.vote",
    "controlled": "risk.control",
    "compare_learned": "learned.comparison",
    "evaluate": "operating_point",
    "fit_by_context": "contexts.context_fit",
    "operating_points": "fit",
    "policy_from_table": "kinds.registry",
}
__all__ = [
    "ConfidencePolicy",
    "ContextPolicy",
    "Controlled",
    "CostFacts",
    "Costs",
    "Decisions",
    "ExitTable",
    "Fitting",
    "GeometricPolicy",
    "Guarantee",
    "LearnedPolicy",
    "MostConfidentPolicy",
    "OperatingPoint",
    "PatienceConfidencePolicy",
    "PatiencePolicy",
    "Policy",
    "PolicyComparison",
    "RiskLimit",
    "Rule",
    "SignalPolicy",
    "ThresholdPolicy",
    "VotePolicy",
    "compare_learned",
    "controlled",
    "evaluate",
    "fit_by_context",
    "operating_points",
    "policy_from_table",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
