"""What a fitted policy has to keep: a drop of accuracy, a share of the backbone's MACs, or milliseconds."""

from dataclasses import dataclass, replace

from eenas.errors import PolicyError
from eenas.percent import percent
from eenas.policies.fit import Fitting
from eenas.policies.macs_share import unit_fault
from eenas.policies.operating_point import evaluate
from eenas.policies.policy import Policy
from eenas.policies.rule import Rule


@dataclass(frozen=True, kw_only=True)
class FitLimits:
    """Exactly one of them.

    `max_accuracy_drop` against the final exit, in [0, 1]: the cheapest policy that loses no more. `max_macs` as a share
    of the plain backbone's, `max_latency_ms` of a sample: the most accurate policy that spends no more in the mean.
    Raises PolicyError for none, several and what is no limit.
    """

    max_accuracy_drop: float | None = None
    max_macs: float | None = None
    max_latency_ms: float | None = None

    def __post_init__(self) -> None:
        """Refuse none, several and what is no limit."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        flags = "max_accuracy_drop, max_macs and max_latency_ms"
        if len(given) != 1:
            raise PolicyError(f"a policy is fitted for one of {flags}, got {', '.join(given) or 'none'}")
        for name, value in given.items():
            if not value >= 0:
                raise PolicyError(f"{name} must be a number from 0 up, got {value}")
        if self.max_accuracy_drop is not None and self.max_accuracy_drop > 1:
            raise PolicyError(
                f"max_accuracy_drop must be in [0, 1], got {self.max_accuracy_drop}; 0.005 is half a point"
            )
        if self.max_macs is not None and (fault := unit_fault("max_macs", self.max_macs)):
            raise PolicyError(fault)

    def rule(self, rule: Rule) -> Rule:
        """The rule that can be fitted for it: for a limit on accuracy one threshold for all exits."""
        return replace(rule, per_exit=False) if self.max_accuracy_drop is not None else rule

    def fit(self, fitting: Fitting, backbone_macs: float) -> Policy:
        """The policy that keeps the limit. Raises PolicyError when there is none, with the nearest one."""
        table = fitting.calibration
        final = table.exit_accuracy()[-1]
        if self.max_accuracy_drop is not None:
            policy = fitting.policy(min_accuracy=max(0.0, final - self.max_accuracy_drop))
            nearest = f"{percent(evaluate(policy, table).accuracy, 2)} against {percent(final, 2)} at the final exit"
        elif self.max_macs is not None:
            policy = fitting.policy(max_macs=self.max_macs * backbone_macs)
            nearest = f"{percent(evaluate(policy, table).expected_macs / backbone_macs)} of the backbone's MACs"
        else:
            policy = fitting.policy(max_latency_ms=self.max_latency_ms)
            nearest = f"{evaluate(policy, table).expected_latency_ms:.3g} ms"
        if not policy.within_budget:
            name, value = next((name, value) for name, value in vars(self).items() if value is not None)
            raise PolicyError(f"no policy keeps {name} {value:g} on the calibration samples; the nearest: {nearest}")
        return policy
