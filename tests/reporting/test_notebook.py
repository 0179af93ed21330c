"""A study in a notebook, and the report's table: the plain backbone is shown once, also if it is a choice."""

from dataclasses import replace

from eenas.reporting.facts.front_table import PLAIN
from eenas.reporting.report.notebook import notebook_html
from eenas.reporting.report.report_page import ReportSpec, report_html
from tests.reporting.sources import source
from tests.reporting.studies import study


def with_plain_choice():
    results = study(9)
    first = next(item for item in results.front if item.choice and item.kind != "plain")
    plain = replace(first, kind="plain", name="plain backbone", recommended=False, knee=False)
    return replace(results, front=(plain, *results.front))


def test_the_plain_backbone_is_shown_once():
    results = with_plain_choice()
    assert any(item.kind == "plain" for item in results.choices)
    others = [item for item in results.choices if item.kind != "plain"]
    assert notebook_html(results).count("<tr>") == 2 + len(others)
    page = report_html(source(results), ReportSpec(panels=("design",)))
    assert page.count(f"<td>{PLAIN}</td>") == len(("budgets", "points"))
