"""Whether the exits behind a split depend on the logits of those before it."""

from eenas.policies.kinds.context_policy import ContextPolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.policy import Policy


def remembers(policy: Policy | None) -> bool:
    """Whether decisions or answers of a policy depend on earlier exits.

    Threshold policies look at one exit only. All other kinds count as dependent.
    """
    if isinstance(policy, ContextPolicy):
        return any(remembers(each) for each in (policy.policy, *policy.policies))
    return policy is not None and not isinstance(policy, ThresholdPolicy)
