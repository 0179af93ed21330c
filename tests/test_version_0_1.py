"""What eenas 0.1 wrote is still read: a study's database, a run, a manifest and designs, kept in `version_0_1/`."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from eenas.designs.design import Design
from eenas.programs.manifest import read_table
from eenas.programs.manifest_checks import check_network
from eenas.results.read import open_results
from eenas.results.results import StudyResults
from eenas.runs.run_report import RunReport
from eenas.tasks.images.image_input import image_input

KEPT = Path(__file__).with_name("version_0_1")
FRONT = [
    ("trial 0", 0.7, 14344.0),
    ("static 0", 0.6333333333333333, 14340.0),
    ("backbone", 0.55, 87684.0),
    ("trial 3", 0.5, 17826.4),
    ("trial 3", 0.48333333333333334, 15880.0),
]
"""Name, accuracy on validation and expected MACs of the points, as 0.1 gave them."""


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> StudyResults:
    place = tmp_path_factory.mktemp("old") / "eenas.db"
    with closing(sqlite3.connect(place)) as database:
        database.executescript((KEPT / "study.sql").read_text(encoding="utf-8"))
    return open_results(f"sqlite:///{place}")


def test_a_database(results):
    assert [trial.state for trial in results.trials] == ["complete", "complete", "stopped", "stopped"]
    assert results.settings.search.prune is True
    front = [(item.name, item.point.accuracy, item.point.expected["macs"]) for item in results.front]
    assert front == FRONT
    assert results.recommended is not None
    assert results.recommended.name == "trial 0", "static 0 takes 1.12 x the backbone's latency, which is an objective"


def test_a_run():
    report = RunReport.read(KEPT / "run")
    assert report.design == Design.from_json((KEPT / "run" / "design.json").read_text(encoding="utf-8"))
    assert len(report.exits) == len(report.design.exits) == 4
    kept = json.loads((KEPT / "run" / "report.json").read_text(encoding="utf-8"))
    assert [point.to_table() for point in report.points] == kept["points"]
    assert [exit_.accuracy for exit_ in report.exits] == [exit_["accuracy"] for exit_ in kept["exits"]]
    assert len(report.points) == 10


def test_a_manifest_and_its_design():
    table = read_table(KEPT / "model")
    policy = check_network(table)
    text = (KEPT / "model" / "design.json").read_text(encoding="utf-8")
    design = Design.from_json(text)
    assert policy is not None
    assert policy.num_exits == len(design.exits) == len(table["exits"])
    found, kept = design.to_table(), json.loads(text)
    assert (found.pop("inputs"), kept.pop("input_size")) == (image_input(8).to_table(), 8)
    assert found == kept
