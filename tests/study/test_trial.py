"""One trial: everything is suggested, what is trained and what is not, and which tables are scored."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed, PolicyChoice
from eenas.designs.training_choice import TrainingChoice
from eenas.errors import DivergedError, InfeasibleError
from eenas.policies.exit_table import ExitTable
from eenas.records.learning_curves import LearningCurves
from eenas.study.context.bank import Bank
from eenas.study.rivals.known_networks import FROZEN
from eenas.study.trials import trial as module
from eenas.study.trials import trial_experts
from eenas.study.trials.pruning import PruningRule
from eenas.study.trials.scores import score_tables
from eenas.study.trials.trial import Outcome, propose, run_trial
from eenas.training.trainer import Verdict
from tests.smallest_networks import small_design
from tests.smallest_study import SETTINGS, study_context, url

QUICK = (*SETTINGS, "prepare.when=never", "training.epochs=0.2", "bank.training.samples=64")
SMALL_SPACE = ("space.branches=2", "space.branch.layers={low=1, high=3}", "space.cost_cap=1.0")


ONE = small_design(Placed("1", PoolFc(pool="avg", size=2)), policy=PolicyChoice(target_macs=0.7))


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return study_context(url(tmp_path_factory.mktemp("trial")), (*QUICK, *SMALL_SPACE))


@pytest.fixture
def run(context):
    """`run_trial` as trial 7 of a study, with a learning curve of no other trial."""
    rule = PruningRule(LearningCurves(context.database), "s")

    def go(design, *, on=context, **options):
        return run_trial(design, on, rule, study="s", number=7, **options)

    return go


@pytest.fixture
def trained(monkeypatch):
    """What stands for training: 100 samples, rounds and an error as the test says; the calls are kept."""
    seen = SimpleNamespace(calls=[], reports=[], verdicts=[], error=None)

    def train_design(design, context, training, after_epoch):
        seen.calls.append(SimpleNamespace(design=design, bank=training.bank, spec=training.spec))
        for progress in seen.reports:
            seen.verdicts.append(after_epoch(SimpleNamespace(progress=progress, network=context.build(design))))
        if seen.error is not None:
            raise seen.error
        return SimpleNamespace(design=design), SimpleNamespace(samples=100)

    def exit_tables(network, task, costs):
        return {split: table_of(costs) for split in ("calibration", "validation")}

    monkeypatch.setattr(module, "train_design", train_design)
    monkeypatch.setattr(trial_experts, "exit_tables", exit_tables)
    return seen


def table_of(costs, samples=40):
    """Exits of which each has more right than the one before, and is surer of what it has right."""
    exits, generator = len(costs.costs["macs"]), np.random.default_rng(0)
    labels = np.arange(samples) % 4
    logits = generator.normal(size=(samples, exits, 4))
    for number in range(exits):
        known = generator.random(samples) < (0.6, 0.95)[min(number, 1)]
        logits[known, number, labels[known]] += 6.0
    names = (*(f"branch{number}" for number in range(1, exits)), "final")
    return ExitTable(logits=logits.astype(np.float32), labels=labels, exits=names, costs=costs.costs)


def test_everything_is_suggested_whatever_is_drawn_as_the_space_says_it(context):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    asked = []
    for _ in range(8):
        trial = study.ask()
        with_branches = propose(trial, context, Bank(context)).branches
        asked.append((dict(trial.distributions), len(with_branches)))
    assert len({count for _, count in asked}) > 1, "designs of different sizes"
    distributions = asked[0][0]
    assert all(each == distributions for each, _ in asked)
    assert distributions["slot1.structure"] == CategoricalDistribution(("fc", "pool_fc", "conv_pool_fc"))
    assert distributions["slot2.layers"] == IntDistribution(1, 3)
    assert distributions["policy.target_macs"] == FloatDistribution(0.2, 1.0)
    assert {name.partition(".")[0] for name in distributions} >= {"slot1", "slot2", "policy"}


def test_what_cannot_be_repaired_is_infeasible(context, monkeypatch):
    def cannot(*arguments, **options):
        raise InfeasibleError("no cut point is left")

    monkeypatch.setattr(module, "resolve", cannot)
    with pytest.raises(InfeasibleError, match="no cut point is left"):
        propose(optuna.create_study().ask(), context, Bank(context))


def test_a_design_without_branches_trains_nothing_and_has_the_scores_of_the_backbone(context, run, trained):
    found = run(small_design())
    assert trained.calls == []
    assert (found.record.state, found.record.samples, found.record.reason) == ("complete", 0, None)
    assert found.record.exit_accuracy == (context.plain_table("validation").exit_accuracy()[-1],)
    assert found.tables == {split: context.plain_table(split) for split in ("calibration", "validation")}
    assert found.record.frozen_points == ()


def test_the_same_network_is_scored_anew_on_the_tables_of_before(context, run, trained):
    first = run(ONE)
    cheap = replace(ONE, policy=PolicyChoice(target_macs=0.35))
    again = run(cheap, earlier=Outcome(replace(first.record, number=3), first.tables, None))
    assert len(trained.calls) == 1
    assert (again.record.state, again.record.reason) == ("copied", "the same network as trial 3")
    assert (again.record.number, again.record.samples) == (7, 0)
    assert again.record.design_digest == first.record.design_digest
    assert again.tables["validation"] is first.tables["validation"]
    assert again.record.chosen.expected["macs"] < first.record.chosen.expected["macs"]
    assert again.record.chosen.expected["macs"] <= 0.4 * context.profile.total_macs


def test_scores_are_of_validation_at_the_point_fitted_on_calibration(context, run, trained):
    found = run(ONE)
    costs = context.costs(ONE)
    wanted = score_tables(
        ONE, found.tables, costs, context.settings.constraints, backbone_macs=context.profile.total_macs
    )
    chosen = wanted.chosen
    assert found.record.values == (chosen.accuracy, chosen.expected["macs"], chosen.expected["latency"])
    assert found.record.parameters == costs.parameters
    assert found.record.right == wanted.right
    assert found.record.design == ONE
    reversed_ = replace(
        context,
        settings=replace(context.settings, search=replace(context.settings.search, objectives=("macs", "accuracy"))),
    )
    assert run(ONE, on=reversed_).record.values == (chosen.expected["macs"], chosen.accuracy)


def test_branches_come_from_the_bank_and_what_it_trains_counts_with_the_trial(context, run, trained):
    bank = Bank(context)
    found = run(ONE, bank=bank)
    assert trained.calls[0].bank is bank
    assert found.record.samples == 100 + bank.samples > 100
    assert found.record.frozen_points
    splits = ("calibration", "validation")
    assert set(found.tables) == {*splits, *(f"{FROZEN}{split}" for split in splits)}
    assert run(ONE, bank=bank).record.samples == 100, "nothing is trained for the bank twice"


def test_boosted_exits_and_studies_without_a_bank_start_anew(context, run, trained):
    bank, boosted = Bank(context), replace(ONE, training=TrainingChoice(loss_weights="boosted"))
    for found in (run(boosted, bank=bank), run(ONE)):
        assert found.record.frozen_points == ()
        assert found.record.samples == 100
        assert set(found.tables) == {"calibration", "validation"}
    assert [call.bank for call in trained.calls] == [None, None]
    assert bank.samples == 0


@pytest.mark.parametrize(
    ("prune", "over", "verdicts"),
    [
        (True, False, [Verdict.CONTINUE] * 3),
        (True, True, [Verdict.STOP, Verdict.STOP, Verdict.CONTINUE]),
        (False, True, [Verdict.CONTINUE] * 3),
    ],
)
def test_training_asks_the_pruner_until_it_is_nearly_done(context, run, trained, monkeypatch, prune, over, verdicts):
    asked = []

    class Pruner(module.TrialPruner):
        def is_over(self, progress, table):
            asked.append((progress, len(table)))
            self.reason = "below the others" if over else None
            return over

    monkeypatch.setattr(module, "TrialPruner", Pruner)
    settings = context.settings
    given = replace(context, settings=replace(settings, search=replace(settings.search, prune=prune)))
    trained.reports = [0.25, 0.5, 0.99]
    found = run(ONE, on=given)
    assert trained.verdicts == verdicts
    assert [progress for progress, _ in asked] == ([0.25, 0.5] if prune else [])
    assert all(samples == len(context.task.calibration) for _, samples in asked), "never on validation"
    stopped = prune and over
    assert (found.record.state, found.record.reason) == (
        ("stopped", "below the others") if stopped else ("complete", None)
    )
    assert found.record.values is not None, "a trial that was stopped has scores"


def test_the_learning_curve_is_kept_for_later_trials(context, run, trained):
    run(ONE)
    curves = {curve.number: curve for curve in LearningCurves(context.database).list("s")}
    assert curves[7].method == ONE.training.method
    assert curves[7].end is not None


def test_a_training_that_diverges_is_left_to_who_asked_for_the_trial(run, trained):
    trained.error = DivergedError("the loss is not finite")
    with pytest.raises(DivergedError, match="not finite"):
        run(ONE)


def test_networks_that_differ_in_their_policy_only_are_one(run, trained):
    other = replace(ONE, branches=(Placed("1", Fc()),))
    found = [
        run(each).record.design_digest for each in (ONE, replace(ONE, policy=PolicyChoice(target_macs=0.3)), other)
    ]
    assert found[0] == found[1] != found[2]
