"""One trial, from proposal to scores: draw, resolve, build, train briefly, tabulate, fit, score, record."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import optuna

from eenas.designs.design import Design
from eenas.designs.domains import Categorical, Domain, IntRange
from eenas.designs.proposal import draw
from eenas.designs.resolve import resolve
from eenas.errors import InfeasibleError
from eenas.fronts.hypervolume import REFERENCE_COST
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table, with_distorted
from eenas.policies.contexts.robustness import MEASURES
from eenas.policies.costs import ALONE
from eenas.policies.exit_table import ExitTable
from eenas.records.trials import TrialRecord, TrialState
from eenas.study.context.bank import Bank
from eenas.study.context.latencies import refuse_cells, refuse_untimed
from eenas.study.context.study_context import StudyContext
from eenas.study.context.tiers import timed_elsewhere
from eenas.study.rivals.known_networks import FROZEN
from eenas.study.settings.search_spec import ACCURACY
from eenas.study.trials.design_training import DesignTraining, inherits, network_digest, train_design
from eenas.study.trials.finder import Finder
from eenas.study.trials.pruner import TrialPruner
from eenas.study.trials.pruning import PruningRule
from eenas.study.trials.scores import Scores, score_tables
from eenas.study.trials.trial_experts import has_experts, trial_tables
from eenas.training.trainer import RoundReport, Verdict


@dataclass(frozen=True)
class Outcome:
    """The result of a trial: its record, scores and exit tables.

    `tables` holds the exit tables by split. The keys of those on the frozen backbone start with FROZEN.
    """

    record: TrialRecord
    tables: Mapping[str, ExitTable]
    scores: Scores | None


def propose(trial: optuna.Trial, context: StudyContext, bank: Bank) -> Design:
    """Draw a proposal and resolve it to a design. A learned placement or structure trains branches first.

    Raises InfeasibleError if the proposal cannot be repaired.
    """

    def suggest(name: str, domain: Domain) -> Any:
        if isinstance(domain, Categorical):
            return trial.suggest_categorical(name, list(domain.choices))
        if isinstance(domain, IntRange):
            return trial.suggest_int(name, domain.low, domain.high, step=domain.step, log=domain.log)
        return trial.suggest_float(name, domain.low, domain.high, step=domain.step, log=domain.log)

    space, finder = context.settings.space, Finder(context, bank)
    proposal = draw(space, suggest)
    elsewhere = timed_elsewhere(context.latencies, context.tiers)
    for each in elsewhere:
        refuse_cells(proposal, space, each)
    design = resolve(proposal, space, context.profiled_backbone, chooser=finder.choose, learner=finder.learn)
    for each in elsewhere:
        refuse_untimed(design, context.profile, each)
    return design


def infeasible_record(error: InfeasibleError, context: StudyContext, *, study: str, number: int) -> TrialRecord:
    """Return the record of a proposal that cannot be built: the worst scores and a violated constraint."""
    whole = context.costs(context.plain_design()).costs.under_best(ALONE).of_exit(-1)
    worst = {name: REFERENCE_COST * value for name, value in whole.items()}
    worst |= dict.fromkeys((ACCURACY, *MEASURES), 1.0 / context.task.num_classes)
    return TrialRecord(
        study=study,
        number=number,
        state="infeasible",
        values=tuple(worst.get(name, 0.0) for name in context.settings.search.objectives),
        violations={"buildable": 1.0},
        reason=str(error),
    )


def run_trial(
    design: Design,
    context: StudyContext,
    rule: PruningRule,
    *,
    study: str,
    number: int,
    bank: Bank | None = None,
    earlier: Outcome | None = None,
) -> Outcome:
    """Train the network of `design` briefly and score it. The tables of `earlier`, the same network, are copied.

    With `bank`, the branches start from their banked weights, and the scores on the frozen backbone are recorded too.
    Raises TrainingError if the loss is not finite or memory runs out, and MeasurementError.
    """
    start = time.monotonic()
    costs = context.costs(design)
    state: TrialState
    tables: Mapping[str, ExitTable]
    frozen: Mapping[str, ExitTable] = {}
    reason, samples = None, 0
    if earlier is not None:
        splits = costs.costs.splits  # those of this policy, which may need other logits behind the split
        tables = earlier.tables
        if splits is not None:
            tables = {name: replace(own, costs=replace(own.costs, splits=splits)) for name, own in tables.items()}
        state, reason = "copied", f"the same network as trial {earlier.record.number}"
        costs = replace(costs, parameters=earlier.record.parameters or costs.parameters)
    elif not design.branches:
        tables, state = {split: context.plain_table(split) for split in with_distorted(context.task)}, "complete"
    else:
        lender = bank if inherits(design) else None
        if lender is not None:
            before = lender.samples
            frozen = lender.exit_tables(design, costs)
            samples = lender.samples - before
        pruner = TrialPruner(design, context, rule, frozen)
        tables, seen, costs = _train(design, costs, context, pruner, lender)
        pruner.finish(number, tables["calibration"])
        samples += seen
        state, reason = ("stopped" if pruner.reason else "complete"), pruner.reason
    backbone_macs, constraints = context.profile.total_macs, context.settings.constraints
    scores = score_tables(design, tables, costs, constraints, backbone_macs=backbone_macs)
    frozen = {} if has_experts(design) else frozen  # those tables are of a network without them
    before_training = score_tables(design, frozen, costs, constraints, backbone_macs=backbone_macs) if frozen else None
    record = TrialRecord(
        study=study,
        number=number,
        state=state,
        design_digest=network_digest(design),
        design=design,
        points=scores.points,
        chosen=scores.chosen,
        values=scores.values(context.settings.search.objectives),
        exit_accuracy=scores.exit_accuracy,
        frozen_points=() if before_training is None else before_training.points,
        frozen_right=() if before_training is None else before_training.right,
        right=scores.right,
        parameters=costs.parameters,
        violations=scores.violations,
        seconds=time.monotonic() - start,
        samples=samples,
        reason=reason,
    )
    kept = {f"{FROZEN}{split}": table for split, table in frozen.items()}
    return Outcome(record, {**tables, **kept}, scores)


def _train(
    design: Design, costs: ExitCosts, context: StudyContext, pruner: TrialPruner, bank: Bank | None
) -> tuple[Mapping[str, ExitTable], int, ExitCosts]:
    settings = context.settings

    def after_epoch(report: RoundReport) -> Verdict:
        if not settings.search.prune or report.progress >= 0.99:
            return Verdict.CONTINUE
        table = exit_table(report.network, pruner.part, costs)
        return Verdict.STOP if pruner.is_over(report.progress, table) else Verdict.CONTINUE

    network, report = train_design(design, context, DesignTraining.brief(context, bank=bank), after_epoch)
    found = trial_tables(network, context, costs)
    return found.tables, report.samples + found.samples, found.costs
