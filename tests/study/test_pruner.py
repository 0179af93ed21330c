"""When a trial is pruned, on made-up tables."""

from types import SimpleNamespace

import numpy as np
import pytest

from eenas.branches.fc import Fc
from eenas.designs.design import Placed, PolicyChoice
from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.records.database import Database
from eenas.records.learning_curves import LearningCurves
from eenas.study.rivals.frozen_front import FrozenFront
from eenas.study.trials.pruner import LIMIT, TrialPruner
from eenas.study.trials.pruning import PruningRule, curve_hypervolume
from eenas.tasks.task import Task
from tests.smallest_networks import small_design

LABELS = np.random.default_rng(0).integers(4, size=1500)


def table(skill, rows=None):
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(len(LABELS), 2, 4)).astype(np.float32)
    logits[np.arange(len(LABELS)), :, LABELS] += skill
    rows = slice(None) if rows is None else rows
    return ExitTable(
        logits=logits[rows], labels=LABELS[rows], exits=("a", "final"), costs=Costs.of(macs=np.array([50.0, 100.0]))
    )


def new_rule(front=None):
    return PruningRule(LearningCurves(Database("sqlite://")), "study", front)


def pruner(frozen, *, rule=None, front=None, target=0.5):
    images = np.zeros((len(LABELS), 8, 8, 3), dtype=np.uint8)
    split = Task.from_arrays("t", images, LABELS, flip=False).train
    task = SimpleNamespace(calibration=split)
    context = SimpleNamespace(task=task, profile=SimpleNamespace(total_macs=100.0))
    design = small_design(Placed("a", Fc()), policy=PolicyChoice(target_macs=target))
    tables = {} if frozen is None else {"calibration": frozen}
    return TrialPruner(design, context, rule or new_rule(front), tables)


def rows_of(one):
    return one._indices


def test_it_looks_at_some_samples_always_the_same():
    one, other = pruner(None), pruner(None)
    assert len(one.part) == min(LIMIT, len(one._context.task.calibration))
    assert (rows_of(one) == rows_of(other)).all()


@pytest.mark.parametrize(("rise", "over"), [(0.0, True), (0.5, False)])
def test_training_that_will_not_get_above_the_frozen_network_ends(rise, over):
    rule = new_rule()
    one = pruner(table(3.0), rule=rule)
    low = table(1.5, rows_of(one))
    value = curve_hypervolume(low, backbone_macs=100.0, score="max_softmax")
    assert not one.is_over(0.5, low)  # nobody has ended yet, so that no rise is known
    for number in range(2):
        rule.add(number, one._design.training.method, ((0.5, value), (1.0, value + rise)))
    assert not one.is_over(0.25, low)
    assert one.is_over(0.5, low) is over
    assert (one.reason is not None) is over
    assert not over or "below its own branches" in one.reason


def test_what_is_lost_above_its_own_target_ends_no_trial():
    def answers(first, final):
        made = table(0.0)
        for index, skill in enumerate((first, final)):
            made.logits[np.arange(len(LABELS)), index, LABELS] += skill
        return made

    rule = new_rule()
    frozen, trained = answers(0.8, 6.0), answers(1.2, 1.2)
    low, high = (pruner(frozen, rule=rule, target=target) for target in (0.5, 1.0))
    before = low._area(low._rows(trained))
    assert before < low._frozen_area
    for number in range(2):
        rule.add(number, low._design.training.method, ((0.5, before), (1.0, before)))
    assert not low.is_over(0.5, low._rows(trained))
    assert high.is_over(0.5, high._rows(trained))


def test_a_curve_far_below_the_front_ends_and_one_near_it_does_not():
    front = FrozenFront(accuracy=np.array([0.9, 0.95]), cost=np.array([0.1, 0.9]))
    bad, good = pruner(table(0.1), front=front), pruner(table(0.1), front=front)
    assert bad.is_over(0.5, table(0.5, rows_of(bad)))
    assert "frozen front" in bad.reason
    assert not good.is_over(0.5, table(6.0, rows_of(good)))


def test_without_a_bank_only_earlier_trials_count():
    front = FrozenFront(accuracy=np.array([1.0]), cost=np.array([0.1]))
    one = pruner(None, front=front)
    assert not one.is_over(0.75, table(0.0, rows_of(one)))


def test_a_trial_that_ended_tells_the_later_ones():
    rule = new_rule()
    for number in range(2):
        one = pruner(table(1.0), rule=rule)
        one.is_over(0.5, table(1.0, rows_of(one)))
        one.finish(number, table(3.0))
    assert rule.rise(0.5, method=one._design.training.method) > 0.1


def test_a_pruned_trial_has_no_end():
    rule = new_rule(FrozenFront(accuracy=np.array([0.9]), cost=np.array([0.1])))
    for number in range(2):
        one = pruner(table(3.0), rule=rule)
        assert one.is_over(0.5, table(0.0, rows_of(one)))
        one.finish(number, table(0.0))
    assert rule.rise(0.5, method=one._design.training.method) is None
