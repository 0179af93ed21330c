"""The loop of a study: trials until the total or the time limit is reached, and the handling of outages."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from eenas.errors import EenasError, StorageError, StudyError
from eenas.faults import interrupt_of
from eenas.progress import Advanced, Finished, Notice, Started, Stopped
from eenas.study.context.study_context import StudyContext
from eenas.study.experimental import experimental
from eenas.study.interrupts import after_interrupt
from eenas.study.opening import OpenStudy, open_shared
from eenas.study.outages import despite_outages
from eenas.study.presence import Presence
from eenas.study.rivals.baselines import refresh_static
from eenas.study.study import STOPPED
from eenas.study.trials.blame import storage_faults
from eenas.study.trials.objective import Objective
from eenas.study.trials.turn import AWAY

Callback = Callable[[optuna.Study, optuna.trial.FrozenTrial], None]
POLL = 1.0
"""The seconds between two checks of the trials of other workers."""
OUTAGES = 3
"""The largest number of outages in a row, with no trial between, before the search ends."""


@dataclass(frozen=True)
class EndedRun:
    """A study whose trials have ended here.

    `failure` is set if its last trials failed for the same reason, and `interrupt` if Ctrl-C or SIGTERM ended them.
    """

    study: optuna.Study
    failure: StudyError | None
    interrupt: KeyboardInterrupt | None


def run_study(
    context: StudyContext,
    name: str,
    identity: dict[str, Any],
    *,
    folder: Path | None = None,
    after_trial: Callable[[optuna.Study], None],
    callbacks: Sequence[Callback] = (),
) -> EndedRun:
    """Run trials on `context` until the study has its total or its time limit is reached, or Ctrl-C ends them.

    `after_trial` and `callbacks` are called after each trial; `callbacks` have Optuna's signature, and one that calls
    `study.stop()` ends the search.
    """
    with Presence(context.database, name, context.device_text, context.listener) as presence:
        context = replace(context, listener=presence.hear)
        opened = despite_outages(
            context.database.url,
            lambda: open_shared(context, name, identity, folder, presence.is_steady),
            context.listener,
            check=context.limit.check,
        )
        objective = Objective(opened, presence.at_trial)
        context.limit.lift()
        try:
            interrupt = _run_trials(opened, objective, after_trial, callbacks)
        finally:
            with suppress(StorageError):  # the recovery of another worker gives it back
                objective.turn.give_back()
        with after_interrupt(interrupt):
            opened.check()
            context.listener(Finished("searching", objective.best_so_far()))
            context.leases.once(
                f"static/{name}",
                "looking for better static networks",
                lambda: refresh_static(opened.context, name, opened.bank),
            )
        return EndedRun(opened.study, objective.failures_alike(), interrupt)


def _run_trials(
    opened: OpenStudy, objective: Objective, after: Callable[[optuna.Study], None], callbacks: Sequence[Callback]
) -> KeyboardInterrupt | None:
    """Run trials until the total or the time limit, Ctrl-C, a callback's stop, or too many equal failures.

    Every trial needs a claim (`eenas.records.claims`), so that no worker starts one beyond the total. Raises errors
    that are not the fault of a design. A short outage of the server only gives a notice.
    """
    context, study, outer = opened.context, opened.study, sys.exception()
    must_recover, outages, stopped = True, 0, False
    listener, total, claims = context.listener, context.settings.search.trials, opened.claims
    listener(Started("searching", total))
    listener(Advanced("searching", min(total, claims.ended()), objective.best_so_far()))

    def after_trial(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        nonlocal must_recover, outages, stopped
        must_recover = must_recover or trial.user_attrs.get("cut_off") == STOPPED
        objective.mark_reported()
        outages = outages if objective.stopped_by() else 0
        listener(Advanced("searching", min(total, claims.ended()), objective.best_so_far()))
        after(study)
        for callback in callbacks:
            callback(study, trial)
            stopped = stopped or study._stop_flag

    while True:
        try:
            if must_recover:
                objective.turn.give_back()  # the connection may have broken before a trial came to the claim
                opened.recovery.run()
            else:
                opened.recovery.sometimes()
            must_recover = False
            if stopped or (ended := claims.ended()) >= total or objective.failures_alike():
                return None
            seconds = context.limit.left()
            if seconds is not None and seconds <= 0:
                if not ended:
                    raise context.limit.error()
                listener(Notice(f"the time limit is reached after {ended} of {total} trials"))
                return None
            if not objective.turn.take():  # other workers run the rest; a dead one is noticed here
                objective.serve()
                time.sleep(POLL)
                must_recover = True
                continue
            with experimental():
                study.optimize(objective, n_trials=1, callbacks=[after_trial], catch=(Exception,))
            if (interrupt := objective.interrupt) is not None:
                break
            trouble = objective.stopped_by()
        except KeyboardInterrupt as error:
            interrupt = error
            break
        except Exception as error:
            if (interrupt := interrupt_of(error, outer)) is not None:
                break
            trouble = objective.stopped_by() or objective.fault(error)
            already_finished = isinstance(error, UpdateFinishedTrialError)
            if (already_finished or trouble is None) and (objective.was_overtaken(study) or already_finished):
                must_recover = True
                continue  # another worker took over the trial; the objective or the recovery reports it
            if trouble is None:
                raise
        if trouble is None:
            continue
        outages, must_recover = outages + 1, True
        if not isinstance(trouble, StorageError) or outages > OUTAGES or not context.database.wait_for_server(AWAY):
            raise trouble
        study._storage.remove_session()
        objective.clear_fault()
        listener(Notice(f"the storage was unavailable for a moment ({trouble}); the search continues"))
    interrupt.__traceback__ = None  # its frames keep cursors open, with which SQLite cannot write
    study._storage.remove_session()
    with suppress(EenasError), storage_faults(context.database):  # the next search does it otherwise
        opened.recovery.run()
    listener(Stopped("stopped; rerun the command to continue", interrupt))
    return interrupt
