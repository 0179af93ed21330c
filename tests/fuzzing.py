"""Damage for fuzz tests: bytes and tables that were valid, changed; how many examples is for the environment to say."""

import copy
import os
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from eenas.errors import EenasError

VARIABLE = "EENAS_FUZZ_EXAMPLES"
"""How many examples each fuzz test tries; without it the quick number that the test states."""


def examples(quick: int) -> int:
    """The number of examples: `quick` in a usual run."""
    return int(os.environ.get(VARIABLE, quick))


def check_one_line(read: Callable[[], object]) -> None:
    """Let a reader take its input, or refuse it in one line; anything else than an EenasError is a fault."""
    said = ""
    try:
        read()
    except EenasError as error:
        said = str(error)
    assert "\n" not in said, said
    assert "error: unexpected" not in said, said
    assert len(said) < 3000, said


@st.composite
def mutated_bytes(draw: st.DrawFn, valid: bytes) -> bytes:
    """A file cut off, with bytes exchanged, taken out, put in or repeated, in up to four places."""
    found = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(found) - 1, 0)))
        match draw(st.sampled_from(("cut", "byte", "number", "drop", "insert", "repeat"))):
            case "cut":
                del found[place:]
            case "byte" if found:
                found[place] = draw(st.integers(0, 255))
            case "number":  # where lengths stand
                found[place : place + 4] = draw(st.integers(0, 2**32 - 1)).to_bytes(4, "little")
            case "drop":
                del found[place : place + draw(st.integers(1, 64))]
            case "insert":
                found[place:place] = draw(st.binary(min_size=1, max_size=16))
            case _:
                found[place:place] = found[place : place + 256]
    return bytes(found)


def _deep(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**53, -(2**70), 10**400, 1e308, -0.0, float("nan"), float("inf"), 0.5]),
    st.sampled_from(["", "final", "../x", "/etc/passwd", "a\n[b]", "\x1b[2J", "\ud800", "x" * 5000, "1e999"]),
    st.text(max_size=4),
)
VALUES: st.SearchStrategy[Any] = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=4),
    st.dictionaries(
        st.sampled_from(["a", "kind", "file", "shape", "policy"]) | st.text(max_size=3), SCALARS, max_size=3
    ),
    st.integers(50, 300).map(_deep),
)


@st.composite
def mutated_table(draw: st.DrawFn, valid: Any) -> Any:
    """A table of plain data in which up to three values anywhere were exchanged, taken out, repeated or put in."""
    found = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(found))
        if not places:
            return draw(VALUES)
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(("exchange", "exchange", "drop", "repeat", "add"))):
            case "exchange":
                holder[key] = draw(VALUES)
            case "drop":
                del holder[key]
            case "repeat" if isinstance(holder, list):
                holder.insert(key, holder[key])
            case _ if isinstance(holder, list):
                holder.append(draw(VALUES))
            case _:
                holder[draw(st.text(max_size=4))] = draw(VALUES)
    return found


def _places(value: Any) -> Any:
    """Every place in a nested value, as a container and a key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)
