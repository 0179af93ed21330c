"""What a study found, in words."""

from dataclasses import replace

import pytest

from eenas.policies.costs import CostFacts, CostValues
from eenas.reporting.facts.summary import headline, shown, summary
from eenas.results.results import Comparison
from tests.reporting.studies import BACKBONE, failed, slow, study


def test_the_recommended_point_is_the_cheapest_choice_within_a_point():
    results = study(14)
    found = results.recommended
    within = [item for item in results.choices if item.point.accuracy >= BACKBONE.accuracy - 0.01]
    assert found is not None
    assert found in within
    assert found.macs_share == min(item.macs_share for item in within)
    assert shown(results) is found


def test_the_summary_names_trials_backbone_design_samples_and_hypervolume():
    results = study(14, extra=[failed(90)])
    text = "\n".join(summary(results))
    assert "15 trials (14 complete, 1 failed)" in text
    assert "91.7 % on the 300 samples of the validation split" in text
    assert "41.2 M MACs" in text
    assert f"Recommended, within 1 point of the backbone: {results.recommended.name} " in text
    assert "points against the backbone, 95 %" in text
    assert f"{results.hypervolumes['macs']:.4f}" in text
    assert headline(results, results.recommended) in text


def test_other_costs_of_the_backbone_are_named_once():
    results = study(4)
    own = (CostFacts(name="edges", unit="edges"), CostFacts(name="energy", unit="mJ"))
    spent = CostValues({**results.backbone.costs, "edges": 100.0, "energy": 0.5})
    given = replace(results, costs=(*results.costs, *own), backbone=replace(results.backbone, costs=spent))
    assert "MACs, 100 edges, energy of 0.500 mJ and " in "\n".join(summary(given))


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.01, 0.03, "ahead at"), (-0.01, 0.03, "within noise at"), (-0.03, -0.01, "behind at")]
)
def test_every_statement_about_a_rival_carries_its_interval(low, high, said):
    one = Comparison(baseline="frozen search", budget=0.25, difference=(low + high) / 2, low=low, high=high)
    text, how = summary(replace(study(3), comparisons=(one,)))[-2:]
    assert "judged on the other" in how
    assert text.startswith(f"Proposed by the search, against frozen search: {said} 25 % of the MACs (")
    assert f"{100 * low:+.1f} to {100 * high:+.1f}" in text


def test_nothing_within_a_point_names_the_nearest():
    results = study(4)
    front = tuple(replace(item, recommended=False) for item in results.front)
    best = max((item for item in front if item.choice and item.kind != "plain"), key=lambda item: item.point.accuracy)
    text = "\n".join(summary(replace(results, front=front)))
    assert f"No network is within 1 point of the backbone; the nearest, {best.name}" in text


def test_where_nothing_saves_anything_the_backbone_is_called_the_better_choice():
    none = slow(study(14))
    text = "\n".join(summary(none))
    assert "The plain backbone is the better choice: no network within 1 point of it saves anything" in text
    assert shown(none).kind == "plain"
    assert headline(none, shown(none)) == "the plain backbone reaches 91.7 %, and no network is recommended instead"


def test_a_point_where_everybody_leaves_is_called_static():
    results = study(14)
    item = next(item for item in results.front if item.ends_at is not None and item.kind == "trial")
    marked = tuple(replace(each, recommended=each is item, choice=True) for each in results.front)
    text = "\n".join(summary(replace(results, front=marked)))
    assert "it is a static network, and the rest of the backbone is not needed" in text
    assert item.network.static
    assert item.network.exits == (item.design.branches[item.ends_at].cut_point,)


def test_limits_are_said_and_what_misses_them_least():
    held = study(6, limits=("constraints.max_worst_macs=0.6",))
    assert all(item.point.worst["macs"] <= 0.6 * BACKBONE.macs for item in held.front)
    assert any(line.startswith("Limits, held by every network offered: max_worst_macs 0.6") for line in summary(held))
    none = study(6, limits=("constraints.min_accuracy=0.999",))
    assert not none.front
    assert "no network holds the limits; the nearest is" in summary(none)[-1].lower()
    assert "which misses min_accuracy by" in summary(none)[-1]


def test_warnings_of_a_study_are_said():
    assert summary(replace(study(3), warnings=("seen before",)))[-1] == "seen before"


def test_no_finished_trial():
    assert "No trial has finished" in summary(study(0))[-1]
    assert "No trial has finished" in summary(study(0, extra=[failed(0), failed(1)]))[-1]
    assert headline(study(0), None) == "no design yet"


def test_no_latency():
    assert "latency" not in "".join(summary(study(5, latency=False)))


def test_a_design_above_the_backbone_reaches_and_one_below_keeps():
    results = study(14)
    best = results.front[0]
    assert "reaches" in headline(replace(results, backbone=replace(BACKBONE, accuracy=0.2)), best)
    assert "keeps" in headline(replace(results, backbone=replace(BACKBONE, accuracy=best.point.accuracy)), best)
