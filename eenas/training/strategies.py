"""Training strategies: each is a sequence of phases that one training loop runs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from eenas.designs.training_choice import Teacher, TrainingChoice
from eenas.errors import TrainingError
from eenas.plugins import Registry, call_problem, described

Trains = Literal["all", "branches", "backbone", "part"]
LOW_RATE = 0.1
"""The factor of all learning rates in a phase that trains the backbone with already trained branches."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of training with its own optimizer, warm-up and cosine schedule.

    `share` is its share of the budget; the shares of a strategy sum to one. `exits` are the rising indices of the exits
    with a loss. `trains` selects the trained weights: `all`, the `branches` of those exits, the `backbone`, or with
    `part` the segment of the backbone before exit number `part` (0 is the first) and its branch. All other weights are
    frozen: they get no gradient and stay in eval mode. `distils` is the teacher besides the labels. With `alternate`,
    the first of every two steps uses only the loss of the last exit. `rate` multiplies all learning rates,
    `backbone_rate` also that of the backbone.
    """

    name: str
    share: float
    trains: Trains
    exits: tuple[int, ...]
    part: int = 0
    distils: Teacher | None = None
    alternate: bool = False
    rate: float = 1.0
    backbone_rate: float = 1.0


def phases(choice: TrainingChoice, num_exits: int, *, static: bool = False) -> tuple[Phase, ...]:
    """Return the phases of a training choice for a network with `num_exits` exits, the last being the final exit.

    The backbone is assumed to be prepared. A network with one exit has one phase under every strategy; that exit is a
    branch in a `static` network. A backbone with learning rate 0 is frozen in every phase.
    """
    choice = choice.canonical(num_exits - 1, static=static)
    given = STRATEGIES.find(choice.method)(choice, tuple(range(num_exits)))
    found = tuple(given) if isinstance(given, Iterable) else ()
    if not found or not all(isinstance(phase, Phase) for phase in found):
        raise TrainingError(
            f"{choice.method}: a strategy must return one or more phases, got {described(given)}; return Phase values"
        )
    if choice.method not in STRATEGIES:
        _check(found, num_exits, choice.method)
    if choice.backbone_rate > 0:
        return found
    final = num_exits - 1
    kept = [_frozen(phase, final) for phase in found if num_exits == 1 or phase.exits != (final,)]
    total = sum(phase.share for phase in kept)
    return tuple(replace(phase, share=phase.share / total) for phase in kept)


Exits = tuple[int, ...]
Strategy = Callable[[TrainingChoice, Exits], Sequence[Phase]]
"""A function from a training choice and the indices of the exits to the phases, whose shares sum to one.

