"""The training steps of one phase: forward, loss, backward, and an update of the trained weights."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from eenas.branches.abilities import WithAuxiliaryLoss
from eenas.designs.training_choice import TrainingChoice
from eenas.networks.network import EarlyExitNetwork
from eenas.training.averaging import WeightAverage
from eenas.training.compilation.compiled_network import CompiledNetwork, Options, compiler_errors
from eenas.training.distillation import BackboneTeacher
from eenas.training.execution import Execution
from eenas.training.losses import Distillation, JointLoss
from eenas.training.optimizers import build_optimizer
from eenas.training.process_group import ProcessGroup
from eenas.training.schedule import rate_at
from eenas.training.sharding.division import placed_like
from eenas.training.spec import TrainingSpec
from eenas.training.strategies import Phase

MicroBatch = tuple[Tensor, Tensor]
"""Inputs `[N, ...]` and labels `[N]`."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """A plan for training a network: the strategy in `choice`, the budget in `spec`, and the execution of steps.

    `costs` `[K]` are the MACs of reaching each exit (for weight schemes). The same `seed` gives the same weights.
    """

    choice: TrainingChoice
    spec: TrainingSpec
    costs: Sequence[float]
    seed: int
    execution: Execution


class Steps:
    """The steps of a phase on a network whose other parts are frozen already.

    Exits without a loss that teach no other exit are not computed, nor are segments behind the last needed exit.
    """

    def __init__(
        self,
        network: EarlyExitNetwork,
        phase: Phase,
        plan: TrainingPlan,
        group: ProcessGroup,
        teacher: BackboneTeacher | None,
        *,
        compiled: bool = False,
    ) -> None:
        """`teacher` is required if the phase distils from the initial backbone. `compiled`: whether passes are."""
        choice, costs = plan.choice, plan.costs
        self.network, self.phase, self.choice, self.spec = network, phase, choice, plan.spec
        self.execution, self.group = replace(plan.execution, small_maps=False) if compiled else plan.execution, group
        self.device = next(network.parameters()).device
        self.teacher = teacher if phase.distils == "backbone" else None
        final = len(costs) - 1
        distillation = None
        if phase.distils is not None:
            own = phase.distils == "final"
            distillation = Distillation(
                weight=choice.distillation_weight,
                temperature=choice.distillation_temperature,
                taught=sum(k != final for k in phase.exits) if own else len(phase.exits),
            )
        self.loss = JointLoss(
            choice.loss_weights,
            costs,
            choice.label_smoothing,
            exits=phase.exits,
            final_weight=choice.final_weight,
            distillation=distillation,
        ).to(self.device)
        self.last_alone = JointLoss("equal", costs, choice.label_smoothing, exits=phase.exits[-1:]).to(self.device)
        wanted = {*phase.exits, final} if phase.distils == "final" else {*phase.exits}
        self.options: dict[str, Any] = {"exits": sorted(wanted)} if len(wanted) < len(costs) else {}
        self.own_losses = any(isinstance(each, WithAuxiliaryLoss) for each in _branches(network, phase.exits))
        self.optimizer = build_optimizer(network, self.loss, choice, phase)
        self.base_rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=plan.execution.autocast is torch.float16)
        self.average = WeightAverage(network, choice.weight_average) if choice.weight_average else None
        self.passes = CompiledNetwork(network, self._modes()) if compiled else network
        self.model = group.wrap(self.passes, self.device, partly=phase.alternate)
        self.count = self._taken = 0

    def _modes(self) -> Iterator[Options]:
        exits = self.options.get("exits")
        yield None if exits is None else tuple(exits), self.choice.gradient_equilibrium
        if self.phase.alternate:
            yield self.phase.exits[-1:], False

    def begin(self) -> None:
        """Set the training mode."""
        self.network.train()
        self.model.train()

    def close(self) -> None:
        """Free compiled programs. No step may follow."""
        if isinstance(self.passes, CompiledNetwork):
            self.passes.close()

    def take(self, parts: Sequence[MicroBatch], progress: float, batch: Hashable = None, *, of: int = 0) -> Tensor:
        """Do one step on the micro-batches of a batch at `progress` of the phase. Return their detached mean loss.

        The gradient is that of the mean loss over the `of` samples of the batch in all processes (default: those of
        `parts`), whatever the number of processes and micro-batches. `batch` identifies samples that recur in other
        trainings, for the teacher's cache.
        """
        rate = rate_at(progress, self.spec.warmup)
        for group, base in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = base * rate
        self.optimizer.zero_grad(set_to_none=True)
        own = sum(len(labels) for _, labels in parts)
        mean: Tensor | None = None
        for index, (inputs, labels) in enumerate(parts):
            key = (batch, index, len(parts)) if batch is not None and len(parts) > 1 else batch
            unsure = isinstance(self.passes, CompiledNetwork) and self._taken < len(self.passes.modes)
            with (
                self.group.accumulated(self.model, last=index == len(parts) - 1),
                compiler_errors() if unsure else nullcontext(),
            ):
                loss = self._loss(self.execution.place(inputs), labels, progress, key)
                weight = len(labels) * self.group.size / (of or own)  # processes average their gradients
                self.scaler.scale(loss if weight == 1.0 else loss * weight).backward()  # type: ignore[no-untyped-call]
            found = loss.detach() if len(parts) == 1 else loss.detach() * (len(labels) / own)
            mean = found if mean is None else mean + found
        assert mean is not None
        self.group.average(self.loss.parameters())
        if self.spec.clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.spec.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update()
        self.count, self._taken = self.count + 1, self._taken + 1
        return mean

    def _loss(self, inputs: Tensor, labels: Tensor, progress: float, batch: Hashable) -> Tensor:
        if self.phase.alternate and self.count % 2 == 0:
            return self._last_alone(inputs, labels, progress)
        return self._all(inputs, labels, progress, batch)

    def _all(self, inputs: Tensor, labels: Tensor, progress: float, batch: Hashable) -> Tensor:
        with self.execution.precision(self.device):
            logits = self.model(inputs, equilibrium=self.choice.gradient_equilibrium, **self.options)
            teacher = None if self.teacher is None else self.teacher.answers(inputs, batch)
        if self.phase.distils == "final":
            teacher = logits[-1]
        own: list[Tensor | None] = []
        if self.own_losses:
            each = self.passes.auxiliary_losses(labels, self.phase.exits)
            own = [each[k] for k in self.phase.exits if k < len(each)]
        loss: Tensor = self.loss(logits[: len(self.phase.exits)], labels, progress, teacher=teacher, auxiliary=own)
        return loss

    def _last_alone(self, inputs: Tensor, labels: Tensor, progress: float) -> Tensor:
        with self.execution.precision(self.device):
            logits = self.model(inputs, exits=self.phase.exits[-1:])
        loss: Tensor = self.last_alone(logits, labels, progress)
        return loss

    @contextmanager
    def outcome(self) -> Iterator[None]:
        """Inside the block, the network has the weights that it would keep if the phase ended now."""
        with nullcontext() if self.average is None else self.average.applied():
            yield

    def finish(self) -> None:
        """Keep the averaged weights, if weights are averaged."""
        if self.average is not None:
            self.average.swap()

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed phase needs besides the network's weights."""
        return {
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": {} if self.average is None else self.average.state_dict(),
            "count": self.count,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of `state_dict`."""
        self.loss.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(self._placed(state["optimizer"]))
        self.scaler.load_state_dict(state["scaler"])
        self.count = int(state["count"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def _placed(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return a stored state of the optimizer, divided as its parameters are."""
        parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
        placed = {
            number: {name: placed_like(value, parameters[number]) for name, value in values.items()}
            for number, values in _numbered(state["state"]).items()
        }
        return {**state, "state": placed}


def _numbered(state: Mapping[Any, Any]) -> dict[int, Any]:
    return {int(number): values for number, values in state.items()}


def _branches(network: EarlyExitNetwork, exits: Sequence[int]) -> list[nn.Module]:
    """Return the modules of the branches at `exits`."""
    names = network.branches.names
    return [network.branches.at(names[k]) for k in exits if k < len(names)]
