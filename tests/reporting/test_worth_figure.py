"""The worth of experts in the report: the run that has them, curves, table, and absence without experts."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from eenas.errors import EenasError
from eenas.frozen.experts.expert_building import ExpertSpec
from eenas.programs.experts.expert_facts import ExpertFacts
from eenas.reporting.facts.worth_facts import run_with_experts, worth_facts
from eenas.reporting.figures.worth_figure import draw_worth
from eenas.reporting.report import report_panels
from eenas.reporting.report.report_facts import facts_json
from eenas.reporting.report.report_page import load_report, report_html
from eenas.runs.expert_report import ExpertReport
from eenas.tasks.recognition.distortion_classifier import DistortionClassifier
from eenas.tasks.recognition.distortion_features import IMAGE_FEATURES
from tests.expert_figures import NAMES, expert_figures
from tests.reporting import sources
from tests.reporting.studies import study


def experts(names=NAMES):
    """The report on experts with the made-up figures, whose kinds may have other names."""
    figures = expert_figures()
    renamed = dict(zip(NAMES, names, strict=True))
    contexts = tuple(
        replace(each, context=":".join((renamed.get(kind, kind), *severity)))
        for each in figures.contexts
        for kind, *severity in [each.context.split(":")]
    )
    zeros = (0.0,) * IMAGE_FEATURES
    classifier = DistortionClassifier(
        kinds=names,
        shape=(1, 8, 8),
        mean=(0.0,),
        std=(1.0,),
        centre=zeros,
        scale=(1.0,) * IMAGE_FEATURES,
        weights=(zeros,) * 3,
        biases=(0.0,) * 3,
    )
    return ExpertReport(
        spec=ExpertSpec(kinds=NAMES[1:], severities=(1, 5)),
        share=0.5,
        facts=ExpertFacts(classifier=classifier, temperatures=((1.0, 1.0),) * 3),
        figures=replace(figures, names=tuple(names), contexts=contexts),
    )


def source(found, **more):
    results = study(9)
    runs = (
        sources.run(results),
        sources.run(results, folder=Path("runs/two"), experts=found),
        sources.run(results, folder=Path("runs/three")),
    )
    return sources.source(results, **{"runs": lambda: runs, **more})


def test_the_newest_run_of_the_network_with_experts_is_shown():
    results = study(9)
    old, new = (sources.run(results, network=name, experts=experts()) for name in ("trial 3", "trial 5"))
    plain = sources.run(results, network="trial 3")
    assert run_with_experts((old, new, plain), "trial 3") is old
    assert run_with_experts((old, new, plain), "trial 7") is new
    assert run_with_experts((plain,), "trial 3") is None
    assert run_with_experts((), None) is None


def test_each_kind_has_a_curve_from_clean_images_on():
    blur, fog = worth_facts("trial 3", expert_figures()).kinds
    assert (blur.kind, blur.severities) == ("gaussian_blur", (0, 1, 5))
    assert (blur.experts, blur.plain, blur.right) == ((0.875, 0.75, 0.5), (0.9, 0.625, 0.25), (0.9, 0.5, 1))
    assert (fog.experts, fog.plain, fog.right) == ((0.875, 0.75, 0.5), (0.9, 0.5, 0.5), (0.9, 0.75, 0.75))


def test_the_table_has_the_worth_of_each_expert_and_the_subtitles_the_cost_of_the_classifier():
    facts = worth_facts("trial 3", expert_figures())
    assert facts.rows[1] == ("gaussian_blur", "62.5 %", "43.8 %", "+18.8", "50.0 %", "40.0 %", "25 %", "75 %", "0 %")
    assert {len(row) for row in facts.rows} == {len(facts.heads)}
    assert facts.subtitles[1] == "choosing the expert takes 2 MACs, 2.00 % of the backbone's"


def test_a_pane_draws_both_accuracies_and_the_share_of_the_right_expert():
    drawing = draw_worth(worth_facts("trial 3", expert_figures()))
    assert len(drawing.data) == 2 * 3
    assert [each.showlegend for each in drawing.data] == [True] * 3 + [False] * 3
    assert list(drawing.data[5].y) == [87.5, 75.0, 50.0]


def test_a_report_has_the_panel_only_with_a_run_with_experts():
    def unreadable():
        raise EenasError("no run can be read")

    for given, shown in ((source(experts()), True), (source(None), False), (source(None, runs=unreadable), False)):
        text = report_html(given, load_report())
        assert ("experts" in re.findall(r'<section id="(\w+)">', text)) == shown
    above = report_panels.experts(source(experts())).above
    assert "<td>+18.8</td>" in above
    assert "two, fully trained" in above
    assert "[experts] in the study file" in report_panels.experts(source(None)).above


def test_its_facts_are_in_the_json():
    table = json.loads(facts_json(source(experts())))["experts"]
    assert table["network"] == "two"
    assert [each["expert"] for each in table["worth"]] == list(NAMES)
    assert json.loads(facts_json(source(None)))["experts"] is None


@pytest.mark.parametrize("place", ["figure", "above"])
def test_names_from_a_report_are_escaped(place):
    evil = "<script>alert(1)</script>"
    panel = report_panels.experts(source(experts(("pristine", evil, "fog"))))
    text = panel.figure.to_json() if place == "figure" else panel.above
    assert "alert(1)" in text
    assert "<script" not in text