It is called for networks with two or more exits, the last being the backbone's own classifier.
"""


def _joint(choice: TrainingChoice, exits: Exits) -> tuple[Phase, ...]:
    """Train everything on the weighted sum of losses (Teerapittayanon et al. 2016, BranchyNet, section III-A)."""
    return (Phase(name="joint", share=1.0, trains="all", exits=exits),)


def _branch_wise(choice: TrainingChoice, exits: Exits) -> tuple[Phase, ...]:
    """Train one exit after another with the segment before it; earlier parts are frozen (Hettinger et al. 2017)."""
    share = 1.0 / len(exits)
    return tuple(
        Phase(name=f"exit {k + 1} of {len(exits)}", share=share, trains="part", exits=(k,), part=k) for k in exits
    )


def _two_stage(choice: TrainingChoice, exits: Exits) -> tuple[Phase, ...]:
    """Train branches on the frozen backbone, whose training was the first stage (Kaya et al. 2019, SDN, "IC-only")."""
    return (Phase(name="branches", share=1.0, trains="branches", exits=exits[:-1]),)


def _distillation(choice: TrainingChoice, exits: Exits) -> tuple[Phase, ...]:
    """Train everything with a teacher (Phuong and Lampert 2019; Zhang et al. 2019, "Be Your Own Teacher")."""
    return (Phase(name="distillation", share=1.0, trains="all", exits=exits, distils=choice.teacher),)


def _mixed(choice: TrainingChoice, exits: Exits) -> tuple[Phase, ...]:
    """Train the backbone, then everything (Kubaty et al. 2024, "How to Train Your Multi-Exit Model", "mixed")."""
    return (
        Phase(name="backbone", share=1 / 3, trains="backbone", exits=exits[-1:]),
        Phase(name="joint", share=2 / 3, trains="all", exits=exits),
    )


def _two_stage_joint(choice: TrainingChoice, exits: Exits) -> tuple[Phase, ...]:
    """Train branches on the frozen backbone, then everything at a tenth of the rate."""
    return (
        Phase(name="branches", share=0.5, trains="branches", exits=exits[:-1]),
        Phase(name="joint", share=0.5, trains="all", exits=exits, rate=LOW_RATE),
    )


def _two_stage_distillation(choice: TrainingChoice, exits: Exits) -> tuple[Phase, ...]:
    """Train branches on the frozen backbone, taught by its unchanged final exit."""
    return (Phase(name="branches", share=1.0, trains="branches", exits=exits[:-1], distils="final"),)


def _joint_distillation(choice: TrainingChoice, exits: Exits) -> tuple[Phase, ...]:
    """Train everything on the labels, then everything with a teacher."""
    return (
        Phase(name="joint", share=0.5, trains="all", exits=exits),
        Phase(name="distillation", share=0.5, trains="all", exits=exits, distils=choice.teacher),
    )


def _alternating(choice: TrainingChoice, exits: Exits) -> tuple[Phase, ...]:
    """Alternate steps with the final exit's loss and with all losses (Xin et al. 2021, BERxiT, section 3.2)."""
    return (Phase(name="alternating", share=1.0, trains="all", exits=exits, alternate=True),)


_OWN: dict[str, Strategy] = {
    "joint": _joint,
    "branch_wise": _branch_wise,
    "two_stage": _two_stage,
    "distillation": _distillation,
    "mixed": _mixed,
    "two_stage_joint": _two_stage_joint,
    "two_stage_distillation": _two_stage_distillation,
    "joint_distillation": _joint_distillation,
    "alternating": _alternating,
}


def _check(found: tuple[Phase, ...], num_exits: int, name: str) -> None:
    """Raise TrainingError for inconsistent phases of a custom strategy."""
    total = sum(phase.share for phase in found)
    if not all(phase.share > 0 for phase in found) or abs(total - 1.0) > 1e-6:
        raise TrainingError(f"{name}: the shares of the phases must be above 0 and sum to 1, got {total:g}")
    for phase in found:
        if not phase.exits or not set(phase.exits) <= set(range(num_exits)):
            raise TrainingError(
                f"{name}: exits of {phase.name!r} must be among 0 to {num_exits - 1}, got {phase.exits}"
            )


def _accept(name: str, found: Any) -> Strategy:
    """Return the user's function, or raise TrainingError for anything else."""
    if not callable(found):
        raise TrainingError(f"{name}: a strategy must be a function of a choice and exits, got {described(found)}")
    if (problem := call_problem(found, "choice", "exits")) is not None:
        raise TrainingError(f"{name}: {problem}")
    strategy: Strategy = found
    return strategy


STRATEGIES: Registry[Strategy] = Registry("training strategy", _OWN, accept=_accept, error=TrainingError)
"""Strategies and their hybrids by the `method` of a training choice, and custom ones."""


def _frozen(phase: Phase, final: int) -> Phase:
    """Return the phase for a frozen backbone: it trains only branches, and untrained exits have no loss."""
    exits = tuple(k for k in phase.exits if k != final) if final else phase.exits
    distils: Teacher | None = "final" if phase.distils else None
    return replace(phase, trains="branches", exits=exits, part=0, distils=distils, alternate=False)
