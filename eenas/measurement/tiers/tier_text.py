"""Tiers and links as texts of the command line: 4g,codec=int8 for a link, a factor or a file for a tier."""

from pathlib import Path
from typing import Any

from eenas import bounds, specs
from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.tiers import Tier

LONGEST_LINK = 1_000
"""The largest number of characters of a link."""


def link_from_text(text: str) -> Link:
    """Return the link of a text: a preset, the bandwidth in Mbit/s, or neither, then fields as `,key=value`.

    Examples are "4g", "4g,codec=int8,loss=0.01", "2.5,round_trip_ms=40" and "mbit=2.5". Raises SpecError for anything
    else.
    """
    if len(text) > LONGEST_LINK:
        raise SpecError(f"a link must have at most {LONGEST_LINK:,} characters, got {len(text):,}")
    table: dict[str, Any] = {}
    for number, piece in enumerate(text.split(",")):
        key, equals, value = (each.strip() for each in piece.partition("="))
        if number == 0 and not equals and key:
            given: dict[str, Any] = {"mbit": float(key)} if _is_number(key) else {"preset": key}
        elif equals and key and value:
            given = {key: bounds.parse_toml_value(value)}
        else:
            raise SpecError(
                f"a link must read PRESET,key=value,... or MBIT,key=value,..., got {shortened(piece)} in it; for "
                "example 4g,codec=int8"
            )
        if twice := sorted(given.keys() & table.keys()):
            raise SpecError(f"{shortened(twice[0])} of a link is given twice; give it once")
        table |= given
    return specs.from_table(Link, table, key="link")


def tier_from_text(name: str, text: str) -> Tier:
    """Return the tier of a text: a factor on this machine's times, a profile (.json), or a table (.csv, .toml)."""
    if _is_number(text):
        return Tier(name=name, factor=float(text))
    suffix = Path(text).suffix.lower()
    if suffix == ".json":
        return Tier(name=name, profile=text)
    if suffix in (".csv", ".toml"):
        return Tier(name=name, file=text)
    raise SpecError(
        f"the times of {name!r} must be a factor such as 10, a .json file of `eenas profile`, or a .csv or .toml "
        f"table, got {shortened(text)}"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
