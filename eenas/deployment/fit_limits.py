"""The limit of a fitted policy: a drop of accuracy, a share of the backbone's MACs, or another cost."""

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
from eenas.policies.rule import Rule

_MAX = "max_"


@dataclass(frozen=True, kw_only=True)
class FitLimits:
    """Exactly one limit.

    `max_accuracy_drop` is the loss against the final exit, in [0, 1]; it selects the cheapest policy within it.
    `costs` holds one limit by the name of its cost, for MACs as a share of the plain backbone's; it selects the most
    accurate policy whose mean cost is within the limit. Raises PolicyError for no limit, several, and invalid values.
    """

    max_accuracy_drop: float | None = None
    costs: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the number of limits and their values."""
        given = self._given
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
        if MACS in self.costs and (fault := unit_fault("max_macs", self.costs[MACS])):
            raise PolicyError(fault)

    @classmethod
    def of(cls, max_accuracy_drop: float | None, limits: Mapping[str, float | None]) -> "FitLimits":
        """Return limits from names such as "max_macs" and "max_latency_ms". Raises PolicyError for other names."""
        costs = {}
        for name, value in limits.items():
            cost = cost_of(name.removeprefix(_MAX))
            if not name.startswith(_MAX) or name_fault(cost) is not None:
                raise PolicyError(f"a limit is named max_COST, got {shortened(name)}; an example is max_macs")
            if value is not None:
                costs[cost] = value
        return cls(max_accuracy_drop=max_accuracy_drop, costs=costs)

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

    def fit(self, fitting: Fitting, backbone_macs: float) -> Policy:
        """Return a policy within the limit. Raises PolicyError, with the nearest one, if there is none."""
        table = fitting.calibration
        final = table.exit_accuracy()[-1]
        if self.max_accuracy_drop is not None:
            policy = fitting.policy(min_accuracy=max(0.0, final - self.max_accuracy_drop))
            nearest = f"{percent(evaluate(policy, table).accuracy, 2)} against {percent(final, 2)} at the final exit"
        else:
            ((name, limit),) = self.costs.items()
            policy = fitting.policy({name: limit * backbone_macs if name == MACS else limit})
            spent = evaluate(policy, table).expected[name]
            unit = next(each.unit for each in table.costs.facts if each.name == name)
            nearest = (
                f"{percent(spent / backbone_macs)} of the backbone's MACs" if name == MACS else f"{spent:.3g} {unit}"
            )
        if not policy.within_budget:
            name, value = next(iter(self._given.items()))
            raise PolicyError(f"no policy keeps {name} {value:g} on the calibration samples; the nearest: {nearest}")
        return policy
