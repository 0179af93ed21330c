"""Tables become frozen values and tables again; what does not fit names file, key and the nearest known key."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas import specs
from eenas.errors import SpecError, TaskError


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A table below."""

    size: int | Literal["auto"] = "auto"
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a size that nothing has."""
        if self.size != "auto" and self.size < 1:
            raise SpecError(f"size must be positive, got {self.size}")


@dataclass(frozen=True, kw_only=True)
class Outer:
    """One of every kind."""

    kind: Literal["a", "b"]
    rate: float = 0.5
    on: bool = False
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)
    free: dict[str, int] = field(default_factory=dict)
    path: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.rate < 0:
            raise TaskError(f"rate must not be negative, got {self.rate}")
        if self.limit == 13:
            raise ValueError("limit must not be 13")


@dataclass(frozen=True, kw_only=True)
class Named:
    """A class with a long word about its values."""

    names: str
    plain: bool = False

    def __post_init__(self) -> None:
        """Refuse all."""
        raise ValueError(f"the plain names {self.names}") if self.plain else TaskError(f"the names {self.names}")


def read(table: dict[str, Any], file: str = "study.toml") -> Outer:
    return specs.from_table(Outer, table, file=file)


def test_a_table_becomes_a_value():
    found = read({"kind": "a", "rate": 2, "inner": {"size": 3, "names": ["x"]}, "free": {"k": 1}, "path": "p/q"})
    assert found == Outer(kind="a", rate=2.0, inner=Inner(size=3, names=("x",)), free={"k": 1}, path=Path("p/q"))
    assert isinstance(found.rate, float)


@given(
    st.builds(
        Outer,
        kind=st.sampled_from(["a", "b"]),
        rate=st.floats(0, 1e6),
        on=st.booleans(),
        limit=st.none() | st.integers(14, 99),
        inner=st.builds(Inner, size=st.just("auto") | st.integers(1, 9), names=st.lists(st.text()).map(tuple)),
        free=st.dictionaries(st.text(), st.integers(-(2**63) + 1, 2**63 - 1)),
    )
)
def test_there_and_back(value):
    assert read(specs.to_table(value)) == value


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "a", "rat": 1}, r"study.toml: \[rat\]: unknown key; nearest: 'rate'"),
        ({"kind": "a", "inner": {"sise": 1}}, r"study.toml: \[inner.sise\]: unknown key; nearest: 'size'"),
        ({"kind": "a", "size": 1}, r"study.toml: \[size\]: unknown key; give its table, too, as in inner.size"),
        ({"kind": "c"}, r"study.toml: \[kind\]: unknown value 'c'; known: 'a', 'b'"),
        ({}, r"study.toml: the key 'kind' is missing"),
        ({"kind": "a", "rate": "fast"}, r"\[rate\]: must be float, got 'fast'"),
        ({"kind": "a", "rate": float("nan")}, r"\[rate\]: must be finite"),
        ({"kind": "a", "rate": True}, r"\[rate\]: must be float, got True"),
        ({"kind": "a", "on": 1}, r"\[on\]: must be bool, got 1"),
        ({"kind": "a", "limit": 1.5}, r"\[limit\]: must be int, got 1.5"),
        ({"kind": "a", "limit": 13}, r"study.toml: limit must not be 13"),
        ({"kind": "a", "inner": 3}, r"\[inner\]: must be a table, got 3"),
        ({"kind": "a", "inner": {"size": "big"}}, r"\[inner.size\]: must be int or .*, got 'big'"),
        ({"kind": "a", "inner": {"size": 0}}, r"study.toml: \[inner\]: size must be positive, got 0"),
        ({"kind": "a", "inner": {"names": "x"}}, r"\[inner.names\]: must be a list, got 'x'"),
        ({"kind": "a", "free": {"k": "x"}}, r"\[free.k\]: must be int, got 'x'"),
    ],
)
def test_what_does_not_fit_says_where_and_why(table, message):
    with pytest.raises(SpecError, match=message) as caught:
        read(table)
    assert "\n" not in str(caught.value)


def test_the_kind_of_an_error_stays():
    with pytest.raises(TaskError, match=r"study.toml: rate must not be negative"):
        read({"kind": "a", "rate": -1})


def test_a_class_s_message_about_a_long_value_is_cut():
    with pytest.raises(TaskError, match=r"^study.toml: the names xxx.*\.\.\.$") as caught:
        specs.from_table(Named, {"names": "x" * 5000}, file="study.toml")
    assert len(str(caught.value)) < 1000
    with pytest.raises(SpecError, match=r"^study.toml: the plain names xxx.*\.\.\.$") as caught:
        specs.from_table(Named, {"names": "x" * 5000, "plain": True}, file="study.toml")
    assert len(str(caught.value)) < 1000


def test_without_a_file_the_key_is_still_named():
    with pytest.raises(SpecError, match=r"^\[inner\]: size must be positive, got -1$"):
        read({"kind": "a", "inner": {"size": -1}}, file="")


def test_the_digest_is_of_the_content():
    assert specs.digest({"a": 1, "b": [1, 2]}) == specs.digest({"b": (1, 2), "a": 1}) == "8baa73198470c7bb"
    assert specs.digest({"a": 1}) != specs.digest({"a": 2})
    with pytest.raises(ValueError, match="JSON"):
        specs.digest({"a": float("nan")})


def test_merging_goes_table_by_table_and_changes_neither():
    below, above = {"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"y": 3}, "b": {"z": 1}}
    assert specs.merge(below, above) == {"a": {"x": 1, "y": 3}, "b": {"z": 1}}
    assert below == {"a": {"x": 1, "y": 2}, "b": 1}


@pytest.mark.parametrize(
    ("assignment", "value"),
    [("a.x=3", 3), ("a.x = 0.5", 0.5), ("a.x=true", True), ("a.x=[1, 2]", [1, 2]), ("a.x=word", "word")],
)
def test_an_assignment_reads_toml_or_a_bare_word(assignment, value):
    assert specs.assign({"a": {"y": 1}}, assignment) == {"a": {"y": 1, "x": value}}


@pytest.mark.parametrize("assignment", ["a", "a.", "=3", ".=3", "a..b=3", ""])
def test_an_assignment_that_is_none(assignment):
    with pytest.raises(SpecError, match=r"must read table.key=value"):
        specs.assign({}, assignment)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[a\n", "not valid TOML"), (b"\xff\xfe", "not valid TOML"), (None, "no such file")],
)
def test_a_file_that_is_no_toml(tmp_path, content, message):
    path = tmp_path / "study.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=rf"study.toml: {message}"):
        specs.read_table(path)
    with pytest.raises(SpecError, match="cannot be read"):
        specs.read_table(tmp_path)
