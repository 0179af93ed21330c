"""The limit of a fitted policy: a drop of accuracy, certified or not, a share of the backbone's MACs, or a cost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened
from eenas.percent import percent
from eenas.policies.costs import MACS, cost_of, key_of, name_fault
from eenas.policies.fit import Fitting
from eenas.policies.macs_share import unit_fault
from eenas.policies.operating_point import evaluate
from eenas.policies.policy import Policy
from eenas.policies.risk.control import RiskLimit, controlled
from eenas.policies.risk.guarantee import LOSSES, Guarantee, check_level
from eenas.policies.rule import Rule

_MAX = "max_"


@dataclass(frozen=True, kw_only=True)
class FitLimits:
    """Exactly one limit.

    `max_accuracy_drop` is the loss against the final exit, in [0, 1]; it selects the cheapest policy within it. With
    `confidence`, in (0, 1), the policy keeps it with this probability on new data, too (`controlled`); `loss` is then
    "gap" or "consistency".
    `costs` holds one limit by the name of its cost, for MACs as a share of the plain backbone's; it selects the most
    accurate policy whose mean cost is within the limit. Raises PolicyError for no limit, several, and invalid values.
    """

    max_accuracy_drop: float | None = None
    costs: Mapping[str, float] = field(default_factory=dict)
    confidence: float | None = None
    loss: str = "gap"

    def __post_init__(self) -> None:
        """Check the number of limits and their values."""
        given = self._given
        if self.confidence is not None and self.max_accuracy_drop is None:
            raise PolicyError("confidence needs max_accuracy_drop, the loss to certify, such as 0.01")
        flags = "max_accuracy_drop, max_macs, max_latency_ms and max_NAME of another cost"
        if len(given) != 1:
            raise PolicyError(f"give exactly one limit of {flags}, got {', '.join(given) or 'none'}")
        for name, value in given.items():
            if not value >= 0:
                raise PolicyError(f"{name} must be a number of at least 0, got {value}")
        if self.max_accuracy_drop is not None and self.max_accuracy_drop > 1:
            raise PolicyError(
                f"max_accuracy_drop must be in [0, 1], got {self.max_accuracy_drop}; 0.005 is half a point"
            )
        if self.confidence is not None:
            check_level("confidence", self.confidence)
            check_level("max_accuracy_drop with a confidence", self.max_accuracy_drop)
        if self.loss not in LOSSES:
            raise PolicyError(f"unknown loss {shortened(self.loss)}; {nearest(str(self.loss), LOSSES)}")
        if self.loss != "gap" and self.confidence is None:
            raise PolicyError(f"the loss {self.loss} needs a confidence, such as 0.95")
        if MACS in self.costs and (fault := unit_fault("max_macs", self.costs[MACS])):
            raise PolicyError(fault)

    @classmethod
    def of(
        cls,
        max_accuracy_drop: float | None,
        limits: Mapping[str, float | None],
        *,
        confidence: float | None = None,
        loss: str = "gap",
    ) -> "FitLimits":
        """Return limits from names such as "max_macs" and "max_latency_ms". Raises PolicyError for other names."""
        costs = {}
        for name, value in limits.items():
            cost = cost_of(name.removeprefix(_MAX))
            if not name.startswith(_MAX) or name_fault(cost) is not None:
                raise PolicyError(f"a limit is named max_COST, got {shortened(name)}; an example is max_macs")
            if value is not None:
                costs[cost] = value
        return cls(max_accuracy_drop=max_accuracy_drop, costs=costs, confidence=confidence, loss=loss)

    def check_costs(self, known: Iterable[str]) -> None:
        """Raise PolicyError, with the nearest name, if the limit is on a cost that is not `known`."""
        names = [_MAX + key_of(name) for name in known]
        for name in (_MAX + key_of(cost) for cost in self.costs):
            if name not in names:
                raise PolicyError(f"{name} limits a cost that this model does not have; {nearest(name, names)}")

    @property
    def _given(self) -> dict[str, float]:
        """The limits that are set, by name."""
        drop = {} if self.max_accuracy_drop is None else {"max_accuracy_drop": self.max_accuracy_drop}
        return {**drop, **{_MAX + key_of(name): value for name, value in self.costs.items()}}

    def rule(self, rule: Rule) -> Rule:
        """Return the rule to fit. A limit on accuracy needs one threshold for all exits."""
        return replace(rule, per_exit=False) if self.max_accuracy_drop is not None else rule

    def fit(self, fitting: Fitting, backbone_macs: float) -> tuple[Policy, Guarantee | None]:
        """Return a policy within the limit, and its guarantee if a confidence is given.

        Raises PolicyError, with the nearest policy, if there is none, and for too few samples for a guarantee.
        """
        table = fitting.calibration
        if self.confidence is not None and self.max_accuracy_drop is not None:
            wanted = RiskLimit(max_risk=self.max_accuracy_drop, confidence=self.confidence, loss=self.loss)
            found = controlled(table, wanted, fitting.rule)
            return found.policy, found.guarantee
        final = table.exit_accuracy()[-1]
        if self.max_accuracy_drop is not None:
            policy = fitting.policy(min_accuracy=max(0.0, final - self.max_accuracy_drop))
            closest = f"{percent(evaluate(policy, table).accuracy, 2)} against {percent(final, 2)} at the final exit"
        else:
            ((name, limit),) = self.costs.items()
            policy = fitting.policy({name: limit * backbone_macs if name == MACS else limit})
            spent = evaluate(policy, table).expected[name]
            unit = next(each.unit for each in table.costs.facts if each.name == name)
            closest = (
                f"{percent(spent / backbone_macs)} of the backbone's MACs" if name == MACS else f"{spent:.3g} {unit}"
            )
        if not policy.within_budget:
            name, value = next(iter(self._given.items()))
            raise PolicyError(f"no policy keeps {name} {value:g} on the calibration samples; the nearest: {closest}")
        return policy, None
