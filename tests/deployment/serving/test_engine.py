"""The engine on stub segments: joined batches, early answers, continuous batching, limits and faults."""

import os
import threading
import time

import numpy as np
import pytest

from eenas.deployment.serving import engine as engine_module
from eenas.deployment.serving.block import blocks_of, joined
from eenas.deployment.serving.engine import Engine
from eenas.deployment.serving.job import Entry, Job
from eenas.deployment.serving.opening import Opening
from eenas.deployment.serving.refusal import Refusal
from eenas.deployment.serving.turns import PATIENCE, Turns
from eenas.errors import ExportError, InputError
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.threshold import ThresholdPolicy

from .conftest import Gate, stub

POLICY = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=(0.8, 0.8))


class Counts:
    def __init__(self):
        self.seen = []

    def ran(self, k, samples, left, seconds):
        self.seen.append((k, samples, left))


def samples(*confidences, classes=1):
    return np.array([(each, classes) for each in confidences], dtype=np.float32)


class Submitted(Job):
    """A job that can be waited for, and that keeps the order of ends."""

    ends: list

    def __init__(self, x, policy=POLICY, *, ends=None, seconds=30.0):
        super().__init__(Entry(x=x), policy, classes=3, deadline=time.monotonic() + seconds)
        self.done, self.ends = threading.Event(), [] if ends is None else ends
        self.finished = self._note

    def _note(self, job):
        self.ends.append(self)
        self.done.set()

    def wait(self):
        assert self.done.wait(30)
        return self


@pytest.fixture
def engines():
    """A function that starts engines; they end with the test."""
    started = []

    def start(*segments, **settings):
        counts = Counts()
        engine = Engine(segments, counts, **{"batch": 8, "queue": 100, **settings})
        engine.counts = counts
        started.append(engine)
        return engine

    yield start
    for engine in started:
        engine.stop(10)
        assert not any(thread.is_alive() for thread in engine._threads)


def test_samples_leave_where_the_policy_says_in_the_order_of_the_request(engines):
    engine = engines(stub(), stub(), stub(last=True))
    job = Submitted(samples(0.5, 0.9, 0.7, 0.1, 0.95))
    engine.submit(job)
    assert job.wait().error is None
    assert job.exits.tolist() == [2, 0, 1, 2, 0]
    assert job.classes.tolist() == [1] * 5
    assert engine.counts.seen == [(0, 5, 2), (1, 3, 1), (2, 2, 2)]


def test_requests_of_one_batch_are_answered_as_their_samples_leave(engines):
    first, last = Gate(stub()), Gate(stub(last=True))
    engine, ends = engines(first, stub(), last), []
    blocker = Submitted(samples(0.9), ends=ends)
    engine.submit(blocker)
    assert first.begun.wait(30)  # all others wait, and are joined to one batch
    deep, early, middle = (Submitted(samples(value, 0.99), ends=ends) for value in (0.1, 0.9, 0.7))
    for job in (deep, early, middle):
        engine.submit(job)
    first.may.set()
    middle.wait()
    assert last.begun.wait(30)
    assert ends == [blocker, early, middle]
    assert not deep.done.is_set()
    last.may.set()
    deep.wait()
    assert engine.counts.seen[1] == (0, 6, 4)
    assert (2, 1, 1) in engine.counts.seen


def test_earlier_logits_that_only_some_requests_send_are_left_out(engines):
    gate = Gate(stub())
    engine = engines(gate, stub(), stub(last=True))
    first = Submitted(samples(0.9))
    engine.submit(first)
    assert gate.begun.wait(30)
    entry = Entry(x=samples(0.9, 0.9), first=1, previous=np.zeros((2, 3), dtype=np.float32))
    sent, plain, gone = Submitted(entry.x), Submitted(samples(0.9, 0.9)), Submitted(samples(0.9))
    sent.entry, plain.entry, gone.entry = entry, Entry(x=plain.entry.x, first=1), Entry(x=gone.entry.x, first=1)
    for job in (sent, gone, plain):
        engine.submit(job)
    gone.end()  # the samples that are left are taken by their places
    gate.may.set()
    for job in (first, sent, plain):
        assert job.wait().error is None
    np.testing.assert_array_equal(plain.exits, [1, 1])
    np.testing.assert_array_equal(sent.exits, [1, 1])


def test_new_requests_start_while_deeper_ones_are_in_work(engines):
    second = Gate(stub())
    engine, ends = engines(stub(), second, stub(last=True)), []
    deep, late = Submitted(samples(0.1), ends=ends), Submitted(samples(0.9, 0.9), ends=ends)
    engine.submit(deep)
    assert second.begun.wait(30)
    engine.submit(late)
    second.may.set()
    deep.wait()
    late.wait()
    assert ends == [late, deep]


