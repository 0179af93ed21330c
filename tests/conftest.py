"""Settings of all tests: properties are bounded in examples, never in seconds; sums are added up in one order."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import numpy as np
import pytest
import torch
from hypothesis import settings
from sqlalchemy import create_engine, make_url, text

from eenas import files

SERVER = "EENAS_TEST_POSTGRESQL"
NO_SERVER = f"no PostgreSQL server: run `python tests/postgresql_server.py pytest`, or set {SERVER} to a server's URL"

settings.register_profile("eenas", deadline=None)
settings.load_profile("eenas")

torch.set_num_threads(1)  # two trainings that are compared bit by bit do not differ by how threads shared a sum


@pytest.fixture(autouse=True)
def one_thread():
    """A model that was opened with more threads in the test before leaves that number in torch."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_random_numbers():
    """A test sees the same random numbers whatever ran before it in its process."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def cache_of_pictures(tmp_path_factory):
    """What tests find out of picture files is not kept for other sessions."""
    os.environ["EENAS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The smallest network with ONNX programs and a single file, compared on the smallest task; for reading only."""
    from eenas.deployment.program_folder import write_model
    from eenas.programs.parity import validation_samples
    from eenas.programs.programs import Programs
    from eenas.testing.smallest import smallest_task
    from tests.exported import smallest_package

    package = smallest_package()
    samples = validation_samples(package.network, smallest_task())
    return write_model(
        package, tmp_path_factory.mktemp("exported") / "model", Programs(format="onnx", single_file=True), samples
    )


@pytest.fixture(scope="session")
def smallest_study(tmp_path_factory):
    """One small study, for reading only."""
    from tests.smallest_study import make_study

    return make_study(tmp_path_factory.mktemp("smallest"))


@pytest.fixture(scope="session")
def finished_run(smallest_study, tmp_path_factory):
    """The trial of it with the most branches trained fully, with all rivals; for reading only."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return smallest_study.train(out, compare=True, overrides=("baselines.static=3",))


class CutOff(BaseException):
    """Stands for the end of a process."""


@pytest.fixture
def cut_off_after(monkeypatch):
    """A block that ends as if its process were killed when it has written so many files and writes the next."""

    @contextmanager
    def block(written: int) -> Iterator[None]:
        done, real = [], files.os.fsync

        def fsync(handle: int) -> None:
            if len(done) == written:
                raise CutOff
            done.append(handle)
            real(handle)

        with monkeypatch.context() as patch:
            patch.setattr(files.os, "fsync", fsync)
            with pytest.raises(CutOff):
                yield

    return block


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of a new database on the server that the environment names."""
    given = os.environ.get(SERVER)
    if given is None:
        pytest.skip(NO_SERVER)
    pytest.importorskip("psycopg", reason="no psycopg: pip install '.[postgresql]'")
    server, name = make_url(given).set(drivername="postgresql+psycopg"), f"eenas_{uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_storage(request: pytest.FixtureRequest, tmp_path) -> str:
    """The URL of a new database that several workers can share, of each kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql")
    return f"sqlite:///{tmp_path}/eenas.db"
