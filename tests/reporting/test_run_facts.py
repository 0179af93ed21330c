"""What a full training came to."""

import json
from dataclasses import replace

import pytest

from eenas.designs.training_choice import TrainingChoice
from eenas.policies.learned.comparison import PolicyComparison
from eenas.reporting.facts.policy_rows import POLICY_HEADS, policy_rows
from eenas.reporting.facts.run_facts import budget_rows, report_json, run_summary
from eenas.reporting.facts.wording import milliseconds
from eenas.specs import from_table
from tests.reporting.sources import run
from tests.reporting.studies import study


def report(**changed):
    """The report of a made-up run."""
    return run(study(3), **changed)


def test_the_summary_compares_with_backbone_and_search():
    text = "\n".join(run_summary(report()))
    assert "91.5 % (the backbone: 91.7 %)" in text
    assert "60.0 % of 41.2 M MACs" in text
    assert "0.60 × the latency" in text
    assert "+1.0 points" in text
    leaving = [(exit_.share, exit_.end_to_end.median_ms) for exit_ in report().exits]
    mean = sum(share * time for share, time in leaving)
    assert f"A sample takes {milliseconds(mean)} end to end on average (composed of parts: 3.12 ms)." in text


def test_what_is_not_known_is_left_out():
    untimed = tuple(replace(exit_, end_to_end=None) for exit_ in report().exits)
    lines = run_summary(report(estimate=None, exits=untimed))
    assert len(lines) == 2
    assert run_summary(report(near_threshold=3))[4].startswith("3 scores lie within 1e-5")
    assert run_summary(report(near_threshold=1))[4].startswith("1 score lies within 1e-5")


def test_other_ways_are_named():
    design = replace(report().design, training=TrainingChoice(strategy="two_stage"))
    assert "Not the default: strategy two_stage." in run_summary(report(design=design))


def test_learned_policies_are_compared_in_words_and_rows():
    one = PolicyComparison(
        kind="jei_dnn",
        budget=0.5,
        macs_share=0.482,
        accuracy=0.86,
        threshold_accuracy=0.864,
        difference=-0.004,
        low=-0.0125,
        high=0.005,
    )
    lines = run_summary(report(policies=(one,)))
    assert any("one common threshold at equal MACs: of 1 comparison, 1 within noise (95 %)." in line for line in lines)
    row = ("jei_dnn", "50 %", "48.2 %", "86.0 %", "86.4 %", "-0.4 (-1.2 to +0.5)", "within noise")
    assert policy_rows([one]) == [row]
    assert len(POLICY_HEADS) == len(row)
    table = json.loads(report_json(report(policies=(one,))))
    assert from_table(PolicyComparison, table["policies"][0]) == one


def test_budgets_show_the_macs_that_were_spent():
    ours, theirs = budget_rows(report())
    assert ours.cells == ((0.25, None, None), (0.5, 0.86, pytest.approx(0.49)), (1.0, 0.92, pytest.approx(0.97)))
    assert theirs.name == "uniform 3 fc"
    assert theirs.cells[1] == (0.5, 0.84, pytest.approx(0.5))


def test_json_is_whole():
    table = json.loads(report_json(report()))
    assert table["folder"] == "runs/one"
    assert table["at_shares"]["0.25"] is None
    assert table["at_shares"]["0.5"]["accuracy"] == 0.86
    assert table["design"]["backbone"] == "cifar_resnet20"


def test_where_nothing_is_lost_there_is_no_minus_before_the_zero():
    plain = next(base for base in report().baselines if base.points)
    same = report(accepted_drop=0.01, baselines=(replace(plain, name="backbone", points=(report().reported,)),))
    assert "Limit of 1 point lost against the backbone: held, with +0.0 on the test split." in run_summary(same)


def test_a_static_network_ends_at_a_place_that_can_be_read():
    design = replace(report().design, branches=report().design.branches[:1], static=True)
    exits = (replace(report().exits[0], name="0"),)
    assert any("it ends at module 0, where" in line for line in run_summary(report(design=design, exits=exits)))
