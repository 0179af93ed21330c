"""What a study found, in words."""

from dataclasses import replace

from eenas.reporting.summary import cheapest_within, headline, recommended, summary

from .studies import BACKBONE, failed, study


def test_the_cheapest_point_within_an_accepted_drop():
    results = study(14)
    found = cheapest_within(results, 0.01)
    within = [item for item in results.front if item.point.accuracy >= BACKBONE.accuracy - 0.01]
    assert found in within
    assert found.macs_share == min(item.macs_share for item in within)
    assert cheapest_within(results, -1.0) is None


def test_the_summary_names_trials_backbone_design_and_hypervolume():
    results = study(14, extra=[failed(90)])
    text = "\n".join(summary(results))
    found = cheapest_within(results, 0.01)
    assert "15 trials (14 complete, 1 failed)" in text
    assert "91.7 %" in text
    assert "41.2 M MACs" in text
    assert f"trial {found.trial} " in text
    assert f"{results.hypervolume_macs:.4f}" in text
    assert "does not beat" not in text
    assert headline(results, recommended(results)) in text


def test_a_front_that_does_not_beat_its_baselines_says_so():
    results = replace(study(3), beats_baselines=False)
    assert "does not beat its baselines" in summary(results)[-1]


def test_nothing_within_a_point_names_the_nearest():
    results = study(4)
    strong = replace(results, backbone=replace(BACKBONE, accuracy=0.999))
    text = "\n".join(summary(strong))
    assert f"the nearest, trial {results.front[0].trial}" in text


def test_no_finished_trial():
    assert "no front" in summary(study(0))[-1]
    assert "no front" in summary(study(0, extra=[failed(0), failed(1)]))[-1]
    assert headline(study(0), None) == "no design yet"


def test_no_latency():
    assert "latency" not in "".join(summary(study(5, latency=False)))


def test_a_design_above_the_backbone_reaches_and_one_below_keeps():
    results = study(14)
    best = results.front[0]
    assert "reaches" in headline(replace(results, backbone=replace(BACKBONE, accuracy=0.2)), best)
    assert "keeps" in headline(replace(results, backbone=replace(BACKBONE, accuracy=best.point.accuracy)), best)
