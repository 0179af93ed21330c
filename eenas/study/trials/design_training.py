"""Training of a design: built on the prepared backbone, started from banked branches, trained by its strategy."""

from dataclasses import replace

from eenas.designs.design import Design, PolicyChoice
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.seeding import derive
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.training.checkpoints import Checkpoint
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import AfterEpoch, TrainingReport, train_network


def network_digest(design: Design) -> str:
    """Return the digest of the trained network: of the design without its policy, which is fitted afterwards."""
    return replace(design, policy=PolicyChoice()).digest


def inherits(design: Design) -> bool:
    """Whether the branches of `design` can start from the bank. Boosted exits cannot, since their logits add up."""
    return design.training.loss_weights != "boosted"


def train_design(
    design: Design,
    context: StudyContext,
    costs: ExitCosts,
    *,
    bank: Bank | None,
    spec: TrainingSpec,
    after_epoch: AfterEpoch | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, ExitTable], TrainingReport]:
    """Train the network of `design` for the budget of `spec`; return its tables by split, and the training report.

    The exit tables are those on calibration and validation. Branches start from `bank`, or from new weights if it is
    None. All trainings of a study see the same batches in the same order, so designs are comparable and a teacher
    predicts each batch once. `after_epoch`, `checkpoint` and errors are those of `train_network`.
    """
    network = context.build(design)
    if bank is not None and inherits(design):
        bank.inherit(network)
    report = train_network(
        network,
        context.task,
        TrainingPlan(
            choice=design.training,
            spec=spec,
            costs=costs.costs[MACS].tolist(),
            seed=derive(context.settings.seed, "trial"),
            execution=context.execution,
        ),
        after_epoch=after_epoch,
        checkpoint=checkpoint,
        taught=context.taught,
    )
    tables = {split: exit_table(network, context.task.split(split), costs) for split in ("calibration", "validation")}
    return tables, report
