"""The policy of the explorer: the network's own kind of policy with one adjustable limit, and its description."""

from dataclasses import dataclass, replace

import numpy as np

from eenas.policies.curve import common_policy
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.patience import PatiencePolicy, patience_at
from eenas.policies.kinds.patience_confidence import PatienceConfidencePolicy
from eenas.policies.kinds.signal_policy import SignalPolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.kinds.vote import VotePolicy
from eenas.policies.learned.learned_kinds import LEARNED
from eenas.policies.learned.learned_policy import LearnedPolicy
from eenas.policies.learned.selection import with_limit
from eenas.policies.policy import Policy
from eenas.reporting.facts.picked import Picked

SCORE_WORDS = {"max_softmax": "the largest probability", "entropy": "the entropy", "margin": "the margin"}
NAMES = {
    ThresholdPolicy.kind: "threshold",
    PatiencePolicy.kind: "patience",
    PatienceConfidencePolicy.kind: "confidence",
    VotePolicy.kind: "share of votes",
    **dict.fromkeys(LEARNED, "probability to stop"),
}
"""The name of the slider's limit, by kind of policy."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Explored:
    """A policy with an adjustable limit, and its exit table as transformed by an ensemble or a final rule.

    `is_own` tells whether the network's own policy is this one with some limit, equal at every exit. `limit` describes
    the adjusted limit, and `own` the network's own policy.
    """

    policy: SignalPolicy
    table: ExitTable
    is_own: bool
    name: str
    limit: str
    own: str

    def label(self, limit: float) -> str:
        """Describe the policy with a limit; with infinity no sample leaves early."""
        policy = self.policy
        if np.isinf(limit):
            return "nobody leaves early"
        if isinstance(policy, PatiencePolicy):
            return replace(policy, patience=patience_at(limit, policy.exits)).label()
        if isinstance(policy, PatienceConfidencePolicy):
            return replace(policy, threshold=limit).label()
        if isinstance(policy, VotePolicy):
            return replace(policy, ratio=limit).label()
        if isinstance(policy, LearnedPolicy):
            return with_limit(policy, limit).label()
        return f"threshold {limit:.4f}"


def explored(picked: Picked, samples: ExitTable) -> Explored:
    """Return the explored policy for `samples`, rows of `picked.validation`.

    A policy without an adjustable limit is replaced by a threshold on the largest probability.
    """
    policy: Policy = picked.item.point.policy
    own, table = policy.label(), samples
    around: list[str] = []
    while isinstance(policy, GeometricPolicy | MostConfidentPolicy):
        is_ensemble = isinstance(policy, GeometricPolicy)
        around.append("exits decide together" if is_ensemble else "at the end the most confident exit answers")
        table, policy = policy.view(table), policy.policy
    if not isinstance(policy, SignalPolicy) or policy.kind not in NAMES:
        policy = common_policy(np.inf, picked.temperatures, "max_softmax")
        table, around, is_own = samples, [], False
    else:
        is_own = len(set(policy.limits().tolist())) <= 1
        if is_own and isinstance(policy, ThresholdPolicy) and len(policy.thresholds) > 1:
            own = own.replace(policy.label(), f"{policy.label().split(', ')[0]} at every exit")
    return Explored(
        policy=policy,
        table=table,
        is_own=is_own,
        name=NAMES[policy.kind],
        limit=", ".join((_limit(policy), *around)),
        own=own,
    )


def _limit(policy: SignalPolicy) -> str:
    if isinstance(policy, PatiencePolicy):
        return "the number of exits in a row that must agree"
    if isinstance(policy, PatienceConfidencePolicy):
        return f"the confidence of {policy.patience} {'exit' if policy.patience == 1 else 'exits in a row'}"
    if isinstance(policy, VotePolicy):
        return f"the share of the votes that must agree, of at least {policy.least}"
    if isinstance(policy, LearnedPolicy):
        return f"the probability to stop of the gates of {policy.kind}, the same for all exits"
    assert isinstance(policy, ThresholdPolicy)
    return f"one threshold for all exits on {SCORE_WORDS[policy.score]}"