@pytest.mark.parametrize("policy", [POLICY, PatiencePolicy(exits=3, patience=1)], ids=["threshold", "patience"])
@pytest.mark.parametrize("order", ["shallowest", "deepest"])
@pytest.mark.parametrize("workers", [1, 3])
def test_joined_requests_have_the_answers_of_requests_alone(engines, policy, order, workers):
    random = np.random.default_rng(0)
    engine = engines(stub(), stub(), stub(last=True), batch=5, queue=10_000, order=order, workers=workers)
    jobs = []
    for n in random.integers(1, 14, size=40):
        x = np.stack([random.uniform(0, 1, n), random.integers(0, 3, n)], axis=1).astype(np.float32)
        jobs.append(Submitted(x, policy))
        engine.submit(jobs[-1])
    alone = engines(stub(), stub(), stub(last=True), batch=1)
    for job in jobs:
        job.wait()
        one = Submitted(job.entry.x, policy)
        alone.submit(one)
        one.wait()
        np.testing.assert_array_equal(job.exits, one.exits)
        np.testing.assert_array_equal(job.classes, one.classes)
        np.testing.assert_array_equal(job.logits, one.logits)
    assert max(count for _, count, _ in engine.counts.seen) <= 5
    for _ in range(500):
        if engine.samples == 0:
            break
        time.sleep(0.01)
    assert engine.samples == 0


def test_a_full_queue_refuses_and_ended_requests_free_their_place(engines):
    gate = Gate(stub())
    engine = engines(gate, stub(), stub(last=True), queue=4)
    one, two = Submitted(samples(0.9)), Submitted(samples(0.9, 0.1, 0.1))
    engine.submit(one)
    assert gate.begun.wait(30)
    engine.submit(two)
    with pytest.raises(Refusal, match="the queue holds 4 of at most 4 samples") as caught:
        engine.submit(Submitted(samples(0.9)))
    assert (caught.value.status, caught.value.retry_after) == (503, 1)
    two.ended = True  # its client went away
    gate.may.set()
    one.wait()
    for _ in range(500):
        if engine.samples == 0:
            break
        time.sleep(0.01)
    three = Submitted(samples(0.9, 0.9, 0.9, 0.9))
    engine.submit(three)
    three.wait()
    assert gate.sizes == [1, 4]


def test_a_request_beyond_its_deadline_is_refused_and_not_run(engines):
    gate = Gate(stub())
    engine = engines(gate, stub(), stub(last=True))
    one, late = Submitted(samples(0.9)), Submitted(samples(0.9), seconds=0.01)
    engine.submit(one)
    assert gate.begun.wait(30)
    engine.submit(late)
    time.sleep(0.02)
    gate.may.set()
    assert isinstance(late.wait().error, Refusal)
    assert late.error.status == 504
    assert gate.sizes == [1]


def test_a_program_that_fails_refuses_its_requests_only(engines):
    def failing(x, previous):
        if x[:, 0].max() > 1.5:
            raise ExportError("does not run here")
        if x[:, 0].min() < -1.5:
            raise ValueError("secret")
        return stub()(x, previous)

    engine = engines(failing, stub(), stub(last=True))
    for value, said in ((2.0, "does not run here"), (-2.0, "ValueError in segment 0")):
        bad = Submitted(samples(value))
        engine.submit(bad)
        assert isinstance(bad.wait().error, Refusal)
        assert str(bad.error) == said
        assert bad.error.status == 500
    good = Submitted(samples(0.9))
    engine.submit(good)
    assert good.wait().error is None


def test_a_fault_while_samples_are_joined_ends_its_requests_and_not_the_thread(engines, monkeypatch):
    def failing(blocks):
        raise IndexError("secret")

    engine = engines(stub(), stub(), stub(last=True))
    with monkeypatch.context() as patched:
        patched.setattr(engine_module, "joined", failing)
        bad = Submitted(samples(0.9))
        engine.submit(bad)
        assert str(bad.wait().error) == "IndexError while samples were joined"
    good = Submitted(samples(0.9))
    engine.submit(good)
    assert good.wait().error is None


def test_a_stopped_engine_answers_its_requests_and_takes_no_more(engines):
    gate = Gate(stub())
    engine = engines(gate, stub(), stub(last=True))
    one, two = Submitted(samples(0.9)), Submitted(samples(0.1))
    engine.submit(one)
    assert gate.begun.wait(30)
    engine.submit(two)
    engine.stop(0.01)
    with pytest.raises(Refusal, match="stopping"):
        engine.submit(Submitted(samples(0.9)))
    gate.may.set()
    assert one.wait().error is None
    assert two.wait().error is None


def test_requests_that_an_engine_drops_are_refused_once_and_its_threads_end(engines):
    gate = Gate(stub())
    engine = engines(gate, stub(), stub(last=True))
    one, two = Submitted(samples(0.9)), Submitted(samples(0.1))
    engine.submit(one)
    assert gate.begun.wait(30)
    engine.submit(two)
    assert not engine.stop(0.01)
    assert engine.drop() == 2
    for job in (one, two):
        assert str(job.wait().error) == "the server stopped before the request was answered"
    assert engine.drop() == 0
    gate.may.set()
    assert engine.stop(30)


