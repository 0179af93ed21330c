"""Trials and claims of workers that die at any moment: nothing is lost, doubled or beyond the total."""

import warnings

import optuna
import pytest
from optuna.trial import TrialState

from eenas.progress import silent
from eenas.records.claims import Claims
from eenas.records.database import Database
from eenas.records.in_flight import InFlight
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.records.workers import WorkerRecord, WorkerRecords
from eenas.study.study import SURPLUS, open_storage
from eenas.study.trials import recovery as module
from eenas.study.trials.recovery import Recovery
from eenas.study.trials.turn import SurplusError, Turn

DEAD = "elsewhere:1"


class Cluster:
    """A study with trials of a worker that is not in the table of workers, which is to say dead."""

    def __init__(self, storage, folder):
        self.database = Database(storage)
        self.study = optuna.create_study(storage=open_storage(self.database), study_name="s")
        self.elsewhere = optuna.load_study(storage=open_storage(self.database), study_name="s")
        self.claims = Claims(self.database, "s")
        self.claims.sync()
        self.recovery = Recovery(self.study, self.database, InFlight(folder), silent)

    def ask(self, worker=None):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Heartbeat")
            trial = self.elsewhere.ask()  # the one that recovers has not begun it
        if worker:
            trial.set_user_attr("worker", worker)
        return trial

    def turn(self, total):
        return Turn(self.claims, self.database, silent, total)

    def states(self):
        return [trial.state for trial in self.study.get_trials(deepcopy=False)]


@pytest.fixture
def cluster(shared_storage, tmp_path):
    return Cluster(shared_storage, tmp_path)


def record(number):
    return TrialRecord(study="s", number=number, state="complete", values=(0.5,))


def test_a_claim_whose_worker_died_before_its_trial_is_given_back(cluster):
    assert cluster.claims.take(DEAD, 1)
    assert cluster.claims.take("b:1", 1) is None
    cluster.recovery.run()
    assert cluster.claims.list() == []
    assert cluster.claims.take("b:1", 1)


def test_a_claim_of_a_living_worker_is_kept(cluster):
    worker = WorkerRecord(name=DEAD, study="s", host="elsewhere", process=1, device="cpu")
    WorkerRecords(cluster.database).start(worker)
    cluster.claims.take(DEAD, 1)
    cluster.recovery.run()
    assert [claim.worker for claim in cluster.claims.list()] == [DEAD]


def test_a_trial_whose_worker_died_before_it_put_its_name_to_it_is_run_again_within_the_total(cluster, monkeypatch):
    cluster.study.enqueue_trial({"x": 0.25})
    cluster.claims.take(DEAD, 1)
    cluster.ask()
    cluster.recovery.run()
    assert cluster.states() == [TrialState.RUNNING]
    assert cluster.claims.take("b:1", 1) is None, "the total must not fill up before the trial runs again"
    monkeypatch.setattr(module, "UNNAMED", -1.0)
    cluster.recovery.run()
    assert cluster.states() == [TrialState.FAIL, TrialState.WAITING]
    turn = cluster.turn(1)
    assert turn.take()
    again = cluster.ask()
    turn.begin(again)
    assert again.suggest_float("x", 0, 1) == 0.25
    turn.end(record(again.number))
    assert not cluster.turn(1).take()


def test_clocks_an_hour_apart_declare_no_trial_dead(cluster, monkeypatch):
    trial = cluster.ask()
    with cluster.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE trials SET datetime_start = '2001-01-01 00:00:00'")
    cluster.recovery.run()
    assert cluster.study.trials[trial.number].state == TrialState.RUNNING


def test_a_trial_that_was_queued_again_twice_runs_once(cluster):
    for _ in range(2):  # as by two workers of which one slept while it recovered
        cluster.study.enqueue_trial({"x": 0.5}, user_attrs={"again_for": 7})
    first, second = cluster.turn(5), cluster.turn(5)
    assert first.take()
    assert second.take()
    one, two = cluster.ask(), cluster.ask()
    first.begin(one)
    with pytest.raises(SurplusError, match="another trial already runs trial 7 again"):
        second.begin(two)
    assert cluster.study.trials[two.number].user_attrs["cut_off"] == SURPLUS


def test_a_worker_that_lost_its_claim_before_its_trial_leaves_the_trial_to_others(cluster):
    cluster.study.enqueue_trial({"x": 0.5})
    turn = cluster.turn(1)
    turn.take()
    cluster.claims.give_back(cluster.claims.list()[0])
    trial = cluster.ask()
    with pytest.raises(SurplusError, match="was lost while this worker did not respond"):
        turn.begin(trial)
    cluster.study.tell(trial.number, state=TrialState.FAIL)
    cluster.recovery.run()
    assert cluster.states() == [TrialState.FAIL, TrialState.WAITING]


def test_a_recovery_that_was_killed_at_any_write_is_done_by_the_next(cluster, tmp_path, monkeypatch):
    """The trial is run again once, whichever write was the last."""
    claim = cluster.claims.take(DEAD, 1)
    trial = cluster.ask(DEAD)
    trial.suggest_float("x", 0, 1)
    cluster.claims.bind(claim, trial.number)
    monkeypatch.setattr(module, "silent_trials", lambda study: {trial._trial_id})
    for owner, name in (
        (Claims, "seize"),
        (optuna.Study, "tell"),
        (optuna.Study, "enqueue_trial"),
        (Claims, "give_back"),
    ):
        with monkeypatch.context() as patch:
            real = getattr(owner, name)

            def killed(self, *arguments, real=real, **options):
                real(self, *arguments, **options)
                raise KeyboardInterrupt

            patch.setattr(owner, name, killed)
            with pytest.raises(KeyboardInterrupt):
                Recovery(cluster.study, cluster.database, InFlight(tmp_path), silent).run()
    Recovery(cluster.study, cluster.database, InFlight(tmp_path), silent).run()
    assert cluster.states() == [TrialState.FAIL, TrialState.WAITING]
    assert cluster.claims.list() == []
    assert cluster.claims.take("b:1", 1)


def test_a_record_that_the_server_took_although_the_connection_broke_is_written_once(cluster):
    turn = cluster.turn(1)
    trial = cluster.ask()
    turn.begin(trial)
    real = turn._claims.finish
    assert real(turn._held, record(trial.number))
    turn.end(record(trial.number))  # the worker tries again, since it heard nothing
    assert cluster.claims.ended() == 1
    assert len(TrialRecords(cluster.database).list("s")) == 1


def test_a_server_that_turns_read_only_is_one_line(postgresql, tmp_path):
    from sqlalchemy import text

    from eenas.errors import StorageError

    cluster = Cluster(postgresql, tmp_path)
    name = postgresql.rpartition("/")[2]
    with cluster.database.transaction() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    cluster.database.close()
    with pytest.raises(StorageError, match=r"read-only transaction; make the server writable") as caught:
        cluster.turn(1).take()
    assert "\n" not in str(caught.value)


def test_a_process_opens_a_bounded_number_of_connections(postgresql, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from sqlalchemy import text

    from eenas.records.database import POOL

    cluster = Cluster(postgresql, tmp_path)
    with ThreadPoolExecutor(16) as pool:
        work = [pool.submit(cluster.claims.take, "a:1", 1000) for _ in range(32)]
        work += [pool.submit(cluster.study.get_trials) for _ in range(32)]
        assert all(each.result() is not None for each in work)
    with cluster.database.transaction() as connection:
        count = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        opened = connection.execute(count).scalar()
    assert opened <= sum(POOL.values()) == 6
