"""The supervisor: what it shows, whom it replaces, when it gives up, and that nobody is left running."""

from collections import deque

import pytest

from eenas.errors import MachineError, SpecError, StorageError, StudyError, TimeOverError
from eenas.progress import Advanced, Finished, Notice, Started, Stopped
from eenas.workers import supervisor as module
from eenas.workers.combined_progress import CombinedProgress
from eenas.workers.messages import Ended, Reached, ended_by
from eenas.workers.supervisor import Supervisor

DIED = Ended("died", "out of luck")


class Scripted:
    """A worker that says what it was given, one message at each look, and waits for its end if that has none."""

    def __init__(self, *script):
        self.script, self.was_stopped, self.was_killed, self.was_woken = deque(script), False, False, False

    def messages(self):
        if self.script:
            message = self.script.popleft()
            if isinstance(message, BaseException):
                raise message
            return [message]
        return [Ended("stopped")] if self.was_stopped else []  # until then it is at work, or suspended

    def stop(self):
        self.was_stopped = True

    def wake(self):
        if not self.was_woken:
            self.was_woken = True
            self.script.append(Ended("done"))

    def kill(self):
        self.was_killed = True


class Launched:
    """The scripts of each number in turn, the events and the finished trials."""

    def __init__(self, *scripts):
        self.scripts, self.workers = [deque(each) for each in scripts], []
        self.heard, self.names = [], []
        self.supervisor = Supervisor(self, len(scripts), self.heard.append, self.names.append)

    def __call__(self, number):
        self.workers.append(Scripted(*self.scripts[number - 1].popleft()))
        return self.workers[-1]

    def notices(self):
        return [event.text for event in self.heard if isinstance(event, Notice)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "POLL", 0.001)


def test_workers_run_until_all_have_ended():
    launched = Launched([[Reached("study"), Ended("done")]], [[Reached("study"), Reached("study"), Ended("done")]])
    assert launched.supervisor.run() is False
    assert launched.supervisor.name == "study"
    assert launched.names == ["study"] * 3
    assert all(worker.was_killed for worker in launched.workers)  # joined and closed


def test_a_dead_worker_is_replaced_and_said():
    launched = Launched([[DIED], [Reached("study"), Ended("done")]], [[Ended("done")]])
    launched.supervisor.run()
    assert launched.notices() == [
        "worker 1 died: out of luck; another one is started, and its trial is run again",
    ]
    assert len(launched.workers) == 3


def test_a_worker_that_dies_three_times_in_a_row_ends_the_search():
    launched = Launched([[DIED]] * 3, [[Reached("study")]])
    with pytest.raises(StudyError, match=r"worker 1 died 3 times in a row: out of luck; fix the cause"):
        launched.supervisor.run()
    assert launched.workers[1].was_stopped
    assert all(worker.was_killed for worker in launched.workers if worker is not launched.workers[0])


def test_a_worker_that_cannot_be_replaced_is_not_waited_for(monkeypatch):
    class Full(Launched):
        def __call__(self, number):
            if self.workers:
                raise MachineError("no process can be started")
            return super().__call__(number)

    monkeypatch.setattr(Scripted, "stop", None)
    with pytest.raises(MachineError, match="no process can be started"):
        Full([[DIED]]).supervisor.run()


@pytest.mark.parametrize("how", ["done", "late"])
def test_a_suspended_worker_is_woken_when_the_study_is_over(how):
    launched = Launched([[Reached("study")]], [[Reached("study"), Ended(how)]])
    assert launched.supervisor.run() is False
    assert [worker.was_woken for worker in launched.workers] == [True, False]


def test_a_finished_trial_makes_the_deaths_count_anew():
    launched = Launched([[DIED], [DIED], [Reached("study"), DIED], [DIED], [Ended("done")]])
    launched.supervisor.run()
    assert len(launched.workers) == 5


def test_an_error_that_all_would_meet_ends_all_with_its_class():
    launched = Launched([[Ended("error", "no such key", "SpecError")]], [[]])
    with pytest.raises(SpecError, match="no such key"):
        launched.supervisor.run()
    assert launched.workers[1].was_stopped


