"""Which network is trained fully."""

import re
from dataclasses import replace

import pytest

from eenas.errors import DesignError, ExportError, FrontError, SpecError, StudyError
from eenas.records.trials import TrialRecord
from eenas.results.choice import Choice, choose_design, choose_point
from eenas.results.front import build_front
from eenas.study.rivals.offered_points import points_of
from eenas.study.settings.limits import Limits
from tests.reporting.studies import BACKBONE, ended, single, slow, study, timed

RESULTS = study(14)


def within(results, limits):
    """A study with other limits, read anew."""
    settings = replace(results.settings, constraints=limits)
    front = build_front(results.networks, results.backbone, limits, largest_class=results.largest_class)
    return replace(results, settings=settings, front=front)


def test_the_recommended_network_by_default():
    chosen = choose_design(RESULTS, Choice())
    assert chosen.estimate is RESULTS.recommended
    assert chosen.name == RESULTS.recommended.name
    assert chosen.label == RESULTS.recommended.name.replace(" ", "")
    assert chosen.design.policy.target_macs == pytest.approx(RESULTS.recommended.macs_share, abs=1e-4)


def test_the_knee_on_request():
    assert choose_point(RESULTS, Choice(knee=True)) is RESULTS.knee


def test_a_limit_on_accuracy_takes_the_cheapest_choice_and_one_on_macs_the_most_accurate_point():
    found = choose_point(RESULTS, Choice(max_accuracy_drop=0.1))
    good = [e for e in RESULTS.choices if e.kind != "plain" and e.point.accuracy >= BACKBONE.accuracy - 0.1]
    assert found.macs_share == min(entry.macs_share for entry in good)
    found = choose_design(RESULTS, Choice(limits=Limits(max_macs=0.5)))
    cheap = [entry for entry in RESULTS.front if entry.macs_share <= 0.5]
    assert found.point.accuracy == max(entry.point.accuracy for entry in cheap)
    assert found.design.policy.target_macs == 0.5, "it is trained for the budget that was asked for"
    both = choose_point(RESULTS, Choice(max_accuracy_drop=0.3, limits=Limits(max_macs=0.5)))
    assert both.macs_share <= 0.5
    assert both.point.accuracy >= BACKBONE.accuracy - 0.3


@pytest.mark.parametrize(("objectives", "milliseconds"), [(("accuracy", "macs"), 2.0), (("accuracy", "latency"), 1.0)])
def test_of_a_named_network_the_cheapest_point_is_that_of_the_study_s_cost(objectives, milliseconds):
    slow, quick = (timed(single(BACKBONE.accuracy, share), time) for share, time in ((0.5, 2.0), (0.6, 1.0)))
    network = replace(ended("static layer1.1", BACKBONE.accuracy, 0.5, True), points=(slow, quick), right=())
    settings = replace(RESULTS.settings, search=replace(RESULTS.settings.search, objectives=objectives))
    results = replace(RESULTS, networks=(network,), settings=settings)
    assert choose_design(results, Choice(network="static layer1.1")).point.expected["latency"] == milliseconds


def test_limits_are_held_point_by_point():
    limit = 0.6 * BACKBONE.macs
    found = choose_point(RESULTS, Choice(max_accuracy_drop=0.5, limits=Limits(max_worst_macs=0.6)))
    assert found.point.worst["macs"] <= limit
    held = within(RESULTS, Limits(max_worst_macs=0.6))
    assert held.front
    assert all(item.point.worst["macs"] <= limit for item in held.front)
    assert held.knee is None or held.knee.point.worst["macs"] <= limit


def test_where_nothing_holds_the_limits_the_nearest_miss_is_named_with_its_distance():
    with pytest.raises(
        FrontError, match=r"no network holds the limits; the nearest is .* misses min_accuracy by .*point"
    ):
        choose_point(RESULTS, Choice(limits=Limits(min_accuracy=0.999)))
    with pytest.raises(FrontError, match=r"misses max_worst_latency_ms by [\d.]+ ms"):
        choose_point(RESULTS, Choice(limits=Limits(max_worst_latency_ms=0.01)))


