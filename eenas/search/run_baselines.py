"""The baselines of full training: the plain backbone, truncated networks and a hand-placed one, trained as fully."""

from dataclasses import dataclass, replace
from pathlib import Path

from eenas.designs.design import Design, TrainingChoice
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.networks.truncated import TruncatedNetwork
from eenas.policies.exit_table import ExitTable
from eenas.policies.operating_point import OperatingPoint
from eenas.progress import Listener
from eenas.search.baselines import plain_point, single_exit, static_costs, static_designs
from eenas.search.preparation import Ground
from eenas.search.read import area_by_macs
from eenas.search.results import StudyResults, TrialResult
from eenas.search.train_fully import train_fully
from eenas.training.world import World


@dataclass(frozen=True)
class TrainedBaseline:
    """A baseline on the test split: a static point, or the tables of a network with exits."""

    name: str
    point: OperatingPoint | None = None
    score: str = "max_softmax"
    calibration: ExitTable | None = None
    test: ExitTable | None = None


def run_baselines(
    ground: Ground, results: StudyResults, chosen: Design, folder: Path, world: World, listener: Listener
) -> tuple[TrainedBaseline, ...]:
    """Train what `[baselines]` asks for, each in its own folder below the run's, and run it on the test split.

    All processes train; what is run on the test split is run in process 0, and the others get nothing back.
    """
    wanted = ground.settings.baselines
    spec = wanted.training or ground.settings.full_training
    found = []
    if world.rank == 0:
        found.append(TrainedBaseline("backbone", plain_point(ground, ground.plain_table("test"))))
    if wanted.truncated:
        for name, design in static_designs(ground).items():
            built = ground.build(design)
            cut_point = design.branches[0].cut_point
            network = TruncatedNetwork(
                built.backbone, cut_point, built.branches.at(cut_point), design=design, transform=built.transform
            )
            network.drop_unreached()
            macs, latency = static_costs(ground, design)
            train_fully(
                network,
                ground,
                choice=replace(design.training, learning_rate=_rate(results)),
                spec=spec,
                costs=[macs],
                folder=folder / "baselines" / name.replace(" ", "-").replace("%", ""),
                phase=f"training {name}",
                world=world,
                listener=listener,
            )
            if world.rank != 0:
                continue
            costs = ground.costs(design)
            table = exit_table(network, ground.task.test, ExitCosts(costs.macs[:1], None, costs.parameters))
            found.append(TrainedBaseline(name, single_exit(table, 0, macs=macs, latency_ms=latency)))
    hand_placed = _best_uniform(results)
    if wanted.uniform and hand_placed is not None and hand_placed.design is not None:
        design = hand_placed.design
        name = hand_placed.origin.removeprefix("known: ")
        with_exits, costs = ground.build(design), ground.costs(design)
        theirs = folder / "baselines" / name.replace(" ", "-")
        is_chosen = (design.architecture_digest, design.training) == (chosen.architecture_digest, chosen.training)
        train_fully(
            with_exits,
            ground,
            choice=design.training,
            spec=spec,
            costs=costs.macs.tolist(),
            folder=folder if is_chosen and spec == ground.settings.full_training else theirs,
            phase=f"training {name}",
            world=world,
            listener=listener,
        )
        if world.rank == 0:
            tables = [exit_table(with_exits, ground.task.split(split), costs) for split in ("calibration", "test")]
            found.append(TrainedBaseline(name, None, design.policy.score, *tables))
    return tuple(found)


def _best_uniform(results: StudyResults) -> TrialResult | None:
    """The hand-placed trial of the study with the largest area."""
    placed = [trial for trial in results.trials if trial.origin.startswith("known: uniform") and trial.points]
    chance = results.chance
    return max(placed, key=lambda trial: area_by_macs(trial.points, results.backbone, chance), default=None)


def _rate(results: StudyResults) -> float:
    """The learning rate that hand-placed designs of the study use, so that no baseline is starved."""
    best = _best_uniform(results)
    training = best.design.training if best is not None and best.design is not None else TrainingChoice()
    return training.learning_rate
