"""What TPE reads of a long study: running and undominated trials, and a sample that all workers agree on."""

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from eenas.study.sampled_history import MOST_BEST, MOST_SAMPLED, SampledHistory

LONG = 3 * MOST_SAMPLED
X = {"x": optuna.distributions.FloatDistribution(0, 1)}


def trial(number, values=None):
    x = (number * 0.618) % 1
    return create_trial(params={"x": x}, distributions=X, values=values or [x * 0.5, 1 + x])


@pytest.fixture
def study():
    return optuna.create_study(directions=["maximize", "minimize"])


def numbers(read, **options):
    return [each.number for each in read._get_trials(deepcopy=False, **options)]


def test_a_short_study_is_read_whole(study):
    study.add_trials([trial(number) for number in range(MOST_SAMPLED)])
    assert numbers(SampledHistory(study)) == list(range(MOST_SAMPLED))


def test_a_long_study_is_read_in_part_with_its_front_and_what_runs(study):
    study.add_trials([trial(number, [0.1, 5.0]) for number in range(LONG)])
    best = [study.add_trial(trial(0, [0.2 + 0.01 * each, 2.0 + each])) for each in range(5)]
    assert best == [None] * 5
    running = study.ask()
    found = numbers(SampledHistory(study))
    assert set(range(LONG, LONG + 5)) | {running.number} <= set(found)
    assert len(found) <= MOST_SAMPLED + MOST_BEST + 1
    assert found == sorted(found)


def test_workers_that_read_at_other_times_read_the_same(study):
    early = SampledHistory(study)
    for number in range(LONG):
        study.add_trial(trial(number))
        if number % 100 == 0:
            numbers(early)
    assert numbers(early) == numbers(SampledHistory(study))


def test_infeasible_and_failed_trials_are_never_among_the_best(study):
    study.add_trials([trial(number, [0.1, 5.0]) for number in range(LONG)])
    history = SampledHistory(study)
    numbers(history)
    broken = create_trial(
        params={"x": 0.5}, distributions=X, values=[0.9, 0.1], system_attrs={"constraints:buildable": 1.0}
    )
    assert broken.constraints == {"buildable": 1.0}
    study.add_trial(broken)
    study.add_trial(create_trial(state=TrialState.FAIL))
    numbers(history)
    assert LONG not in history._best
    assert set(history._best) <= set(range(LONG))
