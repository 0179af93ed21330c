"""The front as rows, CSV and JSON."""

import csv
import io
import json
from dataclasses import replace

import pytest

from eenas.designs.training_choice import TrainingChoice
from eenas.reporting.facts.front_table import (
    baseline_rows,
    exits_of,
    family,
    front_rows,
    networks,
    shares_rows,
    states,
    to_csv,
    to_json,
)
from tests.reporting.studies import BACKBONE, failed, infeasible, slow, study


@pytest.fixture(scope="module")
def results():
    return study(8, extra=[failed(90), infeasible(91)])


def test_every_point_of_the_front_is_a_row_with_costs_and_shares(results):
    rows = front_rows(results)
    assert len(rows) == len(results.front)
    assert sum(row.knee for row in rows) == 1
    for row, item in zip(rows, results.front, strict=True):
        for name, whole in BACKBONE.costs.items():
            cost = row.cost(name)
            assert cost.share == pytest.approx(cost.expected / whole) == pytest.approx(item.cost_shares[name])
            assert cost.worst_share >= cost.share
        last = 0 if item.kind == "static" else 1
        assert len(row.exits) == len(row.structures) == len(row.leaving) - last == len(row.exit_accuracy) - last


def test_the_plain_backbone_and_all_baselines_stand_beside_it(results):
    rows = baseline_rows(results)
    assert rows[0].kind == "backbone"
    assert [(cost.name, cost.share) for cost in rows[0].costs] == [("macs", 1.0), ("latency", 1.0)]
    assert {row.name for row in rows[1:]} == {"static networks", "uniform 3 fc"}


def test_accuracy_at_shares_is_the_best_point_within_each(results):
    rows = {row.name: row for row in shares_rows(results)}
    assert next(iter(rows)) == "front"
    for share, accuracy in zip((0.25, 0.5, 0.75, 1.0), rows["front"].accuracies, strict=True):
        within = [item.point.accuracy for item in results.front if item.macs_share <= share]
        assert accuracy == max(within, default=None)
    assert rows["static networks"].accuracies == (0.55, 0.71, 0.86, 0.86)
    assert rows["static networks"].networks[0] == "static layer1.1"
    assert all(one.baseline == "static networks" for one in rows["static networks"].comparisons)
    assert rows["plain backbone"].accuracies == (None, None, None, BACKBONE.accuracy)


def test_families_of_baselines():
    assert family("uniform 3 fc") == family("uniform 6 fc") == "uniform by hand"
    assert family("another") == "another"


def test_csv_reads_back(results):
    rows = front_rows(results) + baseline_rows(results)
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(read) == len(rows)
    assert float(read[0]["accuracy"]) == pytest.approx(rows[0].accuracy)
    assert read[0]["exits"].split(";") == list(rows[0].exits)
    assert [row["knee"] for row in read].count("1") == 1


def test_json_is_whole_and_plain(results):
    table = json.loads(to_json(results))
    assert table["study"] == results.name
    assert len(table["front"]) == len(results.front)
    assert table["hypervolume"] == {"accuracy_macs": results.hypervolumes["macs"], "accuracy_latency": 0.61}
    assert table["trials"] == {"complete": 9, "failed": 1}
    assert table["at_shares"][0]["name"] == "front"
    assert set(table["at_shares"][0]["accuracy"]) == {"0.25", "0.5", "0.75", "1"}
    assert (table["recommended"], table["nothing_recommended"]) == (results.recommended.name, None)


def test_json_says_why_nothing_is_recommended():
    table = json.loads(to_json(slow(study(9))))
    assert table["recommended"] is None
    assert table["nothing_recommended"].startswith("the plain backbone is the better choice: no network within 1 point")
    assert json.loads(to_json(study(0)))["nothing_recommended"].startswith("no trial has finished")


def test_states_are_counted(results):
    assert states(results) == {"complete": 9, "failed": 1}


@pytest.mark.parametrize("latency", [True, False])
@pytest.mark.parametrize("complete", [0, 1])
def test_small_studies_and_studies_without_latency(complete, latency):
    results = study(complete, latency=latency)
    table = json.loads(to_json(results))
    assert len(table["front"]) == len(results.front)
    assert (table["backbone"]["latency_ms"] is None) == (not latency)
    assert to_csv(front_rows(results)).count("\n") == len(results.front) + 1


def test_a_point_tells_how_its_network_was_trained_and_decides():
    results = study(4)
    plain = next(row for row in front_rows(results) if row.trial is not None and not row.ends_at)
    assert (plain.strategy, plain.policy, plain.ensemble, plain.cascade) == (
        TrainingChoice().strategy,
        "threshold",
        "none",
        False,
    )
    assert plain.how == ""
    assert networks([plain]) == [(plain, "")]
    other = replace(plain, how="policy vote")
    assert networks([plain, other, plain]) == [(plain, "default or policy vote")]
    assert networks([other]) == [(other, "policy vote")]
    staged, both = (replace(plain, how=f"strategy two_stage{more}") for more in ("", ", policy vote"))
    assert networks([staged, both]) == [(staged, "strategy two_stage, default or policy vote")]
    assert networks([staged, staged]) == [(staged, "strategy two_stage")]
    (read, _) = csv.DictReader(io.StringIO(to_csv([plain, baseline_rows(results)[0]])))
    assert (read["policy"], read["cascade"], read["how"]) == ("threshold", "0", "")
    assert exits_of(plain).startswith(f"{plain.exits[0]}: {plain.structures[0]}")
    assert exits_of(replace(plain, exits=(), structures=())) == "no branch"
    assert len(plain.exits) > 1
    assert exits_of(replace(plain, ends_at=plain.exits[1])) == f"{plain.exits[1]}: {plain.structures[1]}"
