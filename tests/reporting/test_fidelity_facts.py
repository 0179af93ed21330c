"""What brief scores are worth, in words, as rows and as JSON."""

import json
from dataclasses import replace

import pytest

from eenas.reporting.facts.fidelity_facts import budget, fidelity_json, fidelity_rows, fidelity_summary
from eenas.runs.fidelity import Fidelity
from eenas.runs.fidelity_measures import FidelityNetwork, compare
from eenas.runs.network_scores import NetworkScores
from eenas.training.spec import TrainingSpec


def scores(*values):
    *at_shares, hypervolume = values
    return NetworkScores(at_shares=tuple(at_shares), hypervolume=hypervolume)


def network(trial, brief, full, frozen=None):
    return FidelityNetwork(trial=trial, design="0 fc", brief=brief, frozen=frozen, full=full, samples=480, seconds=2.0)


NETWORKS = (
    network(1, scores(None, 0.5, 0.6, 0.7, 0.2), scores(None, 0.6, 0.7, 0.8, 0.30), scores(None, 0.4, 0.5, 0.6, 0.1)),
    network(4, scores(0.5, 0.5, 0.6, 0.7, 0.3), scores(0.6, 0.6, 0.7, 0.9, 0.28), scores(0.3, 0.5, 0.5, 0.6, 0.2)),
    network(2, scores(0.6, 0.5, 0.7, 0.8, 0.4), scores(0.7, 0.7, 0.8, 0.9, 0.50), scores(0.4, 0.5, 0.6, 0.7, 0.3)),
)


def fidelity(networks=NETWORKS, **changed):
    """A made-up comparison."""
    values = {
        "study": "one",
        "storage": "sqlite:///eenas.db",
        "task": "digits",
        "device": "CPU",
        "brief_training": TrainingSpec(epochs=1),
        "full_training": TrainingSpec(epochs=10.0),
        "offered": 12,
        "networks": networks,
        "measures": compare(networks),
        "diverged": (),
    }
    return Fidelity(**(values | changed))


def test_the_summary_says_what_was_trained_and_how_far_it_agrees():
    text = "\n".join(fidelity_summary(fidelity()))
    assert "3 of its 12 networks, each trained for 1 epoch by its trial and again for 10 epochs, on CPU" in text
    assert "τ = 0.33: the brief score picks the better of two networks in about 67 %" in text
    assert "frozen backbone, without training the network, has τ = 0.33" in text
    assert "25 %: 2 networks reach it, too few for a ranking." in text
    assert "50 %: the networks have equal scores, which gives no ranking." in text
    assert "75 %: 1 pair of networks tie in the brief or in the full score." in text
    assert "nan" not in text


def test_what_is_missing_is_said():
    bare = tuple(replace(each, frozen=None) for each in NETWORKS)
    text = "\n".join(fidelity_summary(fidelity(bare, diverged=(7, 9))))
    assert "no trial started from the branch bank" in text
    assert "trial 7, 9, since its loss was not finite" in text


def test_rows_are_text_in_points():
    rows = {row.name: row for row in fidelity_rows(fidelity())}
    assert list(rows) == ["25 %", "50 %", "75 %", "100 %", "hypervolume"]
    assert vars(rows["25 %"]) == {
        "name": "25 %",
        "networks": "2",
        "left_out": "1",
        "brief_full": "too few",
        "frozen_full": "too few",
        "brief_frozen": "too few",
        "error": "+10.00",
        "absolute_error": "10.00",
    }
    assert rows["50 %"].brief_full == "all equal"
    assert rows["hypervolume"].brief_full == "0.33"
    assert rows["hypervolume"].error == "+6.00"
    assert rows["hypervolume"].absolute_error == "7.33"
    nowhere = tuple(replace(each, full=scores(None, None, None, None, 0.1)) for each in NETWORKS)
    assert fidelity_rows(fidelity(nowhere))[0].error == "–"


def test_json_has_the_whole_table():
    table = json.loads(fidelity_json(fidelity()))
    assert table["networks"][0]["brief"] == {
        "at_shares": {"0.25": None, "0.5": 0.5, "0.75": 0.6, "1": 0.7},
        "hypervolume": 0.2,
    }
    assert [each["name"] for each in table["measures"]] == ["25 %", "50 %", "75 %", "100 %", "hypervolume"]
    assert table["measures"][0]["brief_full"] == {"tau": None, "networks": 2, "ties": 0, "why": "too few"}
    assert table["full_training"]["epochs"] == 10
    bare = tuple(replace(each, frozen=None) for each in NETWORKS)
    assert json.loads(fidelity_json(fidelity(bare)))["networks"][0]["frozen"] is None


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (TrainingSpec(epochs=0.5), "0.5 epochs"),
        (TrainingSpec(epochs=1), "1 epoch"),
        (TrainingSpec(samples=50_000), "50000 samples"),
        (TrainingSpec(seconds=30), "30 seconds"),
    ],
)
def test_a_budget_in_words(spec, text):
    assert budget(spec) == text
