"""Tables of the command line."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from eenas.cli.tables.run_tables import print_report
from eenas.cli.tables.tables import front_table, networks_table, own_costs_tables, robustness_table, shares_table
from eenas.policies.costs import CostValues
from eenas.reporting.facts.front_table import backbone_row, front_rows, shares_rows
from eenas.reporting.facts.row_cost import RowCost
from eenas.runs.context_report import ContextReport

from ..reporting.sources import contexts
from ..reporting.studies import picked, study, trial
from ..reporting.test_run_facts import report


def drawn(*tables, width=100):
    stream = io.StringIO()
    console = Console(file=stream, width=width)
    for table in tables:
        console.print(table)
    return stream.getvalue()


@pytest.fixture(scope="module")
def results():
    return study(8)


def test_tables_fit_a_hundred_columns(results):
    rows = [replace(row, name="trial 12345", leaving=(0.14,) * 7) for row in front_rows(results)]
    text = drawn(
        front_table([backbone_row(results), *rows], "front"),
        networks_table(rows),
        shares_table(shares_rows(results)),
    )
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert "\x1b" not in text


def test_a_narrow_terminal_lacks_the_worst_case_and_says_so(results):
    rows = [replace(row, name="static layer1.0", leaving=(0.87, 0.1, 0.03)) for row in front_rows(results)]
    text = drawn(front_table([backbone_row(results), *rows], "front", width=80), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "accuracy" in text
    assert "leaving" in text
    assert "87 10" in text
    assert "worst " not in text.replace("the worst case is left out: it needs", "")
    assert "this terminal has 80" in " ".join(text.split())


def test_each_point_is_one_line_with_its_figures(results):
    rows = front_rows(results)
    lines = drawn(front_table(rows, "front")).splitlines()
    for row in rows:
        share = f"{100 * row.cost('macs').share:.0f} %"
        assert any(f"{100 * row.accuracy:.1f} %" in line and share in line for line in lines)
    assert sum("*" in line for line in lines) == 1


def test_each_cost_of_a_study_s_own_has_a_table(results):
    rows = [backbone_row(results), *front_rows(results)]
    assert own_costs_tables(rows) == []
    energy = RowCost(name="energy", unit="mJ", expected=1.25, share=0.5, worst=2.5, worst_share=1.0)
    sent = RowCost(name="bytes_sent", unit="kB", expected=29.7, share=0.94, worst=None, worst_share=None)
    rows = [
        replace(row, name=f"frozen trial {number}", costs=(*row.costs, energy, sent)) for number, row in enumerate(rows)
    ]
    first, second = (drawn(made) for made in own_costs_tables(rows))
    assert "Their energy" in first
    assert first.count("1.25 mJ") == first.count("2.50 mJ") == first.count("0.50 ×") == len(rows)
    assert "energy" not in second
    assert second.count("0.94 ×") == second.count("29.7 kB") == len(rows)
    for text in (first, second):
        assert all(f"frozen trial {number} " in text for number in range(len(rows)))
    assert "energy" not in drawn(front_table(rows, "front"))


def test_each_network_is_shown_once_with_its_branches(results):
    text = drawn(networks_table(front_rows(results)))
    for item in results.front:
        assert len(re.findall(rf"^ {item.label} (?!static)", text, flags=re.MULTILINE)) == 1


def test_a_network_says_how_it_was_trained_below_its_branches(results):
    row = replace(front_rows(results)[0], how="strategy two_stage, cascade, policy vote, geometric ensemble")
    lines = drawn(networks_table([row])).splitlines()
    assert any("strategy two_stage, cascade, policy vote, geometric ensemble" in line for line in lines)
    assert "Their exits, and the branch at each" in lines[0]


def test_a_network_without_branches_says_so():
    rows = front_rows(replace(study(1), front=()))
    assert rows == []
    bare = trial(3, 0)
    results = study(0, extra=[bare])
    assert "no branch" in drawn(networks_table(front_rows(results)))


def test_the_report_of_a_run_fits():
    stream = io.StringIO()
    print_report(report(), Console(file=stream, width=100))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    for word in ("temp.", "0.500 ms    0.600 ms", "86.0 % (49.0 %)", "+2.00", "+1.00 to +3.00", "500 test samples"):
        assert word in text


def test_accuracies_under_distortions_have_a_table_if_they_were_measured(results):
    rows = [backbone_row(results), *front_rows(results)]
    assert robustness_table(rows) is None
    rows = [replace(row, robustness=CostValues({"distorted_accuracy": 0.61})) for row in rows[:2]] + rows[2:]
    text = drawn(robustness_table(rows))
    assert "distorted" in text
    assert "worst kind" not in text
    assert text.count("61.0 %") == 2
    assert text.count("–") == len(rows) - 2
    assert rows[0].flat()["distorted_accuracy"] == 0.61


def test_the_report_of_a_run_shows_every_context(results):
    stream = io.StringIO()
    scores = contexts(picked(results))
    made = replace(report(), contexts=ContextReport(common=scores, own=scores[:2]))
    print_report(made, Console(file=stream, width=100))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith(" gaussian_blur 1 ") for line in lines) == 4
    assert sum(line.startswith(" fog 5 ") for line in lines) == 2
    assert "…" not in stream.getvalue()
