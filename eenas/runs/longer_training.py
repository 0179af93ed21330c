"""Longer training of a network of a study, with stored results so that none is trained twice."""

from dataclasses import dataclass

from eenas.designs.design import Design
from eenas.measurement.profile import source_of
from eenas.networks.backbone_facts import BackboneFacts
from eenas.networks.exit_costs import ExitCosts
from eenas.results.front import SHARES
from eenas.runs.network_scores import NetworkScores, score_network
from eenas.specs import digest, from_table, to_table
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.context.training_progress import progress_reports
from eenas.study.trials.design_training import DesignTraining, execution_for, network_digest, train_design
from eenas.study.trials.trial_experts import has_experts, trial_tables
from eenas.training.checkpoints import Checkpoint
from eenas.training.spec import TrainingSpec


@dataclass(frozen=True, kw_only=True)
class Longer:
    """The scores after longer training, and the number of samples and seconds, including resumed parts."""

    scores: NetworkScores
    samples: int
    seconds: float


def train_longer(
    design: Design,
    context: StudyContext,
    costs: ExitCosts,
    *,
    bank: Bank,
    spec: TrainingSpec,
    backbone: BackboneFacts,
    phase: str,
) -> Longer:
    """Return the scores of the network of `design` after training with the budget `spec`.

    Branches start from the bank if the study uses it. Only the strategy can end the training early. Results are stored
    in the database under everything that determines them, and an interrupted training has a checkpoint among the
    artifacts.

    Raises the errors of `train_network`.
    """
    execution, uses_bank = execution_for(context, spec), context.settings.bank.use
    sources = [source_of(placed.branch) for placed in design.branches]
    facts = [bank.conditions, uses_bank, network_digest(design), sources, spec, str(execution), SHARES]
    key = digest([*facts, context.settings.experts] if has_experts(design) else facts)
    checkpoint = Checkpoint(context.artifacts.root / f"fidelity-{key}.checkpoint.pt")
    kept = context.cache.get(f"fidelity/{key}")
    if kept is not None:
        checkpoint.remove()
        return from_table(Longer, kept)
    training = DesignTraining.brief(context, bank=bank if uses_bank else None, spec=spec, checkpoint=checkpoint)
    with progress_reports(phase, context.listener, checkpoint) as after_epoch:
        network, report = train_design(design, context, training, after_epoch)
        made = trial_tables(network, context, costs)
        scores = score_network(made.tables, backbone)
        found = Longer(scores=scores, samples=report.samples + made.samples, seconds=report.seconds)
        context.cache.put(f"fidelity/{key}", to_table(found))
        checkpoint.remove()
    return found
