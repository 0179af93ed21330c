"""A network of a study trained as its trial did but for longer, kept so that none is trained so twice."""

from dataclasses import dataclass, replace

from eenas.designs.design import Design
from eenas.measurement.profile import source_of
from eenas.networks.backbone_facts import BackboneFacts
from eenas.networks.exit_costs import ExitCosts
from eenas.progress import Advanced, Finished, Notice, Started
from eenas.results.front import SHARES
from eenas.runs.network_scores import NetworkScores, score_network
from eenas.runs.train_fully import execution_for
from eenas.specs import digest, from_table, to_table
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.trials.design_training import network_digest, train_design
from eenas.training.checkpoints import Checkpoint
from eenas.training.spec import TrainingSpec
from eenas.training.trainer import RoundReport, Verdict


@dataclass(frozen=True, kw_only=True)
class Longer:
    """What a longer training came to, and what it took: samples seen and wall seconds, resumed parts included."""

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
    """The scores of the network of `design` trained for the budget of `spec`, from the bank where the study uses it.

    Nothing ends it early but its own strategy. A finished result is kept in the database under all that decides it, and
    a training that was cut off has a checkpoint among the artifacts. Raises what `train_network` does.
    """
    listener = context.listener
    execution, uses_bank = execution_for(context, spec), context.settings.bank.use
    sources = [source_of(placed.branch) for placed in design.branches]
    key = digest([bank.conditions, uses_bank, network_digest(design), sources, spec, str(execution), SHARES])
    checkpoint = context.artifacts.root / f"fidelity-{key}.checkpoint.pt"
    kept = context.cache.get(f"fidelity/{key}")
    if kept is not None:
        checkpoint.unlink(missing_ok=True)
        return from_table(Longer, kept)
    listener(Started(phase, 100))
    if checkpoint.exists():
        listener(Notice(f"{phase}: resuming from {checkpoint}"))

    def after_epoch(report: RoundReport) -> Verdict:
        listener(Advanced(phase, 100 * report.progress, f"loss {report.loss:.3f}"))
        return Verdict.CONTINUE

    tables, report = train_design(
        design,
        replace(context, execution=execution),
        costs,
        bank=bank if uses_bank else None,
        spec=spec,
        after_epoch=after_epoch,
        checkpoint=Checkpoint(checkpoint),
    )
    found = Longer(scores=score_network(tables, backbone), samples=report.samples, seconds=report.seconds)
    context.cache.put(f"fidelity/{key}", to_table(found))
    checkpoint.unlink(missing_ok=True)
    listener(Finished(phase))
    return found
