"""The explorer moves the limit of the network's own kind of policy: held against each policy with that limit."""

from dataclasses import replace

import numpy as np
import pytest

from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import Fitting
from eenas.policies.operating_point import evaluate
from eenas.policies.policy import Decisions, Policy
from eenas.policies.rule import Rule
from eenas.policies.temperatures import fit_temperatures
from eenas.reporting.facts.explored_policy import explored
from eenas.reporting.facts.picked import pick
from eenas.reporting.facts.summary import shown
from eenas.reporting.report.explorer import draw_explorer, explorer_facts, leaving_at
from tests.policies.gates import random_policy
from tests.reporting.studies import BACKBONE, study, tables

RESULTS = study(9)
RULES = {
    "threshold": Rule(),
    "entropy": Rule(score="entropy"),
    "patience": Rule(kind="patience"),
    "patience_confidence": Rule(kind="patience_confidence"),
    "vote": Rule(kind="vote"),
    "surest": Rule(final_rule="most_confident"),
    "ensemble": Rule(ensemble="geometric"),
    "both": Rule(kind="patience_confidence", ensemble="geometric", final_rule="most_confident"),
}


def fitted(rule, budget=0.6):
    """The recommended network with a policy of this rule, fitted as a search does."""
    item = shown(RESULTS)
    calibration, validation = tables(item.design, item.trial)
    policy = Fitting(calibration, rule).policy(within={"macs": budget * BACKBONE.macs})
    point = evaluate(policy, validation)
    item = replace(item, point=point, cost_shares={"macs": point.expected["macs"] / BACKBONE.macs})
    return pick(item, calibration, validation, BACKBONE.macs)


@pytest.mark.parametrize("name", RULES)
def test_the_own_point_is_a_step_of_the_slider(name):
    chosen = fitted(RULES[name])
    facts = explorer_facts(chosen, BACKBONE)
    assert facts.spent[facts.start] == pytest.approx(chosen.item.macs_share)
    assert facts.accuracy[facts.start] == pytest.approx(chosen.item.point.accuracy)
    assert leaving_at(facts, facts.start) == pytest.approx(chosen.item.point.shares)
    assert facts.own == (chosen.item.macs_share, chosen.item.point.accuracy)
    assert "cannot reach it" not in facts.subtitles[1]


@pytest.mark.parametrize("name", RULES)
def test_every_step_is_what_such_a_policy_does(name):
    chosen = fitted(RULES[name])
    moved = explored(chosen, chosen.validation)
    facts = explorer_facts(chosen, BACKBONE)
    evidence = moved.policy.evidence(moved.table)
    for step in range(0, len(facts.thresholds), 11):
        leaves = []
        for row in moved.policy.signals(evidence):
            early = [k for k, signal in enumerate(row) if signal >= facts.thresholds[step]]
            leaves.append(early[0] if early else len(row))
        shares = np.bincount(leaves, minlength=len(facts.exits)) / len(leaves)
        assert leaving_at(facts, step) == pytest.approx(shares)
        right = moved.policy.answers(evidence)[np.arange(len(leaves)), leaves] == moved.table.labels
        assert facts.accuracy[step] == pytest.approx(right.mean())


