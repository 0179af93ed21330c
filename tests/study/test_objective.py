"""The objective of one worker: what is recorded, when, and which errors end a trial, a study or nothing."""

import gc
import warnings
from dataclasses import replace

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState

from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import DivergedError, InfeasibleError, MachineError, StorageError, StudyError
from eenas.policies.costs import CostValues
from eenas.policies.exit_table_file import load_exit_table
from eenas.records.claims import Claims
from eenas.records.trials import TrialRecords
from eenas.records.workers import worker_name
from eenas.study.opening import OpenStudy, open_shared, own_name
from eenas.study.study import STOPPED, SURPLUS
from eenas.study.trials import objective as module
from eenas.study.trials.objective import Objective
from tests.optuna_counts import remaining
from tests.smallest_networks import small_design
from tests.smallest_study import SETTINGS, study_context, url

QUICK = (*SETTINGS, "prepare.when=never", "bank.use=false", "search.known_designs=false", "training.epochs=0.2")
ONE = small_design(Placed("1", PoolFc(pool="avg", size=2)))
OTHER = replace(ONE, branches=(Placed("2", Fc()),))

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed:UserWarning")


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """One context for studies with names of their own; `heard` in its listener's place."""
    heard = []
    made = study_context(url(tmp_path_factory.mktemp("objective")), QUICK, listener=heard.append)
    return made, heard


class Run:
    """A study with an empty queue, and an objective whose trials propose what the test says."""

    def __init__(self, opened: OpenStudy, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.study, self.proposed = opened, opened.study, []
        self.objective, self.records = Objective(opened), TrialRecords(opened.context.database)
        monkeypatch.setattr(module, "propose", self._propose)

    def _propose(self, trial, context, bank):
        found = self.proposed.pop(0)
        if isinstance(found, BaseException):
            raise found
        return found

    def __call__(self, *proposed):
        """Run a trial for each design; errors that are raised instead of one end their trial."""
        self.proposed += proposed
        self.study.optimize(self.objective, n_trials=len(proposed), catch=(Exception,))
        return self.study.trials

    def record(self, number):
        return self.records.get(self.opened.name, number)


@pytest.fixture
def run(context, request, monkeypatch):
    made, heard = context
    heard.clear()
    name, identity = own_name(made, f"s-{abs(hash(request.node.name))}")
    return Run(open_shared(made, name, identity, None), monkeypatch)


@pytest.fixture
def trainings(monkeypatch):
    """The designs that `run_trial` trained, in order."""
    from eenas.study.trials import trial

    real, found = trial.train_design, []

    def train(design, *arguments, **options):
        found.append(design)
        return real(design, *arguments, **options)

    monkeypatch.setattr(trial, "train_design", train)
    return found


def test_a_proposal_that_cannot_be_built_scores_worst_and_is_no_failure(run):
    trials = run(*(InfeasibleError("there is no place for 3 branches") for _ in range(3)))
    assert run.objective.failures_alike() is None
    whole = run.opened.context.plain_costs().of_exit(-1)
    for trial in trials:
        record = run.record(trial.number)
        assert (record.state, record.reason) == ("infeasible", "there is no place for 3 branches")
        assert record.values == (0.25, 1.1 * whole["macs"], 1.1 * whole["latency"])
        assert tuple(trial.values) == record.values
        assert trial.state == TrialState.COMPLETE
        assert trial.constraints == {"buildable": 1.0}, "the sampler hears that it is not feasible"
        assert record.artifacts == {}
    assert remaining(run.study, 3) == 0


def test_a_network_that_was_trained_before_is_not_trained_again(run, trainings):
    cheap = replace(ONE, policy=replace(ONE.policy, target_macs=0.3))
    run(ONE, OTHER, cheap)
    assert trainings == [ONE, OTHER]
    first, copied = run.record(0), run.record(2)
    assert (first.state, copied.state, copied.reason) == ("complete", "copied", "the same network as trial 0")
    assert copied.exit_accuracy == first.exit_accuracy
    assert copied.samples == 0 < first.samples
    assert copied.design.canonical() == cheap.canonical(), "with the policy that it drew"
    assert copied.artifacts.keys() == first.artifacts.keys() == {"calibration", "validation"}
    assert copied.artifacts["validation"] != first.artifacts["validation"]
    run(cheap)
    assert run.record(3).reason in ("the same network as trial 0", "the same network as trial 2")
    assert len(trainings) == 2


def test_a_network_is_trained_again_where_its_tables_are_lost(run, trainings):
    run(ONE)
    run.opened.context.artifacts.path(run.record(0).artifacts["validation"]).unlink()
    run(ONE)
    assert (run.record(1).state, len(trainings)) == ("complete", 2)


def test_a_network_is_trained_again_where_its_training_was_cut_short(run, trainings):
    run(ONE)
    run.records.save(replace(run.record(0), state="stopped"))
    run(ONE)
    assert (run.record(1).state, len(trainings)) == ("complete", 2)


def test_a_loss_that_is_not_finite_is_a_failure_with_its_reason_and_the_next_trial_runs(run):
    trials = run(DivergedError("the loss is not finite; postgresql://ann:hush@host/db"), ONE)
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.COMPLETE]
    record = run.record(0)
    assert (record.state, record.values, record.origin) == ("failed", None, "sampler")
    assert record.reason == trials[0].user_attrs["reason"] == "the loss is not finite; postgresql://ann:***@host/db"
    assert run.objective.stopped_by() is None
    assert remaining(run.study, 2) == 0, "a design that cannot be trained uses up its trial"


