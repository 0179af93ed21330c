"""The trials of a study counted in Optuna's tables, which know nothing of claims."""

import optuna
from optuna.trial import TrialState

from eenas.study.study import STOPPED, SURPLUS, RunAgain


def remaining(study: optuna.Study, total: int) -> int:
    """The trials to run until `total` have ended; those that are run again do not count."""
    again, ended = RunAgain(study).numbers(), 0
    for trial in study.get_trials(deepcopy=False):
        cut_off = trial.number in again or trial.user_attrs.get("cut_off") in (STOPPED, SURPLUS)
        ended += trial.state == TrialState.COMPLETE or (trial.state == TrialState.FAIL and not cut_off)
    return max(0, total - ended)


def running(study: optuna.Study) -> int:
    """The running trials of all workers."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
