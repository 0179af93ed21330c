"""A study that goes on takes the answers of its backbone from the artifacts, unless they or its weights changed."""

import shutil

import pytest

from eenas.records.database import Database
from eenas.records.studies import StudyRecords
from eenas.study.context import study_context as module
from eenas.study.rivals.known_networks import BACKBONE, NETWORKS
from eenas.study.rivals.plain_tables import OF_BACKBONE
from tests.smallest_study import run_search, url


@pytest.fixture
def kept(smallest_study, tmp_path):
    """A copy of a finished study, with its name."""
    shutil.copytree(smallest_study.folder, tmp_path, dirs_exist_ok=True)
    return tmp_path, smallest_study.results.name


@pytest.fixture
def ran(monkeypatch):
    """The splits on which the plain backbone is run."""
    found, real = [], module.exit_table

    def exit_table(network, split, costs, **options):
        found.append(split)
        return real(network, split, costs, **options)

    monkeypatch.setattr(module, "exit_table", exit_table)
    return found


def record_of(folder, name):
    records = StudyRecords(Database(url(folder), create=False))
    return records, records.get(name)


def test_a_finished_search_does_not_run_its_backbone_again(kept, ran):
    folder, name = kept
    before = record_of(folder, name)[1]
    results = run_search(folder, trials=4)
    assert ran == []
    assert results.name == name
    after = record_of(folder, name)[1]
    assert after.facts == before.facts
    assert after.baselines == before.baselines


def test_lost_answers_are_made_again(kept, ran):
    folder, name = kept
    networks = record_of(folder, name)[1].baselines[NETWORKS]
    plain = next(table for table in networks if table["name"] == BACKBONE)
    assert set(plain["artifacts"]) == {"calibration", "validation"}
    (folder / "eenas.artifacts" / plain["artifacts"]["validation"].partition("@")[0]).write_bytes(b"changed")
    run_search(folder, trials=4)
    assert len(ran) == 1


@pytest.mark.parametrize("digest", ["0123456789abcdef", None])
def test_answers_of_other_weights_are_not_taken(kept, ran, digest):
    folder, name = kept
    records, record = record_of(folder, name)
    assert record.facts.pop(OF_BACKBONE)
    if digest is not None:
        record.facts[OF_BACKBONE] = digest
    records.save(record)
    run_search(folder, trials=4)
    assert len(ran) >= 1
    assert record_of(folder, name)[1].facts[OF_BACKBONE] != digest
