"""Tiers and links as texts of the command line: 4g,codec=int8 for a link, a factor or a file for a tier."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from eenas import bounds, specs
from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.tiers import Tier, Tiers

LONGEST_LINK = 1_000
"""The largest number of characters of a link."""


_OF_THE_LINK = ("preset", "mbit", "round_trip_ms", "jitter_ms", "loss")
"""What another link replaces; its codec, prices and energy stay."""


def link_from_text(text: str, instead_of: Link | None = None) -> Link:
    """Return the link of a text: a preset, the bandwidth in Mbit/s, or neither, then fields as `,key=value`.

    Examples are "4g", "4g,codec=int8,loss=0.01", "2.5,round_trip_ms=40" and "mbit=2.5". The codec, the prices and the
    energy that the text does not name are those of the link `instead_of`. Raises SpecError for anything else.
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
    kept = {} if instead_of is None else instead_of.to_table()
    kept = {name: each for name, each in kept.items() if name not in _OF_THE_LINK}
    return specs.from_table(Link, {**kept, **table}, key="link")


def tiers_from_texts(link: str | None, edge: str | None, cloud: str | None, instead_of: Tiers | None = None) -> Tiers:
    """Return two tiers from texts: by default a 4g link from a device ten times as slow as this machine.

    With the tiers `instead_of`, a text replaces the times of a tier or the link, and everything else stays. Raises
    SpecError for invalid texts, and if there are more than two tiers to replace.
    """
    if instead_of is None:
        first, second = tier_from_text("edge", edge or "10"), tier_from_text("cloud", cloud or "1")
        return Tiers.of(link_from_text(link or "4g"), edge=first, cloud=second)
    if len(instead_of.tiers) != 2:
        raise SpecError(
            f"--link, --edge and --cloud are for two tiers, and the study has {len(instead_of.tiers)}; give others as "
            "--tiers FILE"
        )
    tiers = [
        own if text is None else replace(tier_from_text(own.name, _anywhere(text)), watts=own.watts)
        for own, text in zip(instead_of.tiers, (edge, cloud), strict=True)
    ]
    (own_link,) = instead_of.links
    return Tiers(tiers=tuple(tiers), links=(own_link if link is None else link_from_text(link, own_link),))


def _anywhere(text: str) -> str:
    """Return a number as it is, and a path without the folder that it is relative to."""
    return text if _is_number(text) else str(Path(text).absolute())


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
