"""Work that is repeated when a server that was away answers again, and errors that no wait would mend."""

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from eenas.errors import StorageError, TimeOverError
from eenas.progress import Notice
from eenas.study import outages
from eenas.study.outages import despite_outages

SERVER = "postgresql+psycopg://user:secret@127.0.0.1:1/studies"


def said_by_database(text):
    """The error of eenas for one of the driver."""
    error = StorageError(f"postgresql://127.0.0.1:1/studies: {text}; check the server")
    error.__cause__ = OperationalError("SELECT 1", None, Exception(text))
    return error


REFUSED = said_by_database("connection failed: Connection refused")


@pytest.fixture
def answers(monkeypatch):
    """The errors of the next openings of the database; with none left it opens."""
    queued: list[StorageError] = []

    class Opened:
        def __init__(self, url, *, create):
            assert not create
            if queued:
                raise queued.pop(0)

        def close(self):
            pass

    monkeypatch.setattr(outages, "Database", Opened)
    monkeypatch.setattr(outages, "POLL", 0.001)
    return queued


def failing(*errors):
    left = list(errors)

    def work():
        if left:
            raise left.pop(0)
        return "made"

    work.left = left
    return work


def run(work, storage=SERVER, away=5.0, check=lambda: None):
    heard = []
    return despite_outages(storage, work, heard.append, away=away, check=check), [each.text for each in heard]


def test_work_is_done_again_when_the_server_answers(answers):
    starting = said_by_database("FATAL: the database system is starting up")
    answers += [REFUSED, starting]
    made, heard = run(failing(REFUSED))
    assert made == "made"
    assert answers == []
    assert heard == [f"{REFUSED}; waiting up to 5 s for it", "the storage answers again; the search goes on"]


def test_an_error_of_optuna_with_a_lost_connection_is_an_outage(answers):
    lost = StorageInternalError("An exception is raised during the commit.")
    lost.__cause__ = OperationalError("UPDATE", None, Exception("server closed the connection unexpectedly"))
    assert run(failing(lost))[0] == "made"


def test_a_server_that_stays_away_is_the_error_of_the_work(answers):
    answers += [REFUSED] * 10_000
    with pytest.raises(StorageError, match="Connection refused"):
        run(failing(REFUSED), away=0.05)


def test_a_server_that_falls_again_and_again_ends_the_wait(answers):
    with pytest.raises(StorageError, match="Connection refused"):
        run(failing(*[REFUSED] * (outages.OUTAGES + 1)))
    assert run(failing(*[REFUSED] * outages.OUTAGES))[0] == "made"


@pytest.mark.parametrize(
    "said",
    [
        'connection failed: FATAL: password authentication failed for user "u"',
        'FATAL: database "studies" does not exist',
        "failed to resolve host 'nowhere'",
        "cannot execute INSERT in a read-only transaction",
        "FATAL: sorry, too many clients already",
    ],
)
def test_what_no_wait_would_mend_is_said_at_once(answers, said):
    work = failing(said_by_database(said))
    with pytest.raises(StorageError):
        run(work)
    assert work.left == []


def test_a_bucket_that_is_away_is_not_waited_for(answers):
    with pytest.raises(StorageError, match="s3://"):
        run(failing(StorageError("s3://bucket/a: Connection refused; check the endpoint")))


def test_a_file_is_never_waited_for(answers):
    with pytest.raises(StorageError):
        run(failing(REFUSED), storage="sqlite:///eenas.db")


def test_ctrl_c_that_looks_like_a_lost_connection_is_not_waited_for(answers):
    lost = said_by_database("the connection is closed")
    lost.__cause__.__context__ = KeyboardInterrupt()
    with pytest.raises(StorageError, match="the connection is closed"):
        run(failing(lost))


def test_the_time_limit_ends_the_wait(answers):
    answers += [REFUSED] * 10_000

    def over():
        raise TimeOverError("the time limit is reached")

    with pytest.raises(TimeOverError):
        run(failing(REFUSED), check=over)


def test_notices_are_notices(answers):
    heard = []
    despite_outages(SERVER, failing(REFUSED), heard.append, check=lambda: None)
    assert all(isinstance(each, Notice) for each in heard)
