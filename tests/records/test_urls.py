"""Database URLs: what is accepted, and that errors about them show no password."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import StorageError
from eenas.records.urls import network_file_system, read_url, sqlite_file

SECRET = st.text(alphabet="abcdefghijklmnopqrstuvwxyzXYZ0123456789!$()*+,;=._~-", min_size=5).map("pW".__add__)


@given(secret=SECRET)
def test_errors_about_unreadable_and_unknown_urls_hide_the_password(secret: str) -> None:
    for text in (
        f"mysql://ann:{secret}@host/db",
        f"postgresql://ann:{secret}@host:port/db",
        f"x y://ann:{secret}@host",
    ):
        with pytest.raises(StorageError) as caught:
            read_url(text)
        assert secret not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eenas.db", "sqlite:///eenas.db"),
        ("", "not a database URL"),
        ("sqllite:///a.db", "'sqlite'"),
        ("mysql://h/d", "MariaDB lack UPDATE ... RETURNING.*postgresql://"),
        ("mysql+pymysql://h/d", "MariaDB lack UPDATE ... RETURNING"),
        ("grpc://host:13000", "the records of eenas, which need SQL; give the URL of the database behind it"),
        ("journal:///a.log", "a journal has no heartbeats and no transactions.*sqlite:///"),
        ("study.log", "a journal has no heartbeats"),
        ("redis://h", "Redis has no SQL"),
    ],
)
def test_what_cannot_be_stored_in_says_what_can(text: str, said: str) -> None:
    with pytest.raises(StorageError, match=said):
        read_url(text)


def test_an_at_sign_in_a_password_is_to_be_written_as_an_escape() -> None:
    """Of what stands behind it SQLAlchemy makes the host, which a driver's message repeats."""
    with pytest.raises(StorageError) as caught:
        read_url("postgresql://ann:a@hush@host/db")
    assert str(caught.value) == (
        "postgresql://ann:***@host/db: the user name or password contains an @; write it as %40"
    )
    assert read_url("postgresql://ann:a%40hush@host/db").password == "a@hush"


def test_a_plain_postgresql_url_gets_a_driver() -> None:
    assert read_url("postgresql://h/d").drivername in ("postgresql+psycopg", "postgresql+psycopg2")
    assert read_url("postgres://h/d").drivername in ("postgresql+psycopg", "postgresql+psycopg2")
    assert read_url("postgresql+pg8000://h/d").drivername == "postgresql+pg8000"


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("sqlite:///a.db", Path("a.db")),
        ("sqlite:////x/a.db", Path("/x/a.db")),
        ("sqlite:///file:a.db?mode=ro&uri=true", Path("a.db")),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///file:shared?mode=memory&uri=true", None),
        ("postgresql+psycopg://host/a.db", None),
    ],
)
def test_the_file_of_a_url(text: str, file: Path | None) -> None:
    assert sqlite_file(read_url(text)) == file


def test_a_network_file_system_is_found_by_the_longest_mount(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\n/dev/sdb /home/local xfs rw 0 0\n"
        "//server/a /mnt/a\\040b cifs rw 0 0\nbroken\n"
    )
    found = {
        file: network_file_system(Path(file), mounts)
        for file in ("/home/ann/a.db", "/home/local/a.db", "/mnt/a b/a.db", "/homes/a.db", "/a.db")
    }
    assert found == {
        "/home/ann/a.db": "nfs4",
        "/home/local/a.db": None,
        "/mnt/a b/a.db": "cifs",
        "/homes/a.db": None,
        "/a.db": None,
    }
    assert network_file_system(Path("/a.db"), tmp_path / "no file") is None
