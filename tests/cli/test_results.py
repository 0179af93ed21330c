"""A study without a front says why."""

from types import SimpleNamespace

from eenas.cli.results import without_front


def trial(points=(1,), violations=()):
    return SimpleNamespace(points=points, violations=violations)


def test_no_trial_has_finished():
    assert "no trial has finished" in without_front(SimpleNamespace(trials=(trial(points=()),)))


def test_no_design_keeps_the_constraints():
    trials = (
        trial(violations=("min_accuracy by 0.1",)),
        trial(violations=("min_accuracy by 0.2", "max_branches by 1")),
    )
    text = without_front(SimpleNamespace(trials=(*trials, trial(points=()))))
    assert "min_accuracy (2 of 2), max_branches (1 of 2)" in text
    assert "\n" not in text
