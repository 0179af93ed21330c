"""The tables of tiers: order, links, sources of times and bad input."""

import math
import tomllib

import pytest

from eenas.errors import SpecError
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.tiers import Tier, Tiers

THREE = """
[tiers.device]
factor = 10.0
watts = 2.5
[tiers.device.link]
preset = "wifi"
codec = "float16"
[tiers.gateway]
profile = "gateway.json"
[tiers.gateway.link]
mbit = 50
round_trip_ms = 20
[tiers.cloud]
file = "cloud.csv"
"""


def read(text: str) -> Tiers:
    return Tiers.from_table(tomllib.loads(text)["tiers"], file="study.toml")


def test_tables_are_read_in_their_order() -> None:
    found = read(THREE)
    assert found.names == ("device", "gateway", "cloud")
    assert found.tiers[0] == Tier(name="device", factor=10.0, watts=2.5)
    assert [each.source for each in found.tiers] == ["10 x this machine", "gateway.json", "cloud.csv"]
    assert found.links == (
        Link(mbit=18.8, round_trip_ms=10.0, codec="float16", preset="wifi"),
        Link(mbit=50.0, round_trip_ms=20.0),
    )


def test_the_list_of_tables_keeps_the_order() -> None:
    found = read(THREE)
    table = found.to_table()
    assert [row["name"] for row in table] == ["device", "gateway", "cloud"]
    assert Tiers.from_table(table) == found


def test_two_tiers_of_one_link() -> None:
    assert Tiers.of(Link(mbit=1.0), edge=Tier(name="board", factor=8.0)).names == ("board", "cloud")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[tiers]", r"study.toml: \[tiers\]: there must be from 2 to 8 tiers, got 0"),
        ("[tiers.edge]", "from 2 to 8 tiers, got 1"),
        ('[tiers.edge.link]\npreset = "4g"', r"\[tiers.edge\]: the last tier has no tier behind it; remove its link"),
        ("[tiers.edge]\n[tiers.cloud]", r"\[tiers.edge\]: has no link to 'cloud'; add \[tiers.edge.link\]"),
        ('[tiers.edge.link]\npreset = "4g"\n[tiers.cloud.link]\nmbit = 1', r"\[tiers.cloud\]: the last tier"),
        (
            '[tiers.edge]\nfactor = 0\nlink.preset = "4g"\n[tiers.cloud]',
            "must be above 0 and at most .* got 0.0; 10 is",
        ),
        ('[tiers.edge]\nfactor = -2\nlink.preset = "4g"\n[tiers.cloud]', "must be above 0"),
        ('[tiers.edge]\nspeed = 2\nlink.preset = "4g"\n[tiers.cloud]', r"\[tiers.edge.speed\]: unknown key"),
        ('[tiers.edge]\nwatts = -2\nlink.preset = "4g"\n[tiers.cloud]', "the watts of tier 'edge' must be from 0 up"),
        ('[tiers.edge]\nfile = "a.txt"\nlink.preset = "4g"\n[tiers.cloud]', ".csv or .toml file, got 'a.txt'"),
        (
            '[tiers.edge]\nfile = "a.csv"\nprofile = "b.json"\nlink.preset = "4g"\n[tiers.cloud]',
            "has profile and file; give one source",
        ),
        ('[tiers.edge.link]\npreset = "5g"\n[tiers.cloud]', r"\[tiers.edge.link\]: unknown preset '5g'"),
        ("[tiers.edge]\nlink = 4\n[tiers.cloud]", r"\[tiers.edge.link\]: must be a table"),
        ("tiers = 3", "must be tables such as"),
        ("tiers = [{factor = 2}]", "each tier of a list needs a name"),
        ('tiers = [{name = "a", link = {mbit = 1}}, {name = "a"}]', "tiers must have different names"),
        ('[tiers." ".link]\nmbit = 1\n[tiers.cloud]', "must have a name that is not blank"),
    ],
)
def test_bad_tables_are_refused(text: str, wrong: str) -> None:
    with pytest.raises(SpecError, match=wrong):
        read(text)


def test_counts_must_fit() -> None:
    with pytest.raises(SpecError, match="2 tiers need 1 links, got 2"):
        Tiers(tiers=(Tier(name="a"), Tier(name="b")), links=(Link(mbit=1.0), Link(mbit=1.0)))
    with pytest.raises(SpecError, match="watts"):
        Tier(name="a", watts=math.nan)
