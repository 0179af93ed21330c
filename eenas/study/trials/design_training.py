"""Training of a design: built on the prepared backbone, started from its initial weights, trained by its strategy."""

from dataclasses import dataclass, replace

from eenas.branches.tokens.pooler_fc import PoolerFc
from eenas.designs.design import Design, PolicyChoice
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.costs import MACS
from eenas.seeding import derive
from eenas.specs import digest
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.tasks.distortions.distorted_splits import pristine_split
from eenas.training.checkpoints import Checkpoint
from eenas.training.distillation import KeptAnswers
from eenas.training.execution import TYPES, Execution
from eenas.training.process_group import ProcessGroup
from eenas.training.sharding.division import divided_group
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import AfterEpoch, TrainingReport, train_network


@dataclass(frozen=True, kw_only=True)
class DesignTraining:
    """The settings of training the network of a design: `brief` as in trials, or `full` as after the search.

    The same `seed` gives the same batches in the same order. Branches start from `bank`, or from new weights if it is
    None. `group`, `checkpoint` and `taught` are those of `train_network`.
    """

    spec: TrainingSpec
    seed: int
    bank: Bank | None = None
    checkpoint: Checkpoint | None = None
    group: ProcessGroup | None = None
    taught: KeptAnswers | None = None

    @classmethod
    def brief(
        cls,
        context: StudyContext,
        *,
        bank: Bank | None,
        spec: TrainingSpec | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> "DesignTraining":
        """Return the settings of trials, with the budget `spec` (default: that of the study).

        All trials use the same batches in the same order, so designs are comparable and a teacher predicts each batch
        once.
        """
        seed = derive(context.settings.seed, "trial")
        spec = spec or context.settings.training
        return cls(spec=spec, seed=seed, bank=bank, checkpoint=checkpoint, taught=context.taught)

    @classmethod
    def full(
        cls, design: Design, context: StudyContext, *, spec: TrainingSpec, checkpoint: Checkpoint, group: ProcessGroup
    ) -> "DesignTraining":
        """Return the settings for a chosen design and its rivals: new branches, and all processes of `group`."""
        seed = derive(context.settings.seed, "full", digest([design.training, sorted(design.exits)]))
        return cls(spec=spec, seed=seed, checkpoint=checkpoint, group=group)


def network_digest(design: Design) -> str:
    """Return the digest of the trained network: of the design without its policy, which is fitted afterwards."""
    return replace(design, policy=PolicyChoice()).digest


def inherits(design: Design) -> bool:
    """Whether the branches of `design` can start from the bank.

    Boosted exits cannot, since their logits add up, nor can those with a shared part, which the bank trains apart.
    """
    shared = any(isinstance(placed.branch, PoolerFc) and placed.branch.shared for placed in design.branches)
    return design.training.loss_weights != "boosted" and not shared


def train_design(
    design: Design, context: StudyContext, training: DesignTraining, after_epoch: AfterEpoch | None = None
) -> tuple[EarlyExitNetwork, TrainingReport]:
    """Build and train the network of `design`. Return it with the report of its training.

    `after_epoch` and errors are those of `train_network`.
    """
    network, task, taught = context.build(design), context.task, training.taught
    if not design.training.distorted:  # other images than those that the teacher's answers are kept for
        task, taught = replace(task, train=pristine_split(task.train)), None
    if training.bank is not None and inherits(design):
        training.bank.inherit(network)
    plan = TrainingPlan(
        choice=design.training,
        spec=training.spec,
        costs=context.costs(design).costs[MACS].tolist(),
        seed=training.seed,
        execution=execution_for(context, training.spec),
    )
    group = training.group
    if group is not None:
        group = divided_group(group, training.spec, network, design.training, context.listener)
    report = train_network(
        network,
        task,
        plan,
        after_epoch=after_epoch,
        checkpoint=training.checkpoint,
        group=group,
        taught=taught,
    )
    return network, report


def execution_for(context: StudyContext, spec: TrainingSpec) -> Execution:
    """Return the execution that `spec` states, with that of the study for "auto"."""
    found = context.execution
    if spec.precision != "auto":
        found = replace(found, autocast=TYPES[spec.precision])
    if spec.channels_last != "auto":
        found = replace(found, channels_last=spec.channels_last)
    return found if spec.small_maps == "auto" else replace(found, small_maps=spec.small_maps)
