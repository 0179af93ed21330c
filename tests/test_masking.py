"""Passwords are taken out of URLs and messages, and nothing else is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.masking import masked, masked_url, secrets_of

SECRET = st.text(alphabet="abcdefghijklmnopqrstuvwxyzXYZ0123456789!$()*+,;=._~-", min_size=5).map("pW".__add__)


@given(secret=SECRET)
def test_no_url_shows_a_password(secret: str) -> None:
    assert masked_url(f"postgresql://ann:{secret}@db.example/eenas") == "postgresql://ann:***@db.example/eenas"


@pytest.mark.parametrize(
    "text",
    [
        *("sqlite:////a b/c.db", "sqlite:///C:/a/c.db", "sqlite:///file:a.db?mode=ro&uri=true"),
        *("postgresql://h:5432/d", "postgresql://h:5432", "postgresql://[::1]:5432/d", "postgresql://ann@h:5432/d"),
    ],
)
def test_a_label_without_a_password_is_the_url_as_written(text: str) -> None:
    assert masked_url(text) == text


def test_a_password_in_the_query_is_hidden_too() -> None:
    assert (
        masked_url("postgresql://host/db?user=ann&password=hush&connect_timeout=1")
        == "postgresql://host/db?user=ann&password=***&connect_timeout=1"
    )
    assert masked("no postgresql://ann:hu@sh@host/db?sslpassword=hush now").count("***") == 2


@given(secret=SECRET)
@pytest.mark.parametrize(
    "message",
    [
        "could not connect to postgresql+psycopg://ann:{}@db:5432/eenas (timeout)",
        "connection failed: host=db user=ann password={} dbname=x",
        "invalid dsn: password='{}' host=db",
        "{{'host': 'db', 'password': '{}'}}",
        "[SQL: x] postgresql://:{}@h/d\n(Background on this error at: https://sqlalche.me/e/20/e3q8)",
    ],
)
def test_no_message_of_a_library_shows_a_password(message: str, secret: str) -> None:
    shown = masked(message.format(secret.replace(",", "").replace(";", "")))
    assert secret.replace(",", "").replace(";", "") not in shown
    assert shown == masked(message.format("another"))


def test_a_message_without_a_password_is_left_as_it_is() -> None:
    for text in ("serving at http://127.0.0.1:8080 (Ctrl-C ends it)", "ask ann@db.example: 3", "the password is wrong"):
        assert masked(text) == text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:a@hush@host:1/db", "postgresql://u:***@host:1/db"),
        ("postgresql://host/db?options=-csslpassword%3Dhush", "postgresql://host/db?options=***"),
        ("postgresql://host/db?sslmode=require&unheard=hush", "postgresql://host/db?sslmode=require&unheard=***"),
        ("postgresql://u:a?hush@host/db?port=7", "postgresql://u:***@host/db?port=7"),
        ("postgresql://u:hush", "postgresql://u:***"),
        ("postgresql://u:hush/db", "postgresql://u:***"),
        ("postgresql://h:5432,g:5432/db", "postgresql://h:5432,g:5432/db"),
        ("sqlite:///file:a.db?mode=ro&uri=true&key=hush", "sqlite:///file:a.db?mode=ro&uri=true&key=***"),
    ],
)
def test_of_a_url_is_shown_what_is_known_to_be_harmless(url: str, shown: str) -> None:
    assert masked_url(url) == shown
    if "hush" in url and "u:hush" not in url:  # such a URL is refused, and never in a library's message
        assert "hush" not in masked(f"cannot open {url} now")
        assert "hush" not in masked("it is 'hush' now", secrets_of(url))


@given(secret=SECRET)
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:a@{}@host/db", "failed to resolve host '{}@host': Name or service not known"),
        ("postgresql://u:{}%40@host/db", "password authentication of {}@ failed"),
        ("postgresql://h/db?options=-c%20sslpassword%3D{}", "unrecognized configuration of {}"),
        ("postgresql://h/db?password={}", "role {} does not exist"),
    ],
)
def test_what_a_driver_repeats_of_a_url_is_left_out(url: str, message: str, secret: str) -> None:
    plain = re.sub(r"[^A-Za-z0-9]", "", secret)
    assert plain not in masked(message.format(plain), secrets_of(url.format(plain)))


def test_a_label_that_a_message_begins_with_stays_apart_from_it() -> None:
    for name in ("options", "password"):
        label = masked_url(f"postgresql://host/db?{name}=hush")
        assert (
            masked(f"{label}: no server password=***hush") == f"postgresql://host/db?{name}=***: no server password=***"
        )
        assert masked(f"{label}: no server; start it") == f"postgresql://host/db?{name}=***: no server; start it"


def test_a_short_password_is_left_out_where_it_stands_alone() -> None:
    assert masked("a server at 'a@host'", secrets_of("postgresql://u:a@b@host/db")) == "*** server at '***@host'"