def test_a_worker_without_work_takes_its_share_of_a_batch_and_answers_stay(engines):
    class Slow(Gate):
        """Returns what it got once two runs are in it."""

        both = threading.Barrier(2)

        def __call__(self, x, previous):
            self.both.wait(30)
            return super().__call__(x, previous)

    first = Slow(stub(), opened=True)
    engine = engines(first, stub(), stub(last=True), batch=64, workers=2)
    for _ in range(500):
        if engine._idle == 2:
            break
        time.sleep(0.01)
    x = samples(*np.tile([0.5, 0.9, 0.7, 0.1, 0.95], 5))
    job = Submitted(x, PatiencePolicy(exits=3, patience=1))
    engine.submit(job)
    assert job.wait().error is None
    assert sorted(first.sizes) == [12, 13]
    alone = engines(stub(), stub(), stub(last=True))
    one = Submitted(x, PatiencePolicy(exits=3, patience=1))
    alone.submit(one)
    one.wait()
    np.testing.assert_array_equal(job.exits, one.exits)
    np.testing.assert_array_equal(job.logits, one.logits)


def test_blocks_split_between_and_within_requests():
    policies = POLICY, PatiencePolicy(exits=3, patience=1)
    jobs = [
        Submitted(samples(*[0.5] * n), policy) for n, policy in ((3, policies[0]), (1, policies[0]), (4, policies[1]))
    ]
    whole = joined([block for job in jobs for block in blocks_of(job, 8)])
    order = [(job, number) for job, numbers in whole.owners for number in numbers]
    for at in range(1, 8):
        head, tail = whole.split(at)
        assert (len(head), len(tail)) == (at, 8 - at)
        parts = [(job, number) for part in (head, tail) for job, numbers in part.owners for number in numbers]
        assert parts == order
        for part in (head, tail):
            assert sum(run.samples for run in part.runs) == len(part)
            assert all(len(run.state) == run.samples for run in part.runs)


@pytest.mark.parametrize("workers", [1, 3])
def test_samples_of_other_lengths_are_not_joined(engines, workers):
    def longer(last=False):
        run = stub(last)
        return lambda x, previous: (None if last else x, run(x[:, :2], previous)[1])

    gate = Gate(longer())
    engine, jobs = engines(gate, longer(), longer(last=True), batch=6, workers=workers), []
    for n, length in ((1, 2), (2, 8), (2, 16), (3, 8), (4, 8), (1, 16), (2, 2)):
        x = np.zeros((n, length), dtype=np.float32)
        x[:, 0], x[:, 1] = 0.6, length % 3
        jobs.append(Submitted(x))
        engine.submit(jobs[-1])
        assert gate.begun.wait(30)
    gate.may.set()
    for job in jobs:
        assert job.wait().error is None
        assert job.classes.tolist() == [job.entry.x.shape[1] % 3] * len(job)
    if workers == 1:  # those of one length are joined, in their order
        assert gate.sizes == [1, 5, 3, 4, 2]


def test_turns_take_the_first_segment_unless_a_batch_is_whole_and_pass_none_over_for_long():
    turns = Turns(3, 8)
    assert turns.next([3, 0, 0]) == 0
    assert turns.next([3, 0, 3]) == 0
    assert turns.next([20, 9, 1]) == 1
    assert turns.next([20, 9, 8]) == 2
    assert Turns(3, 8, "deepest").next([20, 0, 1]) == 2
    turns = Turns(3, 8)
    chosen = [turns.next([8, 0, 1]) for _ in range(2 * PATIENCE + 2)]
    assert chosen == ([0] * PATIENCE + [2]) * 2
    turns = Turns(12, 8)  # whole batches before all of them: the one that was passed over most often is next
    chosen = [turns.next([8] * 12) for _ in range(60)]
    assert all(np.diff(np.flatnonzero(np.array(chosen) == k)).max() <= 12 + PATIENCE for k in range(12))


def test_workers_and_threads_follow_from_the_cores(monkeypatch):
    for cores, given, wanted in (
        (1, {}, (1, 1)),
        (2, {}, (2, 1)),
        (16, {}, (4, 4)),
        (16, {"threads": 8}, (2, 8)),
        (2, {"threads": 4}, (1, 4)),
        (8, {"workers": 1}, (1, 8)),
        (2, {"workers": 3}, (3, 1)),
        (8, {"provider": "cuda"}, (1, None)),
    ):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert Opening(**given).parallel("onnx") == wanted
    assert Opening().parallel("pt2") == (1, None)
    with pytest.raises(InputError, match="workers must be from 1 to"):
        Opening(workers=100_000)