def test_a_limit_on_macs_in_per_cent_is_refused_with_the_share_that_was_meant():
    for name in ("max_macs", "max_worst_macs"):
        with pytest.raises(
            SpecError, match=rf"{name} is a share of the backbone's MACs .*, got 15; give 0.15 for 15 %"
        ):
            Choice(limits=Limits(**{name: 15}))
        Choice(limits=Limits(**{name: 1.1}))


def test_a_missed_limit_on_macs_is_said_in_its_unit():
    with pytest.raises(FrontError, match=r"misses max_macs by [\d.e-]+ % of the backbone's MACs; loosen"):
        choose_point(RESULTS, Choice(limits=Limits(max_macs=1e-4)))


def test_where_nothing_is_near_the_backbone_the_nearest_is_named_with_the_flag_that_takes_it():
    strong = within(replace(RESULTS, backbone=replace(BACKBONE, accuracy=0.999)), Limits())
    with pytest.raises(
        FrontError, match=r"is within 1 point of the backbone; the nearest, .*--max-accuracy-drop"
    ) as said:
        choose_point(strong, Choice())
    drop = float(str(said.value).partition("--max-accuracy-drop ")[2].partition(",")[0])
    assert choose_point(strong, Choice(max_accuracy_drop=drop)).name in str(said.value)


def test_where_nothing_saves_anything_the_backbone_is_the_answer():
    results = slow(RESULTS)
    assert results.recommended is None
    assert results.plain.choice
    for choice in (Choice(), Choice(max_accuracy_drop=0.3)):
        with pytest.raises(FrontError) as said:
            choose_point(results, choice)
        assert re.search(
            r"the plain backbone is the better choice: no network within .* saves anything \(the cheapest, trial \d+, "
            r"has .* × the latency\); use the backbone as it is \(91\.7 % at 100 % of the MACs and 5\.2 ms; `eenas "
            r"train --network backbone` trains it further\), or take that network by its name \(--network 'trial \d+",
            str(said.value),
        )
    name = re.search(r"--network '(.*)'", str(said.value)).group(1)
    assert choose_design(results, Choice(network=name)).name == name
    assert choose_design(results, Choice(network="backbone")).design.branches == ()


def test_limits_that_the_plain_backbone_alone_holds_are_said_to_be_held_by_it():
    results = slow(RESULTS)
    for limits in (Limits(max_latency_ms=5.3), Limits(max_worst_latency_ms=5.3, min_accuracy=0.9)):
        with pytest.raises(
            FrontError, match=r"the plain backbone alone is better than guessing within the limits; use"
        ):
            choose_point(results, Choice(limits=limits))
    with pytest.raises(
        FrontError, match=r"within the limits is within 1 point .*; use the backbone as it is \(91\.7 %"
    ):
        choose_point(results, Choice(limits=Limits(max_branches=0)))


def test_where_nothing_beats_guessing_a_network_can_still_be_named():
    with pytest.raises(FrontError, match=r"nothing better than guessing; search longer, give the validation") as said:
        choose_point(replace(RESULTS, largest_class=1.0), Choice())
    name = re.search(r"\(`eenas train --network '(.*)'`\)", str(said.value)).group(1)
    assert choose_design(RESULTS, Choice(network=name)).name == name


def test_the_most_accurate_network_within_a_cost_may_be_the_backbone():
    limits = Limits(max_macs=1.0)
    strong = [network for network in RESULTS.networks if network.kind in ("plain", "static")]
    results = within(replace(RESULTS, networks=tuple(strong)), Limits())
    with pytest.raises(FrontError, match=r"the plain backbone is the most accurate network within the limits") as said:
        choose_point(results, Choice(limits=limits))
    drop = float(str(said.value).partition("--max-accuracy-drop ")[2].partition(",")[0])
    assert choose_point(results, Choice(max_accuracy_drop=drop, limits=limits)).name == "static layer2.2"


