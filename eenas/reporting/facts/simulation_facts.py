"""The facts of a simulated controller: rows for a table, a summary, and plain data for JSON."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eenas.percent import percent
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.recording import Recording
from eenas.policies.controllers.simulation import FINAL, RANDOM, Course, Simulation, StreamOutcome, simulate_stream
from eenas.policies.controllers.stream import Stream
from eenas.policies.kinds.threshold import own_thresholds
from eenas.reporting.facts.picked import Picked, of_point
from eenas.specs import digest


@dataclass(frozen=True, kw_only=True)
class SimulationRow:
    """A strategy as texts: pseudo-regret with its range over seeds, regret per sample, and means over the stream."""

    name: str
    regret: str
    sample_regret: str
    reward: str
    accuracy: str
    cost: str
    leaving: str


@dataclass(frozen=True, kw_only=True)
class ArmRow:
    """An arm as texts: its mean reward in each phase, the best one of a phase marked, and the share of rounds."""

    name: str
    means: tuple[str, ...]


def adapted(picked: Picked, rounds: int = 5000, seeds: int = 3) -> Simulation:
    """Return the simulation of AdaEE with its defaults on a network's validation split, as it would run on a device."""
    recording = Recording.of(
        picked.validation,
        picked.temperatures.tolist(),
        name=of_point(picked),
        thresholds=own_thresholds(picked.item.point.policy),
    )
    return simulate_stream(AdaEE(), recording, Stream(rounds=rounds), seeds=seeds)


def simulation_rows(found: Simulation, fixed: int = 3) -> list[SimulationRow]:
    """Return the controller, the `fixed` best arms alone, a random arm and the final exit only."""
    lowest, highest = (pick(each.regret for each in found.outcomes) for pick in (min, max))
    spread = "" if len(found.outcomes) == 1 else f" ({lowest:,.1f} to {highest:,.1f})"
    mean = mean_outcome(found)
    best = sorted(set(found.names()), key=lambda name: found.baselines[name].regret)[:fixed]
    others = [(f"fixed {name}", found.baselines[name]) for name in best]
    others += [(name, found.baselines[name]) for name in (RANDOM, FINAL)]
    return [_row(found.kind.kind, mean, spread), *(_row(name, each) for name, each in others)]


def arm_rows(found: Simulation) -> list[ArmRow]:
    """Return the mean reward of each arm in each phase."""
    rows = []
    for number, name in enumerate(found.names()):
        means = [f"{phase.means[number]:.4f}{' *' if number == phase.best else ''}" for phase in found.phases]
        rows.append(ArmRow(name=name, means=tuple(means)))
    return rows


def simulation_summary(found: Simulation) -> list[str]:
    """Return sentences on the stream and the best fixed arm, and on confidences that were replaced."""
    phases = ", ".join(phase.name for phase in found.phases)
    seeds = f"{len(found.outcomes)} seed{'s' * (len(found.outcomes) != 1)}"
    lines = [
        f"{found.recording}: {found.samples:,} samples of {len(found.exits)} exits; {found.stream.rounds:,} rounds "
        f"({phases}), {seeds}.",
        f"The best fixed arm over the whole stream is {found.best_fixed}.",
    ]
    if found.replaced:
        lines.append(f"{found.replaced:,} confidences were not finite and count as 0.")
    return lines


def mean_outcome(found: Simulation) -> StreamOutcome:
    """Return the mean over the seeds."""
    tables = [asdict(each) for each in found.outcomes]
    accuracy = [each["accuracy"] for each in tables]
    means = {name: float(np.mean([each[name] for each in tables])) for name in tables[0] if name != "accuracy"}
    return StreamOutcome(accuracy=None if None in accuracy else float(np.mean(accuracy)), **means)


def simulation_table(found: Simulation) -> dict[str, Any]:
    """Return everything as plain data for JSON."""
    settings = found.kind.to_table()
    return {
        "recording": found.recording,
        "samples": found.samples,
        "replaced": found.replaced,
        "exits": list(found.exits),
        "controller": settings,
        "digest": digest(settings),
        "stream": {**asdict(found.stream), "phases": list(found.stream.phases)},
        "arms": [{"name": name, "thresholds": list(arm)} for name, arm in zip(found.names(), found.arms, strict=True)],
        "phases": [
            {**asdict(each), "means": list(each.means), "best": found.names()[each.best]} for each in found.phases
        ],
        "best_fixed": found.best_fixed,
        "mean": asdict(mean_outcome(found)),
        "seeds": [
            {"seed": seed, **asdict(outcome), "over_time": _course(course)}
            for seed, (outcome, course) in enumerate(zip(found.outcomes, found.courses, strict=True))
        ],
        "baselines": {name: asdict(each) for name, each in found.baselines.items()},
    }


def _course(course: Course) -> dict[str, Any]:
    return {name: None if each is None else each.tolist() for name, each in vars(course).items()}


def _row(name: str, found: StreamOutcome, spread: str = "") -> SimulationRow:
    return SimulationRow(
        name=name,
        regret=f"{found.regret:,.1f}{spread}",
        sample_regret=f"{found.sample_regret:.4f}",
        reward=f"{found.reward:.4f}",
        accuracy="–" if found.accuracy is None else percent(found.accuracy),
        cost=percent(found.cost, 0),
        leaving=percent(found.leaving, 0),
    )
