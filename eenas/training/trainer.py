"""The one training loop: a network, its data and a budget; asks after each round whether to go on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eenas.designs.design import TrainingChoice
from eenas.errors import DivergedError, OutOfMemoryError, TrainingError
from eenas.networks.checkpoint import load_state, save_state
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.truncated import TruncatedNetwork
from eenas.seeding import derive, seeded
from eenas.tasks.task import Task
from eenas.training.batches import Batches
from eenas.training.execution import Execution
from eenas.training.losses import JointLoss
from eenas.training.optimizers import build_optimizer
from eenas.training.schedule import BudgetClock, rate_at
from eenas.training.spec import TrainingSpec
from eenas.training.world import World

ROUNDS = 4
"""A round is an epoch, or this part of the budget where that is shorter."""
MEMORY_MESSAGES = ("out of memory", "not enough memory", "can't allocate memory", "defaultcpuallocator")


class Verdict(Enum):
    """What `after_epoch` may answer."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True)
class RoundReport:
    """The state after a round: `progress` in [0, 1] of the budget, the mean joint loss since the last round."""

    network: EarlyExitNetwork | TruncatedNetwork
    round: int
    progress: float
    loss: float
    samples: int
    seconds: float


@dataclass(frozen=True)
class TrainingReport:
    """What training took: samples seen (on all devices), seconds, the loss of each round, whether it was stopped."""

    samples: int
    seconds: float
    losses: tuple[float, ...]
    stopped: bool


AfterEpoch = Callable[[RoundReport], Verdict]


def train_network(
    network: EarlyExitNetwork | TruncatedNetwork,
    task: Task,
    *,
    choice: TrainingChoice,
    spec: TrainingSpec,
    costs: Sequence[float],
    seed: int,
    execution: Execution,
    after_epoch: AfterEpoch | None = None,
    checkpoint: Path | None = None,
    world: World | None = None,
) -> TrainingReport:
    """Train all exits of `network` together on the task's train split, on the device where the network is.

    `costs` `[K]` are the MACs of reaching each exit (for weight schemes). `after_epoch` is called after each round and
    may stop training. With `checkpoint` the state is written there after each round, and training goes on from it
    where it exists, step for step as if it had not been cut off. With `world` several processes share each epoch.
    Raises DivergedError for a loss that is not finite and OutOfMemoryError where memory ran out.
    """
    try:
        with seeded(seed):
            return _Run(network, task, choice, spec, costs, seed, execution, checkpoint, world or World()).go(
                after_epoch
            )
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or any(text in str(error).lower() for text in MEMORY_MESSAGES):
            size = spec.batch_for(len(task.train))
            raise OutOfMemoryError(f"out of memory with batch_size={size}; set a smaller one") from error
        raise


class _Run:
    def __init__(
        self,
        network: EarlyExitNetwork | TruncatedNetwork,
        task: Task,
        choice: TrainingChoice,
        spec: TrainingSpec,
        costs: Sequence[float],
        seed: int,
        execution: Execution,
        checkpoint: Path | None,
        world: World,
    ) -> None:
        self.network, self.choice, self.spec = network, choice, spec
        self.seed, self.execution, self.checkpoint, self.world = seed, execution, checkpoint, world
        self.device = next(network.parameters()).device
        if execution.channels_last:
            network.to(memory_format=torch.channels_last)
        self.loss = JointLoss(choice.loss_weights, costs, choice.label_smoothing).to(self.device)
        self.optimizer = build_optimizer(network, self.loss, choice)
        self.base_rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=execution.autocast is torch.float16)
        self.batches = Batches(
            task.train,
            network.transform,
            batch_size=spec.batch_for(len(task.train)),
            seed=seed,
            flip=task.flip if spec.augment else None,
            device=self.device,
            rank=world.rank,
            world=world.size,
        )
        self.train_size = self.batches.steps() * spec.batch_for(len(task.train)) * world.size
        if self.train_size == 0:
            raise TrainingError(
                f"{len(task.train)} training samples do not fill a batch of {spec.batch_for(len(task.train))} on each "
                f"of {world.size} processes; set a smaller batch_size"
            )
        if spec.seconds is not None and world.size > 1:
            raise TrainingError("a budget in seconds differs between processes; give epochs or samples")
        self.clock = BudgetClock(spec, self.train_size)
        self.epoch, self.step, self.round = 0, 0, 0
        self.losses: list[float] = []
        self.pending: list[Tensor] = []

    def go(self, after_epoch: AfterEpoch | None) -> TrainingReport:
        self._resume()
        model = self.world.wrap(self.network, self.device)
        stopped = False
        while not stopped and self.clock.progress < 1.0:
            torch.manual_seed(derive(self.seed, "epoch", self.epoch, self.step, self.world.rank))
            model.train()
            for images, labels in self.batches.epoch(self.epoch, skip=self.step):
                self._train_step(model, images, labels)
                if self.clock.progress >= 1.0 or self._round_is_over():
                    break
            if self.step >= self.batches.steps():
                self.epoch, self.step = self.epoch + 1, 0
            if self.clock.progress >= 1.0 or self.step == 0 or self._round_is_over():
                stopped = self._finish_round(after_epoch)
        self.network.eval()
        return TrainingReport(self.clock.samples, self.clock.seconds, tuple(self.losses), stopped)

    def _train_step(self, model: nn.Module, images: Tensor, labels: Tensor) -> None:
        rate = rate_at(self.clock.progress, self.spec.warmup)
        for group, base in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = base * rate
        with self.execution.precision(self.device):
            logits = model(self.execution.place(images), equilibrium=self.choice.gradient_equilibrium)
        loss = self.loss(logits, labels, self.clock.progress)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.world.average(self.loss.parameters())
        if self.spec.clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.spec.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.pending.append(loss.detach())
        self.step += 1
        self.clock.samples += len(labels) * self.world.size
        if self.device.type == "cpu" or len(self.pending) % 50 == 0:
            self._check_finite()

    def _check_finite(self) -> None:
        if not bool(torch.isfinite(self.pending[-1])):
            rate = self.choice.learning_rate
            raise DivergedError(f"the loss is not finite (learning_rate={rate:g}); lower the learning rate")

    def _round_is_over(self) -> bool:
        return self.clock.progress >= (self.round + 1) / ROUNDS and self._budget_in_epochs() < ROUNDS

    def _budget_in_epochs(self) -> float:
        spec = self.spec
        if spec.seconds is not None:
            return float("inf")
        return spec.epochs if spec.epochs is not None else (spec.samples or 0) / self.train_size

    def _finish_round(self, after_epoch: AfterEpoch | None) -> bool:
        self._check_finite()
        self.round += 1
        self.losses.append(float(torch.stack(self.pending).mean()))
        self.pending.clear()
        self._save()
        if after_epoch is None:
            return False
        report = RoundReport(
            self.network, self.round, self.clock.progress, self.losses[-1], self.clock.samples, self.clock.seconds
        )
        return after_epoch(report) is Verdict.STOP

    def _save(self) -> None:
        if self.checkpoint is None or self.world.rank != 0:
            return
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "position": [self.epoch, self.step, self.round, self.clock.samples],
            "seconds": self.clock.seconds,
            "losses": list(self.losses),
        }
        save_state(state, self.checkpoint)

    def _resume(self) -> None:
        state = load_state(self.checkpoint) if self.checkpoint is not None else None
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.loss.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step, self.round, samples = (int(value) for value in state["position"])
        self.clock = BudgetClock(self.spec, self.train_size, samples=samples, seconds=float(state["seconds"]))
        self.losses = [float(value) for value in np.asarray(state["losses"])]
