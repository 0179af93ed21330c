"""The training loop: it trains a network by phases within a budget, and asks after each round whether to continue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from eenas.backbones.memory_format import lay_out
from eenas.branches.abilities import shared_parts
from eenas.errors import DivergedError, TrainingError
from eenas.networks.network import EarlyExitNetwork
from eenas.seeding import derive, seeded
from eenas.tasks.split import Split
from eenas.tasks.task import Task
from eenas.training.batches import training_batches
from eenas.training.checkpoints import STATE, Checkpoint, Position, random_state, restore_random_state
from eenas.training.compilation.decision import Compilable
from eenas.training.distillation import BackboneTeacher, KeptAnswers
from eenas.training.freezing import frozen
from eenas.training.memory import memory_errors
from eenas.training.patience import Patience
from eenas.training.process_group import ProcessGroup
from eenas.training.schedule import BudgetClock
from eenas.training.segments import segments
from eenas.training.sharding.division import divide, divided, fitting, load_placed
from eenas.training.steps import MicroBatch, Steps, TrainingPlan
from eenas.training.strategies import Phase, phases

ROUNDS = 4
"""The minimum number of rounds in a budget. A round is an epoch, or shorter for a budget of fewer epochs."""


class Verdict(Enum):
    """The possible results of `after_epoch`."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True)
class RoundReport:
    """The state after a round: `progress` in [0, 1] of the budget, the mean loss since the last round, and the phase.

    The network has the weights that it would keep if training ended now, including averaging.
    """

    network: EarlyExitNetwork
    round: int
    progress: float
    loss: float
    samples: int
    seconds: float
    phase: str


@dataclass(frozen=True)
class TrainingReport:
    """The result of training: the number of samples (in all processes), seconds, the loss of each round, and `stopped`.

    `stopped` tells whether `after_epoch` ended it, and `compiled` whether each phase was compiled, and why.
    """

    samples: int
    seconds: float
    losses: tuple[float, ...]
    stopped: bool
    compiled: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


AfterEpoch = Callable[[RoundReport], Verdict]


