"""The exit tables of a trained network, with experts if its design has them, trained briefly on the frozen network."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from eenas.designs.design import Design
from eenas.designs.training_choice import NO_EXPERTS
from eenas.frozen.experts.expert_building import build_experts
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.experts.expert_network import own_state
from eenas.networks.experts.expert_tables import costs_with_classifier, routed_table, split_batches
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import exit_tables, with_distorted
from eenas.policies.exit_table import ExitTable
from eenas.seeding import derive
from eenas.study.context.recognition import pristine_task, recognition_of
from eenas.study.context.study_context import StudyContext
from eenas.study.settings.expert_settings import ExpertSettings


@dataclass(frozen=True)
class TrialTables:
    """The exit tables of a network by split, its costs, and the training samples of its experts.

    With experts, the costs contain the classifier.
    """

    tables: Mapping[str, ExitTable]
    costs: ExitCosts
    samples: int = 0


def has_experts(design: Design) -> bool:
    """Whether the network of a design has experts for distorted images."""
    return design.canonical().training.experts != NO_EXPERTS


def trial_tables(network: EarlyExitNetwork, context: StudyContext, costs: ExitCosts) -> TrialTables:
    """Return the tables that a trained network is scored on. If its design has experts, they are trained now.

    `costs` are those of the network without experts. Raises the errors of `build_experts`.
    """
    if not has_experts(network.design):
        return TrialTables(exit_tables(network, context.task, costs), costs)
    settings = context.settings.experts or ExpertSettings()
    drawn = network.design.training.experts
    assert drawn != NO_EXPERTS
    spec, task = settings.brief(drawn).spec(context.settings.task.distortions), pristine_task(context)
    shared = recognition_of(context, spec)
    seed = derive(context.settings.seed, "trial experts")
    found = build_experts(network.eval(), task, spec, classifier=shared.classifier, seed=seed)
    whole = costs_with_classifier(costs, shared.classifier.macs, shared.latency_ms)
    names = {name for name, _ in found.named_parameters()}
    added = sum(value.numel() for name, value in own_state(found).items() if name in names)
    splits = {name: context.task.split(name) for name in with_distorted(context.task)}
    tables = {
        name: routed_table(found, split_batches(split, found.transform.inputs), whole, balanced=split.balanced)
        for name, split in splits.items()
    }
    whole = replace(whole, parameters=costs.parameters + added)
    return TrialTables(tables, whole, len(spec.kinds) * spec.training.samples)
