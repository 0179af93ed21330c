"""Latency is that of one node: two hosts on one storage, faked by EENAS_NODE."""

import threading
from types import SimpleNamespace

import pytest
import torch

from eenas.backbones.features import FeatureShape
from eenas.branches.fc import Fc
from eenas.errors import MeasurementError, StudyError
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.node import node_name
from eenas.progress import Notice
from eenas.records.database import Database
from eenas.records.latency_requests import LatencyRequests
from eenas.records.studies import StudyRecords
from eenas.results.search import search
from eenas.study import one_node as module
from eenas.study import opening
from eenas.study.one_node import OneNode
from eenas.testing.smallest import smallest_task
from tests.smallest_study import SETTINGS, backbone, url

CPU, SPEC, SHAPE = torch.device("cpu"), LatencySpec(), FeatureShape((4, 8, 8))


class Timed:
    """A runtime that counts what it times."""

    def __init__(self, milliseconds, *, where="CPU", error=None):
        self.milliseconds, self.where, self.error, self.count = milliseconds, where, error, 0

    def conditions(self, device, spec):
        return [self.where]

    def time_branch(self, branch, shape, num_classes, device, spec):
        assert not torch.is_inference_mode_enabled()
        self.count += 1
        if self.error is not None:
            raise self.error
        return Latency(
            median_ms=self.milliseconds, p95_ms=1.0, spread=0.0, repeats=3, device="CPU", runtime="torch",
            threads=1, batch=1, dtype="float32", node=node_name(),
        )  # fmt: skip


@pytest.fixture
def database(tmp_path):
    return Database(url(tmp_path))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "POLL", 0.01)
    monkeypatch.setattr(module, "ANSWER_EVERY", 0.0)
    monkeypatch.setenv("EENAS_NODE", "b")


def on(node, runtime, database, monkeypatch, listener=lambda event: None):
    """The runtime of a worker on `node` of a study that node a measures."""
    with monkeypatch.context() as patch:
        patch.setenv("EENAS_NODE", node)
        return OneNode(runtime, "a", LatencyRequests(database, "a"), listener)


def asked(runtime):
    """Ask for a branch in another thread; call the result to have the answer or the error."""
    found = []

    def ask():
        try:
            found.append(runtime.time_branch(Fc(), SHAPE, 3, CPU, SPEC))
        except StudyError as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()

    def answer():
        thread.join(20)
        return found[0]

    return answer


def serve_until(runtime, answered, count=1):
    for _ in range(2000):
        with torch.inference_mode():
            runtime.serve(CPU, SPEC)
        if answered():
            return
        threading.Event().wait(0.005)
    raise AssertionError("no request came")


def test_a_worker_on_another_node_has_its_branch_timed_by_the_measuring_one(database, monkeypatch):
    here, there = Timed(2.0), Timed(7.0)
    said = []
    a, b = on("a", here, database, monkeypatch), on("b", there, database, monkeypatch, said.append)
    answer = asked(b)
    serve_until(a, lambda: here.count)
    assert answer().median_ms == 2.0
    assert there.count == 0
    a.serve(CPU, SPEC)
    assert here.count == 1  # an answered request is not open
    assert [type(event) for event in said] == [Notice]
    assert "measured on the node 'a', and this is 'b'" in said[0].text
    assert a.time_branch(Fc(), SHAPE, 3, CPU, SPEC).median_ms == 2.0


def test_workers_under_other_conditions_are_not_answered(database, monkeypatch):
    monkeypatch.setattr(module, "WITHIN", 0.2)
    here = Timed(2.0)
    a, b = on("a", here, database, monkeypatch), on("b", Timed(7.0, where="GPU"), database, monkeypatch)
    answer = asked(b)
    for _ in range(10):
        a.serve(CPU, SPEC)
        threading.Event().wait(0.01)
    error = answer()
    assert here.count == 0
    assert "which did not time fc" in str(error)
    assert "set EENAS_NODE=a if this is the same machine" in str(error)
    assert LatencyRequests(database, "a").open() == {}


def test_an_error_of_the_measuring_node_is_that_of_the_one_who_asked(database, monkeypatch):
    here = Timed(2.0, error=MeasurementError("it does\nnot run"))
    a, b = on("a", here, database, monkeypatch), on("b", Timed(7.0), database, monkeypatch)
    answer = asked(b)
    serve_until(a, lambda: here.count)
    assert str(answer()).startswith("the node 'a' cannot time fc")
    assert str(answer()).endswith(": it does not run")


def test_requests_of_other_nodes_are_not_seen(database):
    LatencyRequests(database, "a").ask({"branch": 1})
    LatencyRequests(database, "b").ask({"branch": 2})
    assert list(LatencyRequests(database, "a").open().values()) == [{"branch": 1}]
    identifier = LatencyRequests(database, "b").ask({"branch": 2})
    LatencyRequests(database, "b").reply(identifier, {"answer": 3})
    LatencyRequests(database, "b").reply(identifier, {"answer": 4})
    assert LatencyRequests(database, "b").answer(identifier) == {"answer": 3}
    assert LatencyRequests(database, "a").answer(LatencyRequests(database, "a").ask({"branch": 1})) is None


@pytest.mark.slow
def test_the_node_is_recorded_and_a_study_never_mixes_two(tmp_path, monkeypatch):
    monkeypatch.setenv("EENAS_NODE", "a")
    options = {
        **{"task": smallest_task(), "storage": url(tmp_path), "device": "cpu", "space": "small", "name": "one"},
        **{"overrides": (*SETTINGS, "bank.branches=0")},
    }
    search(backbone(), trials=1, **options)
    record = StudyRecords(Database(url(tmp_path))).get("one")
    profile = record.facts["profile"]
    assert profile["total_latency"]["node"] == "a"
    assert {each["node"] for each in profile["latency_ms"]} == {"a"}
    monkeypatch.setenv("EENAS_NODE", "b")
    with pytest.raises(StudyError, match=r"on the node 'a', those in this storage now on 'b'; set EENAS_NODE=a"):
        search(backbone(), trials=1, remeasure=True, **options)


def test_a_study_of_an_earlier_version_names_no_node():
    record = SimpleNamespace(name="old", facts={"profile": {"total_latency": {"median_ms": 1.0}}})
    context = SimpleNamespace(profile=SimpleNamespace(total_latency=SimpleNamespace(node="b")))
    assert opening._measured_elsewhere(context, record) == ""


def test_a_name_of_a_node_is_printable(monkeypatch):
    monkeypatch.setenv("EENAS_NODE", "node\n1")
    with pytest.raises(MeasurementError, match="EENAS_NODE must be a printable name"):
        node_name()
    monkeypatch.delenv("EENAS_NODE")
    assert node_name()
