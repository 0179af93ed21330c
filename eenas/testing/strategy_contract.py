"""The contract tests of a training strategy: the rules for its phases, and a brief training."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from eenas.backbones.extra_state import split_state
from eenas.backbones.load import Backbone, load_backbone
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Design, Placed
from eenas.designs.training_choice import TrainingChoice
from eenas.networks.assembly import build_network
from eenas.networks.network import EarlyExitNetwork
from eenas.seeding import seeded
from eenas.tasks.images.image_input import image_input
from eenas.tasks.task import Task
from eenas.testing.named import home_of
from eenas.testing.smallest import SIZE, smallest_backbone, smallest_task
from eenas.training.checkpoints import Checkpoint
from eenas.training.execution import Execution
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.strategies import STRATEGIES, Phase, phases
from eenas.training.trainer import RoundReport, TrainingReport, Verdict, train_network

COSTS = (1.0, 2.0, 3.0)
BATCH = 16
PLAIN = Execution()


class StrategyContract:
    """A pytest class for a training strategy. Derive from it and set `strategy`.

        class TestMine(StrategyContract):
            strategy = "./my_strategy.py:phases"

    `strategy` is the strategy as in a search space; `training` sets other values of `[training]`.
    """

    strategy: ClassVar[str]
    training: ClassVar[Mapping[str, Any]] = {}

    def test_its_phases(self) -> None:
        """See `check_phases`, for networks of two to six exits."""
        for num_exits in range(2, 7):
            check_phases(phases(self.choice(), num_exits), num_exits)

    def test_its_training(self, tmp_path: Path) -> None:
        """See `check_strategy`."""
        check_strategy(self.choice(), tmp_path)

    def choice(self) -> TrainingChoice:
        """Return the strategy as part of a design."""
        STRATEGIES.find(self.strategy, trust_code=True, relative_to=home_of(self))
        return TrainingChoice(**{"strategy": self.strategy, **self.training})


def check_phases(found: Sequence[Phase], num_exits: int) -> None:
    """Check that the phases of a strategy fit together for `num_exits` exits. Raises AssertionError."""
    assert found, "a strategy needs a phase"
    total = sum(phase.share for phase in found)
    assert abs(total - 1.0) < 1e-9, f"the shares of the phases must sum to 1, got {total}"
    for phase in found:
        assert phase.share > 0, f"{phase.name}: a phase needs a share of the budget, got {phase.share}"
        assert phase.exits, f"{phase.name}: a phase needs an exit with a loss"
        inside = set(phase.exits) <= set(range(num_exits)) and sorted(set(phase.exits)) == list(phase.exits)
        assert inside, f"{phase.name}: exits must increase within 0 to {num_exits - 1}, got {phase.exits}"
        assert phase.rate > 0, f"{phase.name}: the rate must be above 0, got {phase.rate}"
        if phase.trains == "part":
            assert phase.exits == (phase.part,), (
                f"{phase.name}: a part must be trained by its own exit, got {phase.exits}"
            )
        if phase.trains == "branches" and num_exits > 1:
            assert num_exits - 1 not in phase.exits, (
                f"{phase.name}: the final exit has a loss but no trained parameters; leave {num_exits - 1} out of "
                '`exits`, or train the backbone too (trains = "all")'
            )
    branches = set(range(num_exits - 1))
    taught = {k for phase in found if phase.trains != "backbone" for k in phase.exits}
    assert branches <= taught, f"the branches {sorted(branches - taught)} are never trained"


def check_strategy(choice: TrainingChoice, folder: Path, *, epochs: float = 1.2) -> None:
    """Train the smallest network with three exits by `choice`, and check it after every round.

    Frozen parameters and buffers do not change by a bit. Trained parameters change. At the end, all parameters require
    gradients again and the network is in eval mode. The same seed gives the same weights. An interrupted and resumed
    training ends with the same weights. The budget is kept up to one batch. Training also works under autocast, and on
    a CUDA device if there is one. Checkpoints are written to `folder`.
    """
    check_phases(phases(choice, len(COSTS)), len(COSTS))
    task = smallest_task()
    whole = _network(task, choice)
    watch = _Watch(whole)
    report = _train(whole, task, choice, epochs, watch)
    _check_end(whole, report, task, choice, epochs)
    again = _network(task, choice)
    _train(again, task, choice, epochs)
    _check_same(whole, again, "the same seed must give the same weights")
    for killed in sorted({1, max(1, watch.rounds - 1)}):
        checkpoint = folder / f"{killed}.pt"
        cut = _network(task, choice)
        with suppress(_Killed):
            _train(cut, task, choice, epochs, _Kill(killed), checkpoint)
        resumed = _network(task, choice)
        _scramble(resumed)
        _train(resumed, task, choice, epochs, checkpoint=checkpoint)
        _check_same(whole, resumed, f"interrupted in round {killed} and resumed, the weights must be the same")
    _check_autocast(task, choice)


@dataclass
class _Watch:
    """Compares the network after each round with its state at the beginning of the phase."""

    network: EarlyExitNetwork
    rounds: int = 0
    phase: str = ""
    before: dict[str, Tensor] = field(default_factory=dict)
    latest: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.latest = _state(self.network)

    def __call__(self, report: RoundReport) -> Verdict:
        self.rounds += 1
        if report.phase != self.phase:
            self.phase, self.before = report.phase, self.latest
        self.latest = _state(self.network)
        moved = {name for name, value in self.latest.items() if not torch.equal(value, self.before[name])}
        frozen = _frozen(self.network)
        assert not moved & frozen, f"{self.phase}: {sorted(moved & frozen)[0]} is frozen but has changed"
        learns = {name for name, each in self.network.named_parameters() if each.requires_grad}
        assert learns, f"{self.phase}: no parameter is trained"
        still = sorted(learns - moved)
        assert not still, f"{self.phase}: {still[0]} is trained but has not changed"
        self.network.train()
        assert _frozen(self.network) == frozen, f"{self.phase}: train() must not unfreeze parameters"
        return Verdict.CONTINUE


class _Killed(Exception):
    pass


@dataclass(frozen=True)
class _Kill:
    round: int

    def __call__(self, report: RoundReport) -> Verdict:
        if report.round == self.round:
            raise _Killed
        return Verdict.CONTINUE


@cache
def _backbone(num_classes: int) -> Backbone:
    with seeded(0):
        return load_backbone(smallest_backbone(num_classes), num_classes=num_classes, input_size=SIZE)


def _network(task: Task, choice: TrainingChoice) -> EarlyExitNetwork:
    backbone = _backbone(task.num_classes)
    names = [point.name for point in backbone.cut_points]
    placed = (Placed(names[0], PoolFc(pool="avg", size=2)), Placed(names[2], PoolFc(pool="avg", size=2)))
    design = Design(
        backbone="smallest", num_classes=task.num_classes, inputs=image_input(SIZE), branches=placed, training=choice
    )
    return build_network(design, backbone)


def _train(
    network: EarlyExitNetwork,
    task: Task,
    choice: TrainingChoice,
    epochs: float,
    after_epoch: _Watch | _Kill | None = None,
    checkpoint: Path | None = None,
    execution: Execution = PLAIN,
) -> TrainingReport:
    spec = TrainingSpec(epochs=epochs, batch_size=BATCH)
    return train_network(
        network,
        task,
        TrainingPlan(choice=choice, spec=spec, costs=COSTS, seed=1, execution=execution),
        after_epoch=after_epoch,
        checkpoint=None if checkpoint is None else Checkpoint(checkpoint),
    )


@torch.no_grad()
def _scramble(network: EarlyExitNetwork) -> None:
    """Change all weights, so that a resumed training depends on its checkpoint alone."""
    for value in network.parameters():
        value.add_(1.0)


def _check_end(
    network: EarlyExitNetwork, report: TrainingReport, task: Task, choice: TrainingChoice, epochs: float
) -> None:
    assert not any(module.training for module in network.modules()), "a trained network must be in eval mode"
    assert all(each.requires_grad for each in network.parameters()), "training must unfreeze all parameters at the end"
    size = task.num_classes
    for logits in network(torch.zeros(1, 3, SIZE, SIZE)):
        assert logits.shape == (1, size), f"one sample must give logits (1, {size}), got {tuple(logits.shape)}"
        assert torch.isfinite(logits).all(), "logits must be finite"
    train = len(task.train.held_out()[0]) if choice.patience else len(task.train)
    budget = epochs * (train // BATCH * BATCH)
    least = 1 if choice.patience else budget
    kept = least <= report.samples < budget + BATCH
    assert kept, f"the budget is {budget:g} samples, got {report.samples}"


def _check_autocast(task: Task, choice: TrainingChoice) -> None:
    """Check some steps in bfloat16 and channels-last layout, on the CPU and on a CUDA device if there is one."""
    execution = Execution(channels_last=True, autocast=torch.bfloat16)
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        network = _network(task, choice).to(device)
        report = _train(network, task, choice, 0.3, execution=execution)
        assert all(isfinite(loss) for loss in report.losses), f"losses under autocast on {device} must be finite"
        kinds = {each.dtype for each in network.parameters()}
        assert kinds == {torch.float32}, f"weights must stay float32 under autocast, got {kinds}"


def _check_same(one: EarlyExitNetwork, other: EarlyExitNetwork, rule: str) -> None:
    theirs = other.state_dict()
    for name, value in split_state(one.state_dict())[0].items():
        assert torch.equal(value, theirs[name]), f"{rule}: {name} differs"


def _state(network: EarlyExitNetwork) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in split_state(network.state_dict())[0].items()}


def _frozen(network: EarlyExitNetwork) -> set[str]:
    """Return the names of all parameters without gradient, and of the buffers in their modules."""
    found: set[str] = set()
    for path, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if own and not any(each.requires_grad for each in own.values()):
            assert not module.training, f"{path} is frozen and must be in eval mode"
            found |= {f"{path}.{name}" for name in (*own, *(name for name, _ in module.named_buffers(recurse=False)))}
    return found
