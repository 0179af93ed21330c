"""Which design is trained fully."""

from dataclasses import replace

import pytest

from eenas.errors import DesignError, ExportError, FrontError, StudyError
from eenas.search.choice import Choice, choose_design


def test_the_knee_by_default(smallest_study):
    knee = next(entry for entry in smallest_study.results.front if entry.knee)
    chosen = choose_design(smallest_study.results, Choice())
    assert chosen.trial == knee.trial
    assert chosen.estimate == knee.point
    assert chosen.design.architecture_digest == knee.design.architecture_digest
    assert chosen.design.policy.target_macs == pytest.approx(min(1.0, knee.macs_share), abs=1e-4)


def test_a_limit_on_accuracy_takes_the_cheapest_and_one_on_macs_the_most_accurate(smallest_study):
    results = smallest_study.results
    chosen = choose_design(results, Choice(max_accuracy_drop=0.1))
    good = [e for e in results.front if e.point.accuracy >= results.backbone.accuracy - 0.1]
    assert chosen.estimate.expected_macs == min(entry.point.expected_macs for entry in good)
    chosen = choose_design(results, Choice(max_macs=0.5))
    cheap = [entry for entry in results.front if entry.macs_share <= 0.5]
    assert chosen.estimate.accuracy == max(entry.point.accuracy for entry in cheap)
    assert chosen.design.policy.target_macs <= 0.5


def test_a_point_of_another_kind_than_the_drawn_one_is_trained_for_its_own(smallest_study):
    results = smallest_study.results
    drawn = [
        replace(entry, design=replace(entry.design, policy=replace(entry.design.policy, kind="patience")))
        for entry in results.front
        if entry.design.branches
    ]
    chosen = choose_design(replace(results, front=tuple(drawn)), Choice(max_macs=1.0))
    assert chosen.design.policy.kind == "threshold"
    assert chosen.design.policy.target_macs <= 1


def test_a_trial_keeps_its_own_target(smallest_study):
    trial = smallest_study.results.trials[2]
    chosen = choose_design(smallest_study.results, Choice(trial=2))
    assert (chosen.design, chosen.trial, chosen.estimate) == (trial.design, 2, trial.chosen)


def test_a_design_file_has_no_estimate(smallest_study, tmp_path):
    design = smallest_study.results.trials[1].design
    (tmp_path / "design.json").write_text(design.to_json())
    chosen = choose_design(smallest_study.results, Choice(design_file=tmp_path / "design.json"))
    assert (chosen.design, chosen.trial, chosen.estimate) == (design, None, None)
    with pytest.raises(ExportError, match="cannot be read"):
        choose_design(smallest_study.results, Choice(design_file=tmp_path / "none.json"))
    (tmp_path / "design.json").write_text("{}")
    with pytest.raises(DesignError, match="is missing"):
        choose_design(smallest_study.results, Choice(design_file=tmp_path / "design.json"))


def test_what_cannot_be_chosen_says_what_can(smallest_study):
    results = smallest_study.results
    with pytest.raises(StudyError, match=r"trial 77 .* usable trials: \[0, 1, 2, 3\]"):
        choose_design(results, Choice(trial=77))
    with pytest.raises(FrontError, match="no front yet"):
        choose_design(replace(results, front=()), Choice())
    with pytest.raises(FrontError, match="one way only, got trial and max_macs"):
        Choice(trial=1, max_macs=0.5)
    with pytest.raises(FrontError):
        choose_design(results, Choice(max_macs=1e-6))


@pytest.mark.parametrize("value", [-0.1, 1.0, 5.0, float("nan")])
def test_a_drop_is_a_share_and_not_a_percentage(value):
    with pytest.raises(FrontError, match=r"0\.01 is one point"):
        Choice(max_accuracy_drop=value)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_on_macs_is_a_positive_share(value):
    with pytest.raises(FrontError, match=r"0\.5 is half"):
        Choice(max_macs=value)
