"""What the command line prints of a study."""

from dataclasses import replace

from eenas.cli.tables.results import print_network, print_results
from eenas.reporting.facts.front_table import shares_rows
from eenas.reporting.facts.selection import spread, with_best
from eenas.study.rivals.offered_points import points_of
from tests.reporting.studies import slow, study

RESULTS = study(14)


def test_the_choices_stand_with_their_samples_and_the_rest_is_counted(capsys):
    print_results(RESULTS)
    text = " ".join(capsys.readouterr().out.split())
    assert "accuracy on 300 validation samples" in text
    hidden = len(RESULTS.front) - len(with_best(RESULTS, spread(RESULTS.choices, 12)))
    assert f"--all shows {hidden} more points" in text
    assert f"{RESULTS.recommended.name} ▸" in text
    assert "all at" in text
    for name in ("front", "proposed by the search", "static networks", "uniform by hand", "plain backbone"):
        assert name in text


def test_marks_are_explained_where_they_stand(capsys):
    print_results(replace(RESULTS, front=tuple(replace(item, recommended=False) for item in RESULTS.front)))
    text = capsys.readouterr().out
    assert "* knee" in text
    assert "▸" not in text


def test_where_the_backbone_alone_is_offered_no_empty_table_is_printed(capsys):
    results = slow(RESULTS)
    print_results(replace(results, front=tuple(item for item in results.front if item.kind == "plain")))
    text = capsys.readouterr().out
    assert "plain backbone 91.7 %" in " ".join(text.split())
    assert "Their exits" not in text


def test_a_network_that_is_best_within_a_budget_stands_in_the_table_of_the_front(capsys):
    cheap = [replace(item, choice=item.recommended) for item in RESULTS.front]
    results = replace(RESULTS, front=tuple(cheap))
    print_results(results)
    table, budgets = capsys.readouterr().out.split("Best accuracy within")
    named = {row.networks for row in shares_rows(results) if row.name == "front"}
    for name in {name for names in named for name in names if name}:
        assert name in table.partition("plain backbone")[2]
        assert name in budgets


def test_every_point_is_shown_on_request(capsys):
    print_results(RESULTS, rows=None)
    assert "every point" in capsys.readouterr().out


def test_one_network_is_shown_by_its_name(capsys):
    network = next(network for network in RESULTS.networks if network.kind == "static")
    print_network(RESULTS, tuple(points_of(network, RESULTS.backbone)))
    assert f"Operating points of {network.name}" in capsys.readouterr().out


def test_a_study_without_a_front_prints_its_summary_alone(capsys):
    print_results(study(0))
    text = capsys.readouterr().out
    assert "No trial has finished" in text
    assert "Front" not in text