def test_an_error_of_python_is_a_failure_that_names_its_kind(run):
    run(ValueError("of a branch of the user's"))
    assert run.record(0).reason == "ValueError: of a branch of the user's"


def test_three_equal_failures_in_a_row_stop_the_study_and_others_do_not(run):
    same, other = DivergedError("the loss is not finite"), DivergedError("the gradient is not finite")
    run(same, same)
    assert run.objective.failures_alike() is None
    run(other, same, same)
    assert run.objective.failures_alike() is None
    run(ONE, same, same)
    assert run.objective.failures_alike() is None, "a trial that went well ends the row"
    run(same)
    assert "three trials in a row failed for the same reason: the loss is not finite" in str(
        run.objective.failures_alike()
    )


def test_a_trial_is_recorded_before_optuna_has_its_values_and_is_in_flight_until_then(run, monkeypatch):
    order = []
    notes, name = run.opened.context.in_flight, run.opened.name

    def watch(owner, attribute, said):
        real = getattr(owner, attribute)

        def seen(*arguments, **options):
            order.append(said)
            state = run.study.trials[0].state.name
            assert (state, notes.has_marker(name, 0)) == ("RUNNING", True), said
            return real(*arguments, **options)

        monkeypatch.setattr(owner, attribute, seen)

    watch(module, "propose", "propose")
    watch(module, "run_trial", "run")
    watch(module, "upload_artifact", "upload")
    watch(Claims, "finish", "record")
    (trial,) = run(ONE)
    assert order == ["propose", "run", "upload", "upload", "record"]
    assert trial.state == TrialState.COMPLETE
    assert not notes.has_marker(name, 0)
    assert trial.user_attrs["worker"] == worker_name()
    assert (trial.user_attrs["design"], trial.user_attrs["state"]) == (ONE.label(), "complete")


def test_the_tables_that_are_kept_are_those_that_were_scored(run):
    run(ONE)
    record = run.record(0)
    table = load_exit_table(run.opened.context.artifacts.path(record.artifacts["validation"]))
    np.testing.assert_allclose(table.exit_accuracy(), record.exit_accuracy)
    assert record.values == tuple(run.study.trials[0].values)


def test_a_trial_without_memory_is_run_once_more_when_memory_is_free(run, monkeypatch):
    freed = []
    monkeypatch.setattr(module, "free_memory", lambda: freed.append(gc.collect()))
    run.proposed.append(MemoryError())
    run(ONE)
    assert run.record(0).state == "complete"
    assert len(freed) == 1


def test_a_machine_without_memory_uses_up_no_trial(run):
    run.proposed.append(torch.OutOfMemoryError("DefaultCPUAllocator: can't allocate memory"))
    (trial,) = run(MemoryError())
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["cut_off"] == STOPPED
    assert run.record(0) is None
    assert isinstance(run.objective.stopped_by(), MachineError)
    assert "finished trials are kept" in str(run.objective.stopped_by())
    assert remaining(run.study, 1) == 1
    run.objective.clear_fault()
    assert run.objective.stopped_by() is None


def test_ctrl_c_uses_up_no_trial(run):
    with pytest.raises(KeyboardInterrupt):
        run(KeyboardInterrupt())
    (trial,) = run.study.trials
    assert trial.user_attrs["cut_off"] == STOPPED
    assert run.record(0) is None
    assert not run.opened.context.in_flight.has_marker(run.opened.name, 0)
    assert run.objective.stopped_by() is None


