"""Ctrl-C at any moment of a search: it ends in order, no trial is left running, and the next search has its total."""

import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from contextlib import closing

import pytest
import torch
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from eenas.progress import Notice, Started
from eenas.study.interrupts import after_interrupt, held_interrupts, repeat_swallowed
from tests.smallest_study import SETTINGS, run_search

TRIALS = 4


@pytest.fixture(autouse=True)
def interrupted_by_signals():
    """Python's own handlers: signals are ignored where the tests run in the background."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def go(folder, trials=TRIALS, listener=None):
    heard = []
    found = run_search(
        folder,
        trials=trials,
        overrides=(*SETTINGS, "bank.designs=0"),
        listener=lambda event: heard.append(event) or (listener(event) if listener else None),
    )
    return found, [event.text for event in heard if isinstance(event, Notice)]


def interrupted(folder, profile):
    """A search whose calls during the trials go to `profile`, which may raise."""

    def listen(event):
        if isinstance(event, Started) and event.phase == "searching":
            sys.setprofile(profile)

    try:
        return go(folder, listener=listen)
    finally:
        sys.setprofile(None)


def callers(frame):
    while frame is not None:
        yield frame.f_code.co_name
        frame = frame.f_back


def states(folder):
    with closing(sqlite3.connect(folder / "eenas.db")) as connection:
        return Counter(state for (state,) in connection.execute("select state from trials"))


def check_goes_on(folder):
    assert states(folder)["RUNNING"] == 0
    found, _ = go(folder)
    assert len(found.trials) == TRIALS
    assert {trial.state for trial in found.trials} <= {"complete", "copied", "stopped"}
    assert states(folder).keys() <= {"COMPLETE", "FAIL"}
    assert states(folder)["COMPLETE"] == TRIALS


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.COMPLETE])
@pytest.mark.parametrize("is_before", [True, False])
def test_ctrl_c_while_optuna_notes_the_state_of_a_trial(tmp_path, monkeypatch, state, is_before):
    real, calls = RDBStorage.set_trial_state_values, []

    def interrupted(self, trial_id, new, values=None):
        is_hit = new == state and not calls
        calls.extend([1] if is_hit else [])
        if is_hit and is_before:
            signal.raise_signal(signal.SIGINT)
        done = real(self, trial_id, new, values)
        if is_hit:
            signal.raise_signal(signal.SIGINT)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(RDBStorage, "set_trial_state_values", interrupted)
        found, notices = go(tmp_path)
    assert calls == [1]
    assert notices[-1] == "stopped; rerun the command to continue"
    assert len(found.trials) == (1 if state == TrialState.COMPLETE else 0)
    check_goes_on(tmp_path)


def test_ctrl_c_while_optuna_creates_a_trial_leaves_none_that_nobody_knows(tmp_path, monkeypatch):
    real, hits = RDBStorage._create_new_trial, []

    def interrupted(self, study_id, template_trial=None):
        made = real(self, study_id, template_trial)
        if template_trial is None:
            hits.append(made.number)
            signal.raise_signal(signal.SIGINT)
        return made

    with monkeypatch.context() as patch:
        patch.setattr(RDBStorage, "_create_new_trial", interrupted)
        _, notices = go(tmp_path)
    assert len(hits) == 1
    assert notices[-1] == "stopped; rerun the command to continue"
    check_goes_on(tmp_path)


def test_ctrl_c_inside_a_read_of_the_database_does_not_block_it(tmp_path):
    """An open cursor keeps a state of an SQLite file from which its connection cannot write."""
    hits = []

    def profile(frame, event, _):
        if event == "call" and frame.f_code.co_name == "create_row_processor" and "set_trial_param" in callers(frame):
            hits.append(1)
            sys.setprofile(None)
            raise KeyboardInterrupt

    _, notices = interrupted(tmp_path, profile)
    assert hits == [1]
    with closing(sqlite3.connect(tmp_path / "eenas.db")) as connection:
        how = "select value_json from trial_user_attributes where key = 'cut_off'"
        assert connection.execute(how).fetchall() == [('"stopped"',)]
    assert notices[-1] == "stopped; rerun the command to continue"
    check_goes_on(tmp_path)


def test_a_search_that_begins_in_the_handler_of_ctrl_c_runs_all_its_trials(tmp_path, monkeypatch):
    real, calls = RDBStorage.get_trial, []

    def failing(self, trial_id):
        calls.append(trial_id)
        if len(calls) == 3:
            raise ValueError("of a library")
        return real(self, trial_id)

    monkeypatch.setattr(RDBStorage, "get_trial", failing)
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        found, notices = go(tmp_path)
    assert [trial.state == "failed" for trial in found.trials] == [True, *[False] * (TRIALS - 1)]
    assert not [text for text in notices if text.startswith("stopped")]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(1, 9))
def test_ctrl_c_in_any_call_of_a_trial(tmp_path, part):
    """Python handles a signal when it enters a function, so an interrupt there is one that a user can cause."""
    calls, at = 0, None

    def profile(frame, event, _):
        nonlocal calls
        if event == "call":
            calls += 1
            if calls == at:
                sys.setprofile(None)
                raise KeyboardInterrupt

    (tmp_path / "whole").mkdir()
    interrupted(tmp_path / "whole", profile)
    at, calls = calls * part // 9, 0
    try:
        interrupted(tmp_path, profile)
    except KeyboardInterrupt:  # after the trials, in what the search returns
        assert states(tmp_path)["COMPLETE"] == TRIALS
    finally:
        torch.set_grad_enabled(True)  # a block of torch.no_grad may have been left unfinished
    check_goes_on(tmp_path)


def test_the_first_interrupt_inside_the_block_takes_effect_at_its_end():
    steps = []

    def step():
        signal.raise_signal(signal.SIGINT)
        steps.append("after the signal")

    with pytest.raises(KeyboardInterrupt), held_interrupts():
        step()
    assert steps == ["after the signal"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_takes_effect_at_once():
    steps = []

    def step():
        signal.raise_signal(signal.SIGINT)
        steps.append("first")
        signal.raise_signal(signal.SIGINT)
        steps.append("second")

    with pytest.raises(KeyboardInterrupt), held_interrupts():
        step()
    assert steps == ["first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_is_not_lost_when_the_block_fails():
    def step():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("no")

    with pytest.raises(KeyboardInterrupt) as caught, held_interrupts():
        step()
    assert isinstance(caught.value.__context__, ValueError)


def test_a_handler_that_changes_itself_is_kept():
    def end(number, frame):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)

    def step():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), held_interrupts():
        step()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_errors_after_an_interrupt_are_the_interrupt():
    """It may have cut off an import, whose half then raises errors of any kind."""
    interrupt = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as caught, after_interrupt(interrupt):
        raise AttributeError("module has no attribute")
    assert caught.value is interrupt
    with pytest.raises(AttributeError), after_interrupt(None):
        raise AttributeError("module has no attribute")


class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_a_finalizer_swallows_is_repeated(monkeypatch):
    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    repeat_swallowed(lambda error: signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)

    def work():
        Finalized()
        threading.Event().wait(60)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        work()
    assert time.monotonic() - began < 60
    assert said == []


def test_other_errors_of_finalizers_are_said_as_before(monkeypatch):
    said = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: said.append(dropped.exc_type))
    repeat_swallowed(lambda error: signal.SIGINT)

    class Faulty:
        def __del__(self):
            raise ValueError("no")

    Faulty()
    assert said == [ValueError]


def test_other_threads_and_ignored_signals_are_left_alone():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    seen = []

    def look():
        with held_interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    look()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_IGN, signal.default_int_handler]
