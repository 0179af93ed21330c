"""Training the plain backbone on the task, optionally evaluated on held-out training samples."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from eenas.designs.design import TrainingChoice
from eenas.frozen.frozen_head import read_head
from eenas.networks.network import EarlyExitNetwork
from eenas.seeding import derive
from eenas.study.context.stages import Stages
from eenas.study.context.study_context import StudyContext
from eenas.study.context.training_progress import progress_reports
from eenas.tasks.split import Split
from eenas.tasks.task import Task
from eenas.training.checkpoints import Checkpoint
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import RoundReport, Verdict, train_network

PHASE = "training the backbone"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The results of a classifier on held-out samples: which [N] are correct, and the mean cross-entropy."""

    correct: NDArray[np.bool_]
    loss: float

    @classmethod
    def of(cls, logits: Tensor, labels: NDArray[np.int64]) -> "HeldOut":
        """Return the results of logits [N, C]."""
        loss = functional.cross_entropy(logits, torch.tensor(labels))
        return cls(np.asarray(logits.argmax(dim=1).numpy() == labels), float(loss))

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "HeldOut":
        """Return the results from the plain data of `to_table`."""
        return cls(np.asarray(table["correct"].numpy(), dtype=np.bool_), float(table["loss"]))

    def to_table(self) -> dict[str, Any]:
        """Return the results as tensors and plain values."""
        return {"correct": torch.from_numpy(self.correct), "loss": self.loss}

    @property
    def accuracy(self) -> float:
        """The accuracy in [0, 1]."""
        return float(self.correct.mean())

    def beats(self, other: "HeldOut") -> bool:
        """Whether more samples are correct, or as many with a lower loss."""
        return (self.correct.sum(), -self.loss) > (other.correct.sum(), -other.loss)


@dataclass(frozen=True, eq=False)
class Attempt:
    """A training at its best round: `round`, counted from 1, has the lowest loss on held-out samples."""

    scores: HeldOut
    round: int


def train_plain(
    context: StudyContext, network: EarlyExitNetwork, stages: Stages, rate: float = 1.0, *, rounds: int | None = None
) -> None:
    """Train by `[prepare]` on all of train with the learning rate times `rate`. `rounds` limits the number of rounds.

    An interrupted training is resumed.

    Raises TimeOverError, and the errors of `train_network`.
    """
    _train(context, network, context.task, rate, stages.checkpoint("whole"), lambda report: report.round == rounds)


def attempt(
    context: StudyContext, network: EarlyExitNetwork, task: Task, held: Split, rate: float, stages: Stages
) -> Attempt:
    """Train on the train split of `task` with the learning rate times `rate`, and evaluate on `held` after each round.

    The results of each round and of the training are kept in `stages`.

    Raises TimeOverError, and the errors of `train_network`.
    """
    name = f"at-{rate:g}"

    def make() -> dict[str, Any]:
        found: dict[int, Any] = (stages.find(f"{name}.rounds") or {}).get("rounds", {})

        def look(report: RoundReport) -> bool:
            scores = HeldOut.of(read_head(network.backbone, network.transform, held).logits, held.labels)
            found[report.round] = scores.to_table()
            stages.keep(f"{name}.rounds", {"rounds": found})
            return False

        _train(context, network, task, rate, stages.checkpoint(name), look)
        best = min(found, key=lambda number: (found[number]["loss"], number))
        return {**found[best], "round": best}

    outcome = stages.once(name, make)
    return Attempt(HeldOut.read(outcome), int(outcome["round"]))


def _train(
    context: StudyContext,
    network: EarlyExitNetwork,
    task: Task,
    rate: float,
    checkpoint: Checkpoint,
    is_over: Callable[[RoundReport], bool],
) -> None:
    spec = context.settings.prepare
    plan = TrainingPlan(
        choice=TrainingChoice(
            strategy="joint",
            optimizer=spec.optimizer,
            learning_rate=spec.learning_rate * rate,
            weight_decay=spec.weight_decay,
            backbone_rate=1.0,
        ),
        spec=spec.training,
        costs=[float(context.profile.total_macs)],
        seed=derive(context.settings.seed, "prepare"),
        execution=context.execution,
    )
    with progress_reports(PHASE, context.listener, checkpoint) as tell:

        def after_epoch(report: RoundReport) -> Verdict:
            tell(report)
            return Verdict.STOP if is_over(report) else Verdict.CONTINUE

        train_network(network, task, plan, after_epoch=after_epoch, checkpoint=checkpoint)
