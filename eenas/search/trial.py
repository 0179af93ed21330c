"""One trial, from proposal to scores: draw, resolve, build, train briefly, tabulate, fit, score, record."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna

from eenas.designs.design import Design, PolicyChoice
from eenas.designs.domains import Categorical, Domain, IntRange
from eenas.designs.proposal import draw
from eenas.designs.resolve import resolve
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.policies.exit_table import ExitTable
from eenas.records.trials import TrialRecord, TrialState
from eenas.search.finder import Finder
from eenas.search.hopeless import HopelessRule
from eenas.search.preparation import Ground
from eenas.search.scores import Scores, score_tables
from eenas.seeding import derive
from eenas.tasks.split import Split
from eenas.training.trainer import RoundReport, Verdict, train_network


@dataclass(frozen=True)
class Outcome:
    """What a trial came to; tables are None where there was nothing to train."""

    record: TrialRecord
    tables: Mapping[str, ExitTable]
    scores: Scores | None


def propose(trial: optuna.Trial, ground: Ground) -> Design:
    """Draw a proposal and resolve it, which trains branches where their place or structure is learned.

    Raises InfeasibleError for a proposal that no repair turns into a design.
    """

    def suggest(name: str, domain: Domain) -> Any:
        if isinstance(domain, Categorical):
            return trial.suggest_categorical(name, list(domain.choices))
        if isinstance(domain, IntRange):
            return trial.suggest_int(name, domain.low, domain.high, step=domain.step, log=domain.log)
        return trial.suggest_float(name, domain.low, domain.high, step=domain.step, log=domain.log)

    space, finder = ground.settings.space, Finder(ground)
    return resolve(
        draw(space, suggest),
        space,
        ground.profile,
        num_classes=ground.backbone.num_classes,
        input_size=ground.backbone.transform.size,
        branch_macs=ground.branch_macs,
        chooser=finder.choose,
        learner=finder.learn,
    )


def network_digest(design: Design) -> str:
    """The digest of what is trained: the design without its policy, which is fitted afterwards."""
    return replace(design, policy=PolicyChoice()).digest


def run_trial(
    design: Design, ground: Ground, rule: HopelessRule, *, study: str, number: int, earlier: Outcome | None = None
) -> Outcome:
    """Train the network of `design` briefly and score it; `earlier` is a trial that trained the same network.

    Raises TrainingError for a loss that is not finite and for lack of memory, and MeasurementError.
    """
    start = time.monotonic()
    costs = ground.costs(design)
    state: TrialState
    reason: str | None
    stopped, samples = False, 0
    if earlier is not None:
        tables, state, reason = earlier.tables, "copied", f"the same network as trial {earlier.record.number}"
    elif not design.branches:
        tables, state, reason = _plain_tables(ground), "complete", None
    else:
        tables, samples, stopped = _train(design, costs, ground, rule)
        state = "stopped" if stopped else "complete"
        reason = "hopeless: its curve stayed below the earlier trials'" if stopped else None
    scores = score_tables(design, tables, costs, ground.settings.constraints, backbone_macs=ground.profile.total_macs)
    record = TrialRecord(
        study=study,
        number=number,
        state=state,
        design_digest=network_digest(design),
        design=design.to_table(),
        points=[point.to_table() for point in scores.points],
        chosen=scores.chosen.to_table(),
        values=scores.values(ground.settings.search.objectives),
        exit_accuracy=list(scores.exit_accuracy),
        violations=dict(scores.violations),
        seconds=time.monotonic() - start,
        samples=samples,
        reason=reason,
    )
    return Outcome(record, tables, scores)


def _plain_tables(ground: Ground) -> dict[str, ExitTable]:
    return {split: ground.plain_table(split) for split in ("calibration", "validation")}


def _train(
    design: Design, costs: ExitCosts, ground: Ground, rule: HopelessRule
) -> tuple[dict[str, ExitTable], int, bool]:
    network = ground.build(design)
    settings, task = ground.settings, ground.task

    def after_epoch(report: RoundReport) -> Verdict:
        if not settings.search.stop_hopeless or report.progress >= 0.99:
            return Verdict.CONTINUE
        table = exit_table(network, _part(task.calibration), costs)
        method, score = design.training.method, design.policy.score
        macs = ground.profile.total_macs
        bad = rule.is_hopeless(report.progress, table, method=method, backbone_macs=macs, score=score)
        return Verdict.STOP if bad else Verdict.CONTINUE

    report = train_network(
        network,
        task,
        choice=design.training,
        spec=settings.training,
        costs=costs.macs.tolist(),
        seed=derive(settings.seed, "trial", network_digest(design)),
        execution=ground.execution,
        after_epoch=after_epoch,
    )
    tables = {split: exit_table(network, task.split(split), costs) for split in ("calibration", "validation")}
    return tables, report.samples, report.stopped


def _part(split: Split, limit: int = 1000) -> Split:
    """Some samples of a split, always the same: enough to see whether a trial is hopeless."""
    if len(split) <= limit:
        return split
    return split.subset(np.random.default_rng(0).permutation(len(split))[:limit])
