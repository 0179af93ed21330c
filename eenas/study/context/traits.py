"""Facts on the training and the policy of a network, and their description in the words of a search space."""

from dataclasses import dataclass

from eenas.branches.cascade import Cascade
from eenas.designs.design import Design, PolicyChoice
from eenas.designs.training_choice import TrainingChoice
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Traits:
    """The values of a search space behind a network, and its fitted policy.

    `strategy` is the name of the hybrid if it is one. `boosted` tells that the logits of the exits are summed. An
    `ensemble` that did not win on held-out samples is not in the policy and not listed here.
    """

    strategy: str = TrainingChoice().strategy
    boosted: bool = False
    cascade: bool = False
    policy: str = PolicyChoice().kind
    ensemble: str = PolicyChoice().ensemble
    final_rule: str = PolicyChoice().final_rule

    @classmethod
    def of(cls, design: Design, policy: Policy) -> "Traits":
        """Return the traits of one operating point."""
        if not design.branches:
            return cls()
        ensemble, final_rule = PolicyChoice().ensemble, PolicyChoice().final_rule
        while isinstance(policy, GeometricPolicy | MostConfidentPolicy):
            if isinstance(policy, GeometricPolicy):
                ensemble = "geometric"
            else:
                final_rule = "most_confident"
            policy = policy.policy
        return cls(
            strategy=design.training.method,
            boosted=design.training.loss_weights == "boosted",
            cascade=any(isinstance(placed.branch, Cascade) for placed in design.branches),
            policy=policy.kind,
            ensemble=ensemble,
            final_rule=final_rule,
        )

    def words(self) -> str:
        """Return the traits that are not the default, such as "strategy two_stage, cascade, policy patience"."""
        plain = Traits()
        texts = {
            f"strategy {self.strategy}": self.strategy != plain.strategy,
            "boosted": self.boosted,
            "cascade": self.cascade,
            f"policy {self.policy}": self.policy != plain.policy,
            f"{self.ensemble} ensemble": self.ensemble != plain.ensemble,
            f"{self.final_rule.replace('_', ' ')} exit answers last": self.final_rule != plain.final_rule,
        }
        return ", ".join(text for text, differs in texts.items() if differs)
