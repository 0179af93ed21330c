"""Studies, trials, prepared backbones and measurements: read back as they were written, replaced whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from eenas.branches.fc import Fc
from eenas.designs.design import Design, Placed
from eenas.errors import EenasError, StudyError
from eenas.policies.costs import CostValues
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint
from eenas.records.database import Database
from eenas.records.measurements import DatabaseCache
from eenas.records.prepared import PreparedRecord, PreparedRecords
from eenas.records.studies import StudyRecord, StudyRecords
from eenas.records.trials import TrialRecord, TrialRecords, TrialState
from eenas.tasks.images.image_input import image_input

PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TABLE = st.dictionaries(st.text(max_size=5), PLAIN, max_size=3)


@pytest.fixture(scope="module")
def database() -> Database:
    return Database("sqlite://")


def study(**changes: Any) -> StudyRecord:
    plain = StudyRecord(name="s", identity={"seed": 0}, identity_digest="d0", settings={"search": {"trials": 4}})
    return replace(plain, **changes)


POINT = OperatingPoint(
    policy=ThresholdPolicy(score="max_softmax", temperatures=(1.0, 1.5), thresholds=(0.75,)),
    accuracy=0.5,
    expected=CostValues({"macs": 12.5}),
    worst=CostValues({"macs": 20.0}),
    shares=(0.5, 0.5),
    exit_accuracy=(0.5, None),
)
DESIGN = Design(
    backbone="b",
    num_classes=10,
    inputs=image_input(32),
    branches=(Placed("layer1", Fc()),),
    provenance={"a": [1, None]},
)


@given(
    points=st.integers(0, 3),
    chosen=st.none() | st.just(POINT),
    values=st.none() | st.lists(st.floats(allow_nan=False), max_size=3).map(tuple),
    design=st.none() | st.just(DESIGN),
    reason=st.none() | st.text(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_trial_is_read_back_as_it_was_written(
    database: Database,
    points: int,
    chosen: OperatingPoint | None,
    values: tuple[float, ...] | None,
    design: Design | None,
    reason: str | None,
) -> None:
    records = TrialRecords(database)
    record = TrialRecord(
        study="round trip",
        number=3,
        state="complete",
        points=(POINT,) * points,
        right=(),
        frozen_right=("3:x",),
        parameters=5,
        chosen=chosen,
        values=values,
        design=design,
        reason=reason,
        exit_accuracy=(0.25,),
        frozen_points=(POINT,) * points,
        violations={"branches": -1.0, "max_macs": 0.5},
        artifacts={"validation": "x"},
    )
    records.save(record)
    assert records.get("round trip", 3) == record
    assert record.missed == {"max_macs": 0.5}


def test_a_trial_with_a_plug_in_that_is_not_loaded_is_left_out_of_the_readable_ones(database: Database) -> None:
    records = TrialRecords(database)
    for number in (1, 2):
        records.save(TrialRecord(study="strangers", number=number, state="complete", design=DESIGN))
    change = text(
        "UPDATE eenas_trials SET body = replace(body, :own, :plugged) WHERE study = 'strangers' AND number = 1"
    )
    with database.transaction() as connection:
        connection.execute(change, {"own": '"kind": "fc"', "plugged": '"kind": "./never_loaded.py:Absent"'})
    assert [record.number for record in records.readable("strangers")] == [2]
    with pytest.raises(EenasError, match="never_loaded"):
        records.list("strangers")


def test_trials_are_listed_by_number_within_their_study(database: Database) -> None:
    records = TrialRecords(database)
    for number in (10, 2, 7):
        records.save(TrialRecord(study="listed", number=number, state="failed", reason="no memory"))
    records.save(TrialRecord(study="listed too", number=1, state="failed"))
    records.save(TrialRecord(study="listed", number=7, state="complete", values=(0.5, 2.0)))
    found = records.list("listed")
    assert [(record.number, record.state) for record in found] == [(2, "failed"), (7, "complete"), (10, "failed")]
    assert found[1].reason is None
    assert records.get("listed", 1) is None
    assert records.list("nobody") == []


@given(states=st.permutations(["complete", "copied", "stopped", "failed"]))
@settings(max_examples=24, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_digest_finds_the_most_useful_trial(database: Database, states: list[TrialState]) -> None:
    records = TrialRecords(database)
    for number, state in enumerate(states):
        records.save(TrialRecord(study="digests", number=number, state=state, design_digest="net"))
    found = records.find_by_digest("digests", "net")
    assert found is not None
    assert found.number == states.index("complete")
    assert records.find_by_digest("digests", "other") is None
    assert records.find_by_digest("digests too", "net") is None


def test_a_study_that_continues_keeps_its_birth_and_its_baselines(tmp_path: Path) -> None:
    records = StudyRecords(Database(f"sqlite:///{tmp_path}/a.db"))
    first = study(created="2026-01-01T00:00:00+00:00")
    records.save(first)
    assert records.get("s") == first
    records.update_baselines("s", {"backbone": [{"accuracy": 0.9}]})
    records.save(study(settings={"search": {"trials": 9}}, facts={"device": "CPU"}))
    found = records.get("s")
    assert found is not None
    assert found.created == first.created
    assert found.settings == {"search": {"trials": 9}}
    assert found.facts == {"device": "CPU"}
    assert found.baselines == {"backbone": [{"accuracy": 0.9}]}
    records.save(study(baselines={"backbone": []}))
    assert records.get("s") == study(baselines={"backbone": []}, created=first.created)


def test_a_name_of_another_identity_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    records = StudyRecords(Database(f"sqlite:///{tmp_path}/a.db"))
    records.save(study())
    before = records.get("s")
    with pytest.raises(StudyError, match="another search"):
        records.save(study(identity={"seed": 1}, identity_digest="d1"))
    assert records.get("s") == before
    with pytest.raises(StudyError, match="no study 'x'"):
        records.update_baselines("x", {})
    assert records.get("x") is None


def test_studies_are_listed_from_the_oldest(tmp_path: Path) -> None:
    records = StudyRecords(Database(f"sqlite:///{tmp_path}/a.db"))
    assert records.list() == []
    names = ["c", "a", "b"]
    for name in names:
        records.save(study(name=name))
    records.save(study(name="c"))
    assert [record.name for record in records.list()] == names


def test_a_prepared_backbone_is_found_by_its_key_in_any_process(tmp_path: Path) -> None:
    record = PreparedRecord(
        key="k", backbone="resnet50", task="t", training="p", seed=3, artifact="a@sha256:0", accuracy=0.93
    )
    gone = replace(record, accuracy=0.1)
    assert PreparedRecords(Database(f"sqlite:///{tmp_path}/a.db")).save(gone)
    records = PreparedRecords(Database(f"sqlite:///{tmp_path}/a.db"))
    assert not records.save(record)  # another worker was first
    assert records.find("k") == gone
    assert records.save(record, replacing=gone)
    assert not records.save(gone, replacing=gone)
    assert records.find("k") == record
    assert records.find("other") is None


def test_a_measurement_is_kept_for_the_next_process_and_cannot_be_changed_by_its_reader(tmp_path: Path) -> None:
    cache = DatabaseCache(Database(f"sqlite:///{tmp_path}/a.db"))
    long_key = "conv_fc 32/" * 1000
    assert cache.get(long_key) is None
    cache.put(long_key, {"median_ms": 1.5, "conditions": {"threads": 1}})
    cache.get(long_key)["conditions"]["threads"] = 8  # type: ignore[index]
    again = DatabaseCache(Database(f"sqlite:///{tmp_path}/a.db"))
    assert cache.get(long_key) == again.get(long_key) == {"median_ms": 1.5, "conditions": {"threads": 1}}