def test_ctrl_c_that_a_library_hides_behind_its_own_error_uses_up_no_trial(run):
    hidden = UnboundLocalError("cannot access local variable 'updated_state'")
    hidden.__context__ = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(hidden)
    (trial,) = run.study.trials
    assert trial.user_attrs["cut_off"] == STOPPED
    assert run.record(0) is None
    assert run.objective.failures_alike() is run.objective.stopped_by() is None


def test_an_interrupt_before_the_search_is_none_of_its_trials(run):
    """A search may begin in the handler of an earlier one's Ctrl-C."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        run.objective = Objective(run.opened)
        (trial,) = run(ValueError("shapes differ"))
    assert trial.state == TrialState.FAIL
    assert run.record(0).reason == "ValueError: shapes differ"


def test_ctrl_c_after_the_record_of_a_trial_waits_until_optuna_has_its_values(run, monkeypatch):
    def interrupt(number):
        if number is None:
            raise KeyboardInterrupt

    run.objective = Objective(run.opened, interrupt)
    (trial,) = run(ONE)
    assert trial.state == TrialState.COMPLETE
    assert tuple(trial.values) == run.record(0).values
    assert "cut_off" not in trial.user_attrs
    assert isinstance(run.objective.interrupt, KeyboardInterrupt)


def test_a_trial_beyond_the_total_is_not_run(run, monkeypatch, trainings):
    settings = run.opened.context.settings
    one = replace(settings, search=replace(settings.search, trials=1))
    run.objective = Objective(replace(run.opened, context=replace(run.opened.context, settings=one)))
    trials = run(ONE, OTHER)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.FAIL]
    assert trials[1].user_attrs["cut_off"] == SURPLUS
    assert "worker" not in trials[1].user_attrs
    assert run.record(1) is None
    assert run.proposed == [OTHER]
    assert trainings == [ONE]
    assert run.objective.failures_alike() is run.objective.stopped_by() is None


def test_a_study_that_was_deleted_meanwhile_is_not_written_to(run, monkeypatch):
    calls = []

    def gone(self):
        calls.append(1)
        if len(calls) > 1:  # it was there when the trial began
            raise StudyError("the study was deleted while it ran")

    monkeypatch.setattr(OpenStudy, "check", gone)
    run(ONE)
    assert run.record(0) is None
    assert "deleted while it ran" in str(run.objective.stopped_by())


def test_a_trial_that_another_worker_was_given_is_told_once(run, context, monkeypatch):
    def ended(self, trial, record):
        raise optuna.exceptions.UpdateFinishedTrialError("trial 0 has ended")

    monkeypatch.setattr(Objective, "_keep", ended)
    run(ONE)
    said = [event.text for event in context[1] if "another worker" in getattr(event, "text", "")]
    assert said == ["trial 0 was given to another worker while this one did not respond; its result is discarded"]
    assert run.objective.stopped_by() is run.objective.failures_alike() is None


def test_the_best_so_far_grows_with_what_a_trial_reached_and_is_the_same_for_a_later_worker(run, monkeypatch):
    before, real = run.objective.best_so_far(), module.run_trial
    run(DivergedError("the loss is not finite"), InfeasibleError("no place"))
    assert run.objective.best_so_far() == before

    def all_right(*arguments, **options):
        outcome = real(*arguments, **options)
        total = run.opened.context.profile.total_macs
        point = outcome.record.points[0]
        cheap = replace(point, accuracy=1.0, expected=CostValues({**point.expected, "macs": 0.4 * total}))
        return replace(outcome, record=replace(outcome.record, points=(cheap,)))

    monkeypatch.setattr(module, "run_trial", all_right)
    run(ONE)
    area = (1.1 - 0.4) * (1.0 - 0.25)  # the plain backbone knows nothing and adds nothing
    assert run.objective.best_so_far() == f"hypervolume {area:.3f}, 100.0 % at 50 % MACs" != before
    assert Objective(run.opened).best_so_far() == run.objective.best_so_far()


def test_a_trial_is_kept_once_when_the_server_was_away_in_the_middle(run, monkeypatch):
    turn, lost = run.objective.turn, []
    real = turn.end

    def end(record, points):
        if not lost:
            lost.append(record.number)
            raise StorageError("the server is away")
        real(record, points)

    monkeypatch.setattr(turn, "end", end)
    monkeypatch.setattr(turn, "has_server", lambda number, trouble: True)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        (trial,) = run(ONE)
    assert lost == [0]
    assert trial.state == TrialState.COMPLETE
    assert run.record(0).state == "complete"
    assert [str(each.message) for each in heard if "constraint" in str(each.message)] == []
