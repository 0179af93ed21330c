"""Passwords are taken out of URLs and messages, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.masking import masked, masked_url

SECRET = st.text(alphabet="abcdefghijklmnopqrstuvwxyzXYZ0123456789!$()*+,;=._~-", min_size=5).map("pW".__add__)


@given(secret=SECRET)
def test_no_url_shows_a_password(secret: str) -> None:
    assert masked_url(f"postgresql://ann:{secret}@db.example/eenas") == "postgresql://ann:***@db.example/eenas"


@pytest.mark.parametrize(
    "text", ["sqlite:////a b/c.db", "sqlite:///file:a.db?mode=ro&uri=true", "postgresql://h:5432/d"]
)
def test_a_label_without_a_password_is_the_url_as_written(text: str) -> None:
    assert masked_url(text) == text


def test_a_password_in_the_query_is_hidden_too() -> None:
    assert (
        masked_url("postgresql://host/db?user=ann&password=hush&x=1")
        == "postgresql://host/db?user=ann&password=***&x=1"
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
