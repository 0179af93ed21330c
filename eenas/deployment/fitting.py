"""Fitting the policy of a trained network on a task, and the network's figures for an export."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from eenas.backbones.copies import copy_of, evaluated
from eenas.backbones.load import Backbone, load_backbone
from eenas.backbones.models.user_models import ATTRIBUTE
from eenas.deployment.fit_limits import FitLimits
from eenas.errors import PolicyError
from eenas.measurement.profile import measure_branch, profile_backbone
from eenas.networks.exit_costs import ExitCosts, exit_costs
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import exit_table
from eenas.policies.costs import MACS, key_of
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import Fitting
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.policies.rule import Rule
from eenas.policies.temperatures import fit_temperatures
from eenas.tasks.load import given_task
from eenas.tasks.task import Task

_CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """The exit tables of a network on a task's calibration and test splits, and the MACs of its plain backbone."""

    task: str
    calibration: ExitTable
    test: ExitTable
    backbone_macs: float

    @classmethod
    def on(cls, network: EarlyExitNetwork, task: Task) -> "Scored":
        """Run a network on both splits. Raises PolicyError if the task has other classes."""
        names = class_names(network)
        if len(task.classes) != network.design.num_classes or (names and names != task.classes):
            own = ", ".join(names[:3]) or "without names"
            there = f"{len(task.classes)} ({', '.join(task.classes[:3])}, ...)"
            raise PolicyError(
                f"the data must have the classes of the network, {network.design.num_classes} ({own}), got {there}"
            )
        costs, total = network_costs(network)
        tables = [exit_table(network, split, costs) for split in (task.calibration, task.test)]
        return cls(task=task.name, calibration=tables[0], test=tables[1], backbone_macs=total)

    def measured(self, network: EarlyExitNetwork) -> dict[str, Any]:
        """Return the manifest's table for a network with a policy. Figures refer to the test split."""
        assert network.policy is not None
        point = replace(evaluate(network.policy, self.test), guarantee=network.guarantee)
        temperatures, accuracies = fit_temperatures(self.calibration), self.test.exit_accuracy()
        labels = [placed.branch.label() for placed in network.design.branches]
        labels += [] if network.design.static else ["backbone's classifier"]
        points = Fitting(self.calibration, network.design.policy).operating_points(self.test, common=True)
        exits = [
            {
                "name": name,
                "structure": labels[k],
                **{key_of(cost): value for cost, value in self.test.costs.of_exit(k).items()},
                "macs_share": float(self.test.costs[MACS][k]) / self.backbone_macs,
                "accuracy": accuracies[k],
                "temperature": float(temperatures[k]),
                "share": point.shares[k],
            }
            for k, name in enumerate(network.exits)
        ]
        return {
            "task": self.task,
            "split": "test",
            "samples": len(self.test),
            **({"balanced": True} if self.test.balanced else {}),
            "backbone": {"name": network.design.backbone, "macs": self.backbone_macs},
            "exits": exits,
            "reported": point.to_table(),
            "points": [each.to_table() for each in points],
            "end_to_end_ms": None,
        }


def fit_thresholds(
    network: EarlyExitNetwork,
    data: str | Task,
    *,
    max_accuracy_drop: float | None = None,
    max_macs: float | None = None,
    confidence: float | None = None,
    loss: str = "gap",
    trust_code: bool = False,
) -> OperatingPoint:
    """Fit the policy of a trained network, its temperatures and thresholds, on the calibration split of `data`.

    `data` is a task or its spec. The network's transform prepares the samples. `max_accuracy_drop` is the loss against
    the final exit, in [0, 1] (0.005 is half a point); it selects the cheapest policy that loses no more. `max_macs` is
    a share of the plain backbone's MACs; it selects the most accurate policy whose mean MACs are within it. Without
    limits, the target of the design applies. `confidence` and `loss` make `max_accuracy_drop` a guarantee, as in
    `calibrate`; the point's `guarantee` states it, and an export keeps it.

    The policy is set on the network, for `predict` and `eenas.export`; the network's mode does not change. Returns the
    policy's operating point on the test split. Raises PolicyError, with the nearest policy, if no policy keeps the
    limit (the old policy then remains), and for data of other classes.
    """
    task = given_task(data, network.transform.inputs, trust_code=trust_code)
    scored = Scored.on(network, task)
    limits = None
    if any(value is not None for value in (max_accuracy_drop, max_macs, confidence)):
        limits = FitLimits.of(max_accuracy_drop, {"max_macs": max_macs}, confidence=confidence, loss=loss)
    return fit_on(network, scored, limits)


def fit_on(network: EarlyExitNetwork, scored: Scored, limits: FitLimits | None = None) -> OperatingPoint:
    """Fit the policy on existing exit tables. Without limits, the target of the design applies."""
    choice = Rule.of(network.design.policy)
    fitting, guarantee = Fitting(scored.calibration, choice if limits is None else limits.rule(choice)), None
    if limits is None:  # the nearest policy if none is within the target, as in full training
        policy = fitting.policy({MACS: network.design.policy.target_macs * scored.backbone_macs})
    else:
        policy, guarantee = limits.fit(fitting, scored.backbone_macs)
    network.policy = policy
    network.certify(guarantee)
    return replace(evaluate(policy, scored.test), guarantee=guarantee)


def class_names(network: EarlyExitNetwork) -> tuple[str, ...]:
    """Return the names of a network's classes, or () if they are numbered, as for a design from a file."""
    numbered = tuple(str(index) for index in range(network.design.num_classes))
    return () if network.classes == numbered else network.classes


def network_costs(network: EarlyExitNetwork) -> tuple[ExitCosts, float]:
    """Return the MACs of leaving at each exit of a network, and those of its plain backbone. Measures no latency."""
    alone = evaluated(network, device="cpu")
    backbone, design = backbone_of(alone), network.design
    profile = profile_backbone(backbone, alone.chain(backbone.example()), device=_CPU, latency=None)
    shapes = {point.name: point.shape for point in profile.cut_points}
    branches = [
        measure_branch(each.branch, shapes[each.cut_point], design.num_classes, device=_CPU, latency=None)
        for each in design.branches
    ]
    return exit_costs(design, profile, branches), float(profile.total_macs)


def backbone_of(network: EarlyExitNetwork) -> Backbone:
    """Return the backbone of a network, with a copy of its module on the CPU."""
    transform, module = network.transform, copy_of(network.backbone, device="cpu")
    if not isinstance(getattr(type(module), ATTRIBUTE, None), property):
        setattr(module, ATTRIBUTE, transform)  # its shape, and samples that have no default transform
    found = load_backbone(module, num_classes=network.design.num_classes, inputs=transform.inputs)
    return replace(found, name=network.design.backbone, transform=transform)