def test_ctrl_c_stops_all_and_a_second_one_kills_them():
    launched = Launched([[Reached("study"), KeyboardInterrupt()]], [[]])
    assert launched.supervisor.run() is True
    assert all(worker.was_stopped for worker in launched.workers)
    stubborn = Launched([[KeyboardInterrupt(), KeyboardInterrupt()]], [[]])
    assert stubborn.supervisor.run() is True
    assert all(worker.was_killed for worker in stubborn.workers)


def test_ctrl_c_between_two_messages_loses_no_name_of_a_study(monkeypatch):
    """Both were read at one look, so the second one is gone."""
    launched = Launched([[]], [[]])
    ended = [Ended("stopped"), Ended("stopped", study="study")]
    first = [Notice("a trial has ended"), Reached("study")]
    monkeypatch.setattr(Scripted, "messages", lambda self: [ended.pop()] if self.was_stopped else first)

    def interrupted(event):
        raise KeyboardInterrupt

    supervisor = Supervisor(launched, 2, interrupted, launched.names.append)
    assert supervisor.run() is True
    assert supervisor.name == "study"
    assert launched.names == []


def test_workers_that_do_not_end_in_time_are_killed(monkeypatch):
    monkeypatch.setattr(module, "ENDING", 0.02)
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    launched = Launched([[KeyboardInterrupt()]])
    monkeypatch.setattr(Scripted, "stop", lambda self: None)
    assert launched.supervisor.run() is True
    assert launched.workers[0].was_killed
    assert "give their trials back" in launched.notices()[0]


def test_the_time_is_over_only_if_no_worker_finished_a_trial():
    late = Ended("late", "the time is over", "TimeOverError")
    with pytest.raises(TimeOverError, match="the time is over"):
        Launched([[late]], [[late]]).supervisor.run()
    Launched([[late]], [[Ended("done")]]).supervisor.run()


@pytest.mark.parametrize(
    ("error", "how", "reason"),
    [
        (KeyboardInterrupt(), "stopped", ""),
        (StorageError("no\nstorage"), "error", "no storage"),
        (TimeOverError("over"), "late", "over"),
        (MachineError("full"), "died", "full"),
        (ZeroDivisionError("by 0"), "died", "ZeroDivisionError: by 0"),
    ],
)
def test_how_an_error_ends_a_worker(error, how, reason):
    ended = ended_by(error)
    assert (ended.how, ended.reason) == (how, reason)


def test_one_stopped_worker_is_no_stopped_search():
    heard = []
    CombinedProgress(heard.append).of(1)(Stopped("stopped; rerun"))
    assert [(type(event), event.text) for event in heard] == [(Notice, "stopped; rerun")]


def test_progress_of_several_workers_is_that_of_one_study():
    heard = []
    progress = CombinedProgress(heard.append)
    one, two = progress.of(1), progress.of(2)
    one(Notice("hello"))
    two(Notice("hello"))
    one(Started("measuring"))
    two(Started("measuring"))
    two(Started("waiting for another worker: measuring"))
    one(Finished("measuring"))
    for each in (one, two):
        each(Started("searching", 8))
        each(Advanced("searching", 0))
    two(Advanced("searching", 2, "better"))
    one(Advanced("searching", 1, "worse"))
    one(Finished("searching", "better"))
    two(Finished("searching", "best"))
    progress.finish()
    assert heard == [
        Notice("hello"),
        Started("measuring"),
        Finished("measuring"),
        Started("searching", 8),
        Advanced("searching", 0),
        Advanced("searching", 2, "better"),
        Finished("searching", "best"),
    ]


def test_another_worker_shows_the_phase_of_a_dead_one():
    heard = []
    progress = CombinedProgress(heard.append)
    progress.of(1)(Started("measuring"))
    progress.forget(1)
    progress.of(2)(Started("measuring"))
    assert heard == [Started("measuring")] * 2


def test_a_search_is_refused_by_an_error_before_any_search_and_any_death():
    wrong = Ended("error", "wrong", "SpecError")
    for script, is_refused in (
        ((wrong,), True),
        ((Started("preparing"), wrong), True),
        ((Started("searching"), wrong), False),
        ((Reached("one"), wrong), False),
    ):
        launched = Launched([script])
        with pytest.raises(SpecError):
            launched.supervisor.run()
        assert launched.supervisor.is_refused is is_refused
    launched = Launched([(DIED,), (wrong,)])
    with pytest.raises(SpecError):
        launched.supervisor.run()
    assert not launched.supervisor.is_refused
