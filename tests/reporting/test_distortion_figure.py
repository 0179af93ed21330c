"""Accuracy under distortions in the report: the curves of each kind, the table, and its absence without distortions."""

import re

import pytest

from eenas.percent import percent
from eenas.reporting.facts.distortion_facts import HEADS, by_kind, context_rows
from eenas.reporting.figures.distortion_figure import distortion_facts, draw_distortions
from eenas.reporting.report import report_panels
from eenas.reporting.report.report_page import load_report, report_html
from tests.reporting.sources import contexts, found, source, under_distortions
from tests.reporting.studies import study


@pytest.fixture(scope="module")
def picked():
    return found(study(9))


@pytest.fixture(scope="module")
def scores(picked):
    return contexts(picked)


def test_each_kind_has_a_curve_from_pristine_samples_on(picked, scores):
    facts = distortion_facts(picked, scores)
    assert [each.kind for each in facts.kinds] == ["gaussian_blur", "fog"]
    named = {each.context: each for each in scores}
    for curves in facts.kinds:
        assert curves.severities == (0, 1, 5)
        own = [named["clean"], named[f"{curves.kind}:1"], named[f"{curves.kind}:5"]]
        assert curves.policy == tuple(each.accuracy for each in own)
        assert curves.backbone == tuple(each.backbone_accuracy for each in own)
        assert len(curves.exits) == len(facts.exits)
        assert curves.exits[0] == tuple(each.exit_accuracy[0] for each in own)
        assert curves.leaving[0] == pytest.approx(1 - named["clean"].shares[-1])
        assert sorted(curves.policy, reverse=True) == list(curves.policy), "noise makes it worse"


def test_a_pane_draws_every_exit_the_backbone_and_the_policy(picked, scores):
    facts = distortion_facts(picked, scores)
    drawing = draw_distortions(facts)
    assert len(drawing.data) == 2 * (len(facts.exits) + 2)
    assert sum(bool(each.showlegend) for each in drawing.data) == len(facts.exits) + 2
    policy = [each for each in drawing.data if each.name == "the policy"]
    assert list(policy[1].y) == [round(100 * value, 2) for value in facts.kinds[1].policy]


def test_the_table_has_a_row_for_each_context(picked, scores):
    rows = context_rows(scores, picked.backbone_macs)
    assert [row[0] for row in rows] == ["clean", "gaussian_blur 1", "gaussian_blur 5", "fog 1", "fog 5"]
    assert {len(row) for row in rows} == {len(HEADS)}
    assert rows[2][1] == percent(scores[2].accuracy)
    assert len(rows[0][4].split()) == len(picked.exits)
    assert [severity for severity, _ in by_kind(scores)["fog"]] == [0, 1, 5]


def test_a_study_without_distortions_has_no_panel_of_them(picked):
    results = study(9)
    for given, shown in ((results, False), (under_distortions(results), True)):
        text = report_html(source(given), load_report())
        assert ("distortions" in re.findall(r'<section id="(\w+)">', text)) == shown
    above = report_panels.distortions(source(under_distortions(results))).above
    assert "<td>gaussian_blur 5</td>" in above
