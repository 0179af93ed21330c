"""Claims: never more trials than the total, each recorded once, and a lost claim records nothing."""

import threading

import pytest

from eenas.records.claims import Claims
from eenas.records.database import Database
from eenas.records.trials import TrialRecord, TrialRecords


def trial(number: int, study: str = "s") -> TrialRecord:
    return TrialRecord(study=study, number=number, state="complete", values=(0.5,))


@pytest.fixture
def claims(shared_storage) -> Claims:
    made = Claims(Database(shared_storage), "s")
    made.sync()
    return made


def test_threads_that_claim_at_once_get_exactly_the_total(shared_storage):
    Claims(Database(shared_storage), "s").sync()
    taken, lock, numbers = [], threading.Lock(), iter(range(1000))

    def work() -> None:
        own = Claims(Database(shared_storage), "s")
        while (claim := own.take("a:1", 25)) is not None:
            with lock:
                number = next(numbers)
            assert own.bind(claim, number)
            assert own.finish(claim, trial(number))
            with lock:
                taken.append(claim.key)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database = Database(shared_storage)
    assert len(taken) == len(set(taken)) == 25
    assert Claims(database, "s").ended() == 25 == len(TrialRecords(database).list("s"))
    assert Claims(database, "s").list() == []


def test_a_claim_that_is_given_back_makes_room_once(claims):
    first, second = claims.take("a:1", 2), claims.take("b:1", 2)
    assert claims.take("c:1", 2) is None
    assert claims.give_back(first)
    assert not claims.give_back(first)
    third = claims.take("c:1", 2)
    assert {each.worker for each in claims.list()} == {"b:1", "c:1"}
    assert claims.take("d:1", 2) is None
    assert claims.finish(second, trial(0))
    assert claims.finish(third, trial(1))
    assert claims.take("d:1", 2) is None
    assert claims.take("d:1", 3) is not None


def test_a_worker_whose_claim_was_seized_can_record_nothing(claims, shared_storage):
    lost = claims.take("a:1", 1)
    assert claims.bind(lost, 7)
    seized = claims.seize(7, "b:1")
    assert (seized.worker, seized.number) == ("b:1", 7)
    assert not claims.finish(lost, trial(7))
    assert not claims.give_back(lost)
    assert not claims.bind(lost, 8)
    assert TrialRecords(Database(shared_storage)).list("s") == []
    assert claims.finish(seized, trial(7))
    assert claims.seize(7, "c:1") is None
    assert claims.ended() == 1


def test_of_two_trials_for_one_that_was_cut_off_the_first_to_ask_runs(claims):
    assert claims.may_rerun(1, 4)
    assert not claims.may_rerun(1, 5)
    assert claims.may_rerun(1, 4), "the same trial may ask twice"
    assert claims.may_rerun(2, 6)


def test_a_transaction_that_fails_leaves_the_claim_and_no_record(claims, shared_storage, monkeypatch):
    claim = claims.take("a:1", 1)

    def fail(self, connection, points):
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(Claims, "_merge", fail)
        with pytest.raises(RuntimeError, match="killed here"):
            claims.finish(claim, trial(0))
    assert TrialRecords(Database(shared_storage)).list("s") == []
    assert claims.ended() == 0
    assert claims.finish(claim, trial(0))


def test_the_progress_of_a_study_of_an_earlier_eenas_is_counted_from_its_records(shared_storage):
    database = Database(shared_storage)
    for number in range(3):
        TrialRecords(database).save(trial(number))
    TrialRecords(database).save(trial(9, "another"))
    claims = Claims(database, "s")
    claims.sync()
    assert claims.ended() == 3
    assert claims.take("a:1", 3) is None
    held = claims.take("a:1", 4)
    claims.sync()
    assert claims.ended() == 3
    assert claims.take("b:1", 4) is None
    assert claims.finish(held, trial(3))


def test_the_best_so_far_is_that_of_all_workers_and_holds_undominated_points_only(claims, shared_storage):
    claims.add_best([(0.5, 10.0), (0.4, 20.0)])
    assert claims.best() == [(0.5, 10.0)]
    other = Claims(Database(shared_storage), "s")
    assert other.finish(other.take("b:1", 9), trial(0), [(0.6, 20.0), (0.5, 10.0)])
    assert claims.best() == [(0.5, 10.0), (0.6, 20.0)]