def train_network(
    network: EarlyExitNetwork,
    task: Task,
    plan: TrainingPlan,
    *,
    after_epoch: AfterEpoch | None = None,
    checkpoint: Checkpoint | None = None,
    group: ProcessGroup | None = None,
    taught: KeptAnswers | None = None,
) -> TrainingReport:
    """Train the exits of `network` by `plan` on the task's train split, on the network's device.

    `after_epoch` is called after each round and may stop the training. With `checkpoint`, the state is stored after
    rounds and when the time is over, and an interrupted training is resumed from it with the same steps as without the
    interruption; `after_epoch` is called again for the last stored round, since it may have missed it. With `group`,
    several processes share each epoch. `taught` caches the teacher logits of the same backbone across trainings with
    this seed. With patience, a tenth of the train split is held out to detect the end of a phase. A network in which
    the strategy trains no weights is left unchanged.

    Raises TrainingError for a choice that does not fit the network, DivergedError for a loss that is not finite, and
    OutOfMemoryError if memory runs out.
    """
    choice, spec = plan.choice, plan.spec
    boosted = (choice.loss_weights == "boosted", network.design.training.loss_weights == "boosted")
    if len(plan.costs) > 1 and boosted[0] != boosted[1]:
        raise TrainingError("loss_weights = 'boosted' changes the outputs of a network; use the value of its design")
    size, processes = spec.batch_for(len(task.train)), 1 if group is None else group.size
    with memory_errors(size, min(spec.micro_batch_size or size, -(-size // processes))), seeded(plan.seed):
        run = _Run(network, task, plan, checkpoint, group or ProcessGroup(), taught)
        with shared_parts(() if run.parts else network.branches.children()):
            return run.go(after_epoch)


class _Run:
    def __init__(
        self,
        network: EarlyExitNetwork,
        task: Task,
        plan: TrainingPlan,
        checkpoint: Checkpoint | None,
        group: ProcessGroup,
        taught: KeptAnswers | None,
    ) -> None:
        static, exits = network.design.static, len(plan.costs)
        execution = fitting(plan.execution.within(network.memory_format), group)
        self.plan = replace(plan, choice=plan.choice.canonical(exits - 1, static=static), execution=execution)
        self.network, self.checkpoint, self.group = network, checkpoint, group
        self.device = next(network.parameters()).device
        self.phases = phases(self.plan.choice, exits, static=static)
        apart = any(phase.trains == "part" for phase in self.phases)  # a part must not change those before it
        self.parts = segments(network) if apart else ()
        if execution.channels_last:
            lay_out(network)
        self.teacher: BackboneTeacher | None = None
        if any(phase.distils == "backbone" for phase in self.phases):
            self.teacher = BackboneTeacher(network.backbone, taught)
        self.comes_again = taught is not None
        self.tune: Split | None
        train, self.tune = task.train.held_out() if self.plan.choice.patience else (task.train, None)
        self.batches = training_batches(train, task, network.transform, plan.spec, plan.seed, self.device, group)
        self.at = Position()
        self.losses: list[float] = []
        self.pending: list[Tensor] = []
        self.random: dict[str, Any] | None = None
        self.compiled: dict[str, dict[str, Any]] = {}  # the `Compilation` of each phase that asked

    def go(self, after_epoch: AfterEpoch | None) -> TrainingReport:
        """Train, in a divided copy of the network if the group is sharded."""
        network = self.network
        with divided(network, self.group) as self.network:
            if self.teacher is not None:
                divide(self.teacher.module, self.device, self.group)
            report = self._go(after_epoch)
        network.eval()
        return report

    def _go(self, after_epoch: AfterEpoch | None) -> TrainingReport:
        state = None if self.checkpoint is None else self.checkpoint.load(STATE, self.group, self.device)
        if state is not None:
            self._resume(state)
        stopped = False
        while not stopped and self.at.phase < len(self.phases):
            phase = self.phases[self.at.phase]
            with frozen(self.network, phase, self.parts):
                if any(parameter.requires_grad for parameter in self.network.parameters()):
                    stopped = self._run_phase(phase, after_epoch, state)
            self.at.phase, state = self.at.phase + 1, None
        return TrainingReport(self.at.samples, self.at.seconds, tuple(self.losses), stopped, self.compiled)

    def _run_phase(self, phase: Phase, after_epoch: AfterEpoch | None, state: dict[str, Any] | None) -> bool:
        """Run a phase from its beginning, or from the stored `state`. Return whether `after_epoch` stopped it."""
        self._enter(phase)
        if state is not None:
            self._resume_phase(state)
        stopped = state is not None and self.at.round > 0 and self.random is None and self._is_stopped(after_epoch)
        while not (stopped or self.is_over):
            torch.manual_seed(derive(self.plan.seed, "epoch", self.at.epoch, self.at.step, self.group.rank))
            self._restore_random()
            self.steps.begin()
            stream = self.batches.epoch(self.at.epoch, skip=self.at.step)
            while parts := list(islice(stream, self.batches.parts)):
                self._train_step(parts)
                if self.is_over or self._round_is_over():
                    break
                if self.checkpoint is not None:
                    self.checkpoint.stop_in_time(partial(self._state, within=True))
            del stream  # ends its reader
            if self.at.step >= self.batches.steps():
                self.at.epoch, self.at.step = self.at.epoch + 1, 0
            if self.is_over or self.at.step == 0 or self._round_is_over():
                stopped = self._finish_round(after_epoch)
        self.steps.finish()
        self.at.samples, self.at.seconds, self.at.owed = self._samples(), self._seconds(), self.clock.over
        self.steps.close()
        del self.steps  # the next phase wraps the network again
        return stopped

    def _enter(self, phase: Phase) -> None:
        index, self.phase = self.at.phase, phase
        last = index == len(self.phases) - 1
        self.start = sum(each.share for each in self.phases[:index])
        self.end = 1.0 if last else self.start + phase.share
        compilable = Compilable(self.network, phase, self.plan, self.teacher)
        compiled = compilable.is_compiled(self.compiled, str(index), self.batches, self.group)
        self.clock = BudgetClock(self.plan.spec, self.batches.samples, part=(self.start, self.end), owed=self.at.owed)
        self.steps = Steps(self.network, phase, self.plan, self.group, self.teacher, compiled=compiled)
        self.patience = None if self.tune is None else Patience(self.plan.choice.patience, self.tune, phase.exits)
        self.ended = False

    @property
    def is_over(self) -> bool:
        """Whether the phase is over: its budget is used up, or no exit has improved for too long."""
        return self.ended or self.clock.progress >= 1.0

    def _progress(self) -> float:
        """The used share of the whole budget. The unused part of a phase that ended early counts as used."""
        return self.start + (self.end - self.start) * (1.0 if self.ended else self.clock.progress)

    def _samples(self) -> int:
        return self.at.samples + self.clock.samples

    def _seconds(self) -> float:
        return self.at.seconds + self.clock.seconds

    def _train_step(self, parts: Sequence[MicroBatch]) -> None:
        batch = (*self.batches.key, str(self.plan.execution), self.at.epoch, self.at.step) if self.comes_again else None
        self.pending.append(self.steps.take(parts, self.clock.progress, batch, of=self.batches.batch_size))
        self.at.step += 1
        self.clock.samples += self.batches.batch_size
        if self.device.type == "cpu" or len(self.pending) % 50 == 0:
            self._check_finite()

    def _check_finite(self) -> None:
        if not bool(torch.isfinite(self.pending[-1])):
            said = f"learning_rate={self.plan.choice.learning_rate:g}"
            raise DivergedError(f"the loss is not finite ({said}); lower the learning rate")

    def _round_is_over(self) -> bool:
        return self._progress() >= (self.at.round + 1) / ROUNDS and self._budget_in_epochs() < ROUNDS

    def _budget_in_epochs(self) -> float:
        spec = self.plan.spec
        return float("inf") if spec.seconds is not None else spec.epochs or (spec.samples or 0) / self.batches.samples

    def _finish_round(self, after_epoch: AfterEpoch | None) -> bool:
        self._check_finite()
        self.at.round += 1
        self.losses.append(float(torch.stack(self.pending).mean()))
        self.pending.clear()
        if self.patience is not None:
            with self.steps.outcome():
                self.ended = self.group.share(self.patience.is_over(self.network))
        if self.checkpoint is not None:
            self.checkpoint.keep(self._state, self.group)
        return self._is_stopped(after_epoch)

    def _is_stopped(self, after_epoch: AfterEpoch | None) -> bool:
        """Report the last round. Return whether the training is stopped."""
        if after_epoch is None:
            return False
        said = self._progress(), self.losses[-1], self._samples(), self._seconds(), self.phase.name
        with self.steps.outcome():
            return after_epoch(RoundReport(self.network, self.at.round, *said)) is Verdict.STOP

    def _state(self, *, within: bool = False) -> dict[str, Any]:
        """Return the state that a resumed run needs. With `within`, it covers an unfinished round."""
        return {
            **self.steps.state_dict(),
            "network": self.network.state_dict(),
            "teacher": None if self.teacher is None else self.teacher.module.state_dict(),
            "patience": None if self.patience is None else self.patience.state_dict(),
            "position": vars(self.at),
            "samples": self.clock.samples,
            "seconds": self.clock.seconds,
            "ended": self.ended,
            "compiled": self.compiled,
            "losses": list(self.losses),
            "pending": [float(each) for each in self.pending],
            "random": random_state(self.device) if within else None,
        }

    def _resume(self, state: dict[str, Any]) -> None:
        load_placed(self.network, state["network"])
        if self.teacher is not None:
            load_placed(self.teacher.module, state["teacher"])
        self.at = Position(**state["position"])
        self.losses = [float(value) for value in state["losses"]]
        self.pending = [torch.tensor(value, device=self.device) for value in state.get("pending", ())]
        self.random = state.get("random")
        self.compiled = dict(state.get("compiled", {})) if self.plan.spec.compile == "auto" else {}

    def _restore_random(self) -> None:
        """Restore the random state of an interrupted round, once."""
        if self.random is not None:
            restore_random_state(self.random, self.device)
            self.random = None

    def _resume_phase(self, state: dict[str, Any]) -> None:
        self.steps.load_state_dict(state)
        if self.patience is not None:
            self.patience.load_state_dict(state["patience"])
        self.clock.resume(int(state["samples"]), float(state["seconds"]))
        self.ended = bool(state["ended"])