@pytest.mark.parametrize(
    ("name", "slider", "words", "label"),
    [
        ("threshold", "threshold", "one threshold for all exits on the largest probability", "threshold 0."),
        ("entropy", "threshold", "one threshold for all exits on the entropy", "threshold 0."),
        ("patience", "patience", "the number of exits in a row that must agree", "in a row agree"),
        ("patience_confidence", "confidence", "the confidence of", " at 0."),
        ("vote", "share of votes", "the share of the votes that must agree", "of at least"),
        ("surest", "threshold", "at the end the most confident exit answers", "threshold 0."),
        ("both", "confidence", "exits decide together, at the end the most confident exit answers", " at 0."),
    ],
)
def test_the_words_name_the_kind(name, slider, words, label):
    facts = explorer_facts(fitted(RULES[name]), BACKBONE)
    assert facts.name == slider
    assert words in facts.subtitles[0]
    assert label in facts.labels[len(facts.labels) // 2]
    assert facts.labels[-1] == "nobody leaves early"
    assert len(facts.labels) == len(facts.thresholds)


def test_the_slider_moves_the_limit_of_learned_gates():
    chosen = fitted(Rule())
    policy = random_policy("jei_dnn", exits=len(chosen.exits), hidden=0)
    point = evaluate(policy, chosen.validation)
    item = replace(chosen.item, point=point, cost_shares={"macs": point.expected["macs"] / BACKBONE.macs})
    facts = explorer_facts(pick(item, chosen.calibration, chosen.validation, BACKBONE.macs), BACKBONE)
    assert facts.name == "probability to stop"
    assert "the probability to stop of the gates of jei_dnn" in facts.subtitles[0]
    assert facts.labels[len(facts.labels) // 2].startswith("jei_dnn at 0.")
    assert facts.spent[facts.start] == pytest.approx(item.macs_share)
    assert facts.accuracy[facts.start] == pytest.approx(point.accuracy)


def test_one_threshold_is_named_once():
    chosen = fitted(Rule())
    value = chosen.item.point.policy.thresholds[0]
    assert explored(chosen, chosen.validation).own == f"{value:.3f} at every exit"


def test_thresholds_of_each_exit_stand_beside_the_curve():
    chosen = fitted(Rule())
    thresholds = (0.6, *(0.95 for _ in chosen.item.point.policy.thresholds[1:]))
    policy = replace(chosen.item.point.policy, thresholds=thresholds)
    point = evaluate(policy, chosen.validation)
    item = replace(chosen.item, point=point, cost_shares={"macs": point.expected["macs"] / BACKBONE.macs})
    chosen = pick(item, chosen.calibration, chosen.validation, BACKBONE.macs)
    facts = explorer_facts(chosen, BACKBONE)
    assert "0.600, 0.950" in facts.subtitles[1]
    assert "the slider cannot reach it" in facts.subtitles[1]
    traces = {trace.name: trace for trace in draw_explorer(facts).data}
    assert traces["own policy"].x == (round(100 * item.macs_share, 2),)
    assert traces["own policy"].y == (round(100 * point.accuracy, 2),)


def test_a_network_without_branches_has_nothing_to_move():
    results = RESULTS
    item = results.front[0]
    labels = np.arange(40) % 10
    table = ExitTable(
        logits=np.eye(10, dtype=np.float32)[labels][:, None],
        labels=labels,
        exits=("final",),
        costs=Costs.of(macs=np.array([100.0])),
    )
    policy = Fitting(table, Rule()).policy()
    item = replace(
        item, design=replace(item.design, branches=()), point=evaluate(policy, table), cost_shares={"macs": 1.0}
    )
    facts = explorer_facts(pick(item, table, table, 100), BACKBONE)
    assert facts.labels == ("nobody leaves early",)
    assert len(draw_explorer(facts).data[-1].x) == 1


class Coin(Policy):
    """A policy of a kind that has no limit: every other sample leaves at the first exit."""

    kind = "coin"
    last_reachable, within_budget = 1, True

    def __init__(self, exits):
        self.exits = exits

    @property
    def num_exits(self):
        return self.exits

    def start(self, n): ...
    def decide(self, k, logits, state): ...
    def answer(self, state): ...
    def near(self, k, logits, state): ...
    def to_table(self): ...

    def label(self):
        return "heads"

    def apply(self, table):
        index = np.arange(len(table)) % 2
        return Decisions(exit_index=index, answer=table.answers()[np.arange(len(table)), index], near=0)


def test_another_kind_is_said_not_to_be_explored():
    chosen = fitted(Rule())
    item = replace(chosen.item, point=replace(chosen.item.point, policy=Coin(len(chosen.exits))))
    chosen = pick(item, chosen.calibration, chosen.validation, BACKBONE.macs)
    found = explored(chosen, chosen.validation)
    assert (found.policy.kind, found.is_own, found.own) == ("threshold", False, "heads")
    assert found.policy.temperatures == tuple(fit_temperatures(chosen.calibration))
