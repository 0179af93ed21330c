"""The experts of a run: trained after its network, kept beside its weights, and built again from there."""

from dataclasses import replace
from pathlib import Path

from eenas.designs.design import Design
from eenas.errors import ExportError, WeightsError
from eenas.files import write_atomically
from eenas.frozen.experts.expert_building import ExpertSpec
from eenas.frozen.experts.kept_experts import KeptExperts
from eenas.frozen.experts.trained_experts import MacsBudget, TrainedExperts, train_experts
from eenas.networks.checkpoint import load_part, write_state
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.experts.expert_network import ExpertNetwork, own_state
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.costs import MACS, Costs
from eenas.programs.experts.expert_facts import ExpertFacts
from eenas.programs.manifest import checksum
from eenas.programs.model_folder import EXPERTS
from eenas.runs.expert_report import ExpertReport
from eenas.runs.run_report import WEIGHTS, RunReport
from eenas.seeding import derive
from eenas.specs import digest
from eenas.study.context.recognition import check_expert_spec, pristine_task
from eenas.study.context.study_context import StudyContext
from eenas.study.settings.expert_settings import experts_for
from eenas.study.settings.study_spec import StudySpec


def experts_of(settings: StudySpec, design: Design) -> ExpertSpec | None:
    """Return the experts that full training adds to the network of a design, or None."""
    found = experts_for(settings.experts, settings.space, design)
    return None if found is None else found.spec(settings.task.distortions)


def holds_experts(report: RunReport, wanted: ExpertSpec | None) -> bool:
    """Whether the report of a finished run has these experts, or none are asked for."""
    return wanted is None or (report.experts is not None and report.experts.spec == wanted)


def check_experts(context: StudyContext, design: Design) -> None:
    """Raise an EenasError, before any training, if the experts that the study asks for cannot be trained."""
    spec = experts_of(context.settings, design)
    if spec is not None:
        check_expert_spec(spec, context)


def add_run_experts(report: RunReport, network: EarlyExitNetwork, context: StudyContext) -> RunReport:
    """Train the experts that the study asks for, keep their weights in the folder of the run, and report their worth.

    Every expert keeps the design's target of MACs, and the limit of the choice on them. The other limits are those of
    the network without experts. Return the report as it is if the study asks for none.
    """
    spec = experts_of(context.settings, report.design)
    if spec is None:
        return report
    costs = context.costs(report.design)
    target = report.design.policy.target_macs
    budget = MacsBudget(
        costs=ExitCosts(Costs.of(macs=costs.costs[MACS]), costs.parameters),
        backbone_macs=float(context.profile.total_macs),
        share=min(target, report.limits.expected.get(MACS, target)),
    )
    task = pristine_task(context)
    seed = derive(context.settings.seed, "experts", report.design.digest)
    kept = KeptExperts(folder=report.folder, key=digest([spec, seed, checksum(report.folder / WEIGHTS)]))
    found = train_experts(network, task, spec, budget, kept=kept, seed=seed, listener=context.listener)
    state = own_state(found.network)
    write_atomically(report.folder / EXPERTS, lambda file: write_state(state, file))
    kept.remove()
    facts = ExpertFacts(
        classifier=found.network.classifier,
        temperatures=found.temperatures,
        final_layer=found.network.final_layer,
        own_norms=found.network.own_norms,
    )
    made = ExpertReport(spec=spec, share=budget.share, facts=facts, figures=found.figures)
    return replace(report, experts=made)


def load_run_experts(folder: Path, found: ExpertReport, base: EarlyExitNetwork) -> TrainedExperts:
    """Return the network with experts of the run in `folder`, given the run's network without them.

    Raises ExportError if the weights are missing or do not fit.
    """
    base.policy = None
    facts = found.facts
    network = ExpertNetwork(
        base, facts.classifier, final_layer=facts.final_layer, own_norms=facts.own_norms, policy=found.policy
    )
    try:
        load_part(network, folder / EXPERTS, own_state(network))
    except WeightsError as error:
        raise ExportError(f"{error}; rerun `eenas train` to restore the experts of the run") from None
    return TrainedExperts(network=network.eval(), figures=found.figures, temperatures=found.facts.temperatures)
