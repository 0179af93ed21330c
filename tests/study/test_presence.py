"""The presence of a worker: others see what it does, and who does not fit is refused or warned of."""

import socket
import time

import pytest
import torch

from eenas import __version__
from eenas.errors import StorageError, StudyError
from eenas.progress import Finished, Notice, Started
from eenas.records.database import Database
from eenas.records.tables import WORKERS
from eenas.records.workers import WorkerRecord, WorkerRecords, worker_name
from eenas.study import presence as module
from eenas.study.presence import Presence
from eenas.study.study import GRACE


@pytest.fixture
def database(tmp_path):
    return Database(f"sqlite:///{tmp_path}/eenas.db")


def other(database, name="elsewhere:7", study="s", **versions):
    versions = {"eenas": __version__, "torch": torch.__version__, **versions}
    host, _, process = name.rpartition(":")
    record = WorkerRecord(name=name, study=study, host=host, process=int(process), device="cpu", versions=versions)
    WorkerRecords(database).start(record)


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_is_listed_with_what_it_does_until_it_ends(database, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.05)
    workers, heard = WorkerRecords(database), []
    with Presence(database, "s", "CPU", heard.append) as here:
        (found,) = workers.list()
        assert (found.name, found.study, found.device) == (worker_name(), "s", "CPU")
        assert found.versions == {"eenas": __version__, "torch": torch.__version__}
        here.hear(Started("preparing"))
        wait_for(lambda: workers.list()[0].doing == "preparing")
        here.hear(Finished("preparing"))
        here.at_trial(3)
        wait_for(lambda: (workers.list()[0].doing, workers.list()[0].trial) == ("trial 3", 3))
        workers.end(worker_name())  # as a long sleep would end it
        wait_for(lambda: workers.list() != ())
    assert workers.list() == ()
    assert heard == [Started("preparing"), Finished("preparing")]


def test_another_version_of_eenas_on_the_study_is_refused_while_it_is_alive(database):
    other(database, eenas="0.0.9")
    with pytest.raises(StudyError) as caught, Presence(database, "s", "CPU", print):
        pass
    assert str(caught.value) == (
        f"the study 's' is run by eenas 0.0.9 on elsewhere (process 7), this is eenas {__version__}; use one version "
        "on all workers, or end the others"
    )
    with Presence(database, "another", "CPU", print):
        pass
    with database.transaction() as connection:
        connection.execute(WORKERS.update().values(seen=WORKERS.c.seen - GRACE - 1))
    with Presence(database, "s", "CPU", print):
        pass


def test_a_process_of_this_machine_that_has_ended_is_not_compared_with(database):
    other(database, name=f"{socket.gethostname()}:4194303", eenas="0.0.9")
    with Presence(database, "s", "CPU", print):
        pass


def test_another_version_of_torch_is_warned_of_once(database):
    other(database, "a:1", torch="1.0")
    other(database, "b:2", torch="1.0")
    heard = []
    with Presence(database, "s", "CPU", heard.append):
        pass
    (said,) = heard
    assert isinstance(said, Notice)
    assert f"has torch 1.0, this one {torch.__version__}: equal designs may score differently" in said.text


def test_a_file_on_a_network_file_system_is_warned_of_and_refused_for_a_second_worker(database, monkeypatch):
    monkeypatch.setattr(module, "network_file_system", lambda file: "nfs4")
    heard = []
    with Presence(database, "s", "CPU", heard.append):
        pass
    (said,) = heard
    assert "on a network file system (nfs4), where SQLite's locks fail as soon as a second worker joins" in said.text
    other(database, study="another")
    with pytest.raises(StorageError, match=r"nfs4.*elsewhere:7 is at work on it; use PostgreSQL, or a file on a local"):
        Presence(database, "s", "CPU", print).__enter__()


def test_after_an_outage_nobody_counts_as_silent_for_the_grace_period(database, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.02)
    with Presence(database, "s", "CPU", print) as here:
        assert here.is_steady()
        with monkeypatch.context() as patch:

            def away(self, *arguments, **options):
                raise StorageError("the server is away")

            patch.setattr(WorkerRecords, "beat", away)
            wait_for(lambda: not here.is_steady())
        time.sleep(0.1)
        assert not here.is_steady()
        monkeypatch.setattr(module, "GRACE", 0.05)
        wait_for(here.is_steady)