def test_a_point_where_everybody_leaves_is_trained_as_a_static_network():
    item = next(item for item in RESULTS.front if item.ends_at is not None and item.kind == "trial")
    marked = tuple(replace(each, recommended=each is item, choice=each is item) for each in RESULTS.front)
    weak = replace(BACKBONE, accuracy=item.point.accuracy)
    chosen = choose_design(replace(RESULTS, front=marked, backbone=weak), Choice())
    assert chosen.design.static
    assert chosen.design.branches == (item.design.branches[item.ends_at],)
    assert chosen.label.endswith("-static")
    assert item.label == f"{item.name} static"
    by_name = choose_design(RESULTS, Choice(network=item.label))
    assert by_name.design.static
    assert by_name.estimate.point.accuracy == item.point.accuracy
    whole = next(each for each in RESULTS.networks if all(p.ends_at is None for p in points_of(each, BACKBONE)))
    with pytest.raises(FrontError, match=f"{whole.name} has no point .* all samples leave at one branch"):
        choose_design(RESULTS, Choice(network=f"{whole.name} static"))


def test_a_point_of_another_kind_than_the_drawn_one_is_trained_for_its_own():
    drawn = tuple(
        replace(entry, design=replace(entry.design, policy=replace(entry.design.policy, kind="patience")))
        for entry in RESULTS.front
        if len(entry.design.branches) > 1
    )
    chosen = choose_design(replace(RESULTS, front=drawn), Choice(knee=True))
    assert chosen.design.policy.kind == "threshold" or chosen.design.static


def test_every_network_has_a_name():
    for network in RESULTS.networks:
        chosen = choose_design(RESULTS, Choice(network=network.name))
        assert chosen.name == network.name
        assert chosen.design.branches == network.design.branches
        assert chosen.design.static == network.design.static
    assert choose_design(RESULTS, Choice(network="3")).name == "trial 3"
    labels = {choose_design(RESULTS, Choice(network=network.name)).label for network in RESULTS.networks}
    assert len(labels) == len(RESULTS.networks)
    assert "static-layer1.1" in labels


def test_a_trial_keeps_its_own_target(smallest_study):
    trial = smallest_study.results.trials[2]
    chosen = choose_design(smallest_study.results, Choice(network="trial 2"))
    assert (chosen.design, chosen.name, chosen.point) == (trial.design, "trial 2", trial.chosen)


def test_a_design_file_has_no_estimate(smallest_study, tmp_path):
    design = smallest_study.results.trials[1].design
    (tmp_path / "design.json").write_text(design.to_json())
    chosen = choose_design(smallest_study.results, Choice(design_file=tmp_path / "design.json"))
    assert (chosen.design, chosen.name, chosen.estimate) == (design, "", None)
    assert chosen.label == f"design-{design.digest[:6]}"
    with pytest.raises(ExportError, match="cannot be read"):
        choose_design(smallest_study.results, Choice(design_file=tmp_path / "none.json"))
    (tmp_path / "design.json").write_text("{}")
    with pytest.raises(DesignError, match="is missing"):
        choose_design(smallest_study.results, Choice(design_file=tmp_path / "design.json"))


def test_what_cannot_be_chosen_says_what_can():
    with pytest.raises(StudyError, match=r"has no network 'trial 77'; nearest"):
        choose_design(RESULTS, Choice(network="77"))
    with pytest.raises(FrontError, match=r"no trial has finished; rerun `eenas search` to continue$"):
        choose_design(study(0), Choice())
    failed = TrialRecord(study="s", number=0, state="failed", reason="ValueError: shapes differ")
    with pytest.raises(FrontError, match=r"to continue, with --debug to see why trials failed$"):
        choose_design(replace(study(0), trials=(failed,)), Choice())
    with pytest.raises(FrontError, match="only one way to choose, got network and knee"):
        Choice(network="trial 1", knee=True)
    with pytest.raises(FrontError, match="no scores"):
        Choice(design_file="design.json", limits=Limits(max_macs=0.5))


@pytest.mark.parametrize("value", [-0.1, 1.0, 5.0, float("nan")])
def test_a_drop_is_a_share_and_not_a_percentage(value):
    with pytest.raises(FrontError, match=r"0\.01 is one point"):
        Choice(max_accuracy_drop=value)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_on_a_cost_is_positive(value):
    with pytest.raises(SpecError, match="max_macs must be positive"):
        Limits(max_macs=value)
