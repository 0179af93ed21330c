"""Experts of a trained network: trained, calibrated, and compared with the network without them."""

from dataclasses import dataclass

import torch

from eenas.frozen.experts.expert_building import ExpertSpec, build_experts
from eenas.frozen.experts.expert_calibration import fit_experts, mixed_batches
from eenas.frozen.experts.expert_figures import ExpertFigures
from eenas.frozen.experts.expert_worth import Contest, worth_of_experts
from eenas.frozen.experts.kept_experts import KeptExperts
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.experts.expert_network import ExpertNetwork, own_state
from eenas.networks.experts.expert_tables import costs_with_classifier, routed_table
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.prediction import in_eval
from eenas.networks.tables import exit_table
from eenas.policies.costs import MACS
from eenas.policies.fit import Fitting
from eenas.policies.operating_point import evaluate
from eenas.policies.rule import Rule
from eenas.policies.temperatures import fit_temperatures
from eenas.progress import Listener, silent
from eenas.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class MacsBudget:
    """The costs of a network without experts, the MACs of its plain backbone, and the `share` of them to spend."""

    costs: ExitCosts
    backbone_macs: float
    share: float

    @property
    def within(self) -> dict[str, float]:
        """The limit on the mean MACs of a sample."""
        return {MACS: self.share * self.backbone_macs}


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedExperts:
    """A network with experts and its policy, the figures of both, and the temperatures [experts][K] of confidences."""

    network: ExpertNetwork
    figures: ExpertFigures
    temperatures: tuple[tuple[float, ...], ...]


def train_experts(
    base: EarlyExitNetwork,
    task: Task,
    spec: ExpertSpec,
    budget: MacsBudget,
    *,
    kept: KeptExperts | None = None,
    seed: int = 0,
    listener: Listener = silent,
) -> TrainedExperts:
    """Train the experts of a trained network, fit their policy, and compare both networks on the test split.

    Experts learn from the train split of `task`, policies are fitted on its calibration split; all splits are those of
    clean images and are distorted here. Each expert and the network without experts get the most accurate policy
    within the budget. `base` is not changed. `kept` is that of `build_experts`. Raises the same errors as
    `build_experts` and `fit_experts`.
    """
    network = build_experts(base, task, spec, kept=kept, seed=seed, listener=listener)
    costs, rule = costs_with_classifier(budget.costs, network.classifier.macs), Rule.of(base.design.policy)
    fitting = fit_experts(network, task.calibration, costs, severities=spec.severities, rule=rule, seed=seed)
    network.policy = fitting.policy(budget.within)
    contest = Contest(
        network=network,
        policy=network.policy,
        costs=costs,
        plain=base,
        plain_policy=Fitting(exit_table(base, task.calibration, budget.costs), rule).policy(budget.within),
        plain_costs=budget.costs,
    )
    with in_eval(tuple(base.modules())):
        contexts = tuple(worth_of_experts(contest, task.test, spec.severities, seed=seed))
    pictures = mixed_batches(task.test, network.transform.inputs, spec.kinds, spec.severities, seed=seed)
    test = routed_table(network, pictures, costs, balanced=task.test.balanced)
    figures = ExpertFigures(
        names=network.names,
        samples=len(test),
        balanced=test.balanced,
        classifier_macs=network.classifier.macs,
        backbone_macs=budget.backbone_macs,
        macs=tuple(test.costs[MACS].tolist()),
        accuracy=tuple(test.exit_accuracy()),
        reported=evaluate(network.policy, test),
        points=fitting.operating_points(test),
        contexts=contexts,
        weights=sum(each.numel() for each in base.state_dict().values() if torch.is_tensor(each)),
        expert_weights=sum(each.numel() for each in own_state(network).values() if torch.is_tensor(each)),
    )
    temperatures = tuple(tuple(fit_temperatures(each.calibration).tolist()) for each in fitting.fittings)
    return TrainedExperts(network=network, figures=figures, temperatures=temperatures)
