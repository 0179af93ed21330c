"""The rivals of a full training: the plain backbone, and optionally static networks and branches placed by hand."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Design
from eenas.fronts.hypervolume import REFERENCE_COST, most_added
from eenas.names import file_part
from eenas.networks.tables import exit_tables
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import COMMON
from eenas.policies.rule import Rule
from eenas.results.front import area_by_macs
from eenas.results.results import StudyResults
from eenas.runs.train_fully import REPORTED, train_fully
from eenas.study.context.study_context import StudyContext
from eenas.study.rivals.known_networks import BACKBONE, KnownNetwork
from eenas.training.process_group import ProcessGroup


@dataclass(frozen=True)
class TrainedBaseline:
    """The exit tables of a rival on calibration and test, and the rule by which its policies are fitted."""

    name: str
    calibration: ExitTable
    test: ExitTable
    rule: Rule = COMMON


def plain_baseline(context: StudyContext) -> TrainedBaseline:
    """Return the prepared backbone as a baseline, without training."""
    return TrainedBaseline(BACKBONE, _as_user_runs(context, "calibration"), _as_user_runs(context, "test"))


def run_rivals(
    context: StudyContext, results: StudyResults, chosen: Design, folder: Path, group: ProcessGroup
) -> tuple[TrainedBaseline, ...]:
    """Train the rivals of a design with its budget, each in a folder below that of the run, and evaluate them on test.

    They are the most promising static networks of the study (`baselines.static` of them), its published networks, and
    the best design placed by hand. All processes train. Only process 0 evaluates on the test split; the others return
    no baselines.
    """
    spec = context.settings.baselines.training or context.settings.full_training
    found = []
    for rival in rivals(results, context.settings.baselines.static):
        design = rival.design
        name = rival.origin.removeprefix("known: ") or rival.name
        is_chosen = (design.architecture_digest, design.training) == (chosen.architecture_digest, chosen.training)
        trained = train_fully(
            design,
            context,
            spec=spec,
            folder=folder
            if is_chosen and spec == context.settings.full_training
            else folder / "baselines" / file_part(name.replace(" ", "-")),
            phase=f"training {name}",
            group=group,
        )
        if group.rank == 0:
            tables = exit_tables(trained.network, context.task, context.costs(design), REPORTED)
            rule = Rule.of(design.policy) if rival.kind == "published" else Rule(score=design.policy.score)
            found.append(TrainedBaseline(name, tables["calibration"], tables["test"], rule))
    return tuple(found)


def rivals(results: StudyResults, static: int) -> list[KnownNetwork]:
    """Return the networks to compare a design with: up to `static` static ones, published ones, one placed by hand."""
    ended = [network for network in results.networks if network.kind == "static" and network.points]
    curves = [_curve(network, results) for network in ended]
    taken = most_added(curves, static, reference_cost=REFERENCE_COST, reference_accuracy=results.chance)
    placed = [each for each in results.networks if each.kind == "trial" and each.family == "uniform by hand"]
    best = max(placed, key=lambda each: area_by_macs(each.points, results.backbone, results.chance), default=None)
    published = [network for network in results.networks if network.kind == "published"]
    return [*(ended[index] for index in sorted(taken)), *published, *([] if best is None else [best])]


def _curve(network: KnownNetwork, results: StudyResults) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = network.points
    return (
        np.array([point.accuracy for point in points]),
        np.array([point.expected[MACS] / results.backbone.macs for point in points]),
    )


def _as_user_runs(context: StudyContext, split: str) -> ExitTable:
    """Return the exit table of the plain backbone with its latency as one uncut model."""
    return replace(context.plain_table(split), costs=context.plain_costs())
