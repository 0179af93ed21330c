"""Links and tiers as texts of the command line."""

import pytest

from eenas.errors import SpecError
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.tier_text import link_from_text, tier_from_text, tiers_from_texts
from eenas.measurement.tiers.tiers import Tier, Tiers


def test_links() -> None:
    assert link_from_text("4g") == Link.of_preset("4g")
    assert link_from_text("4g, codec=int8,loss=0.01") == Link(
        mbit=5.85, round_trip_ms=50.0, preset="4g", codec="int8", loss=0.01
    )
    assert link_from_text("2.5,round_trip_ms=40") == Link(mbit=2.5, round_trip_ms=40.0)
    assert link_from_text("mbit=3") == Link(mbit=3.0)
    assert link_from_text("wifi,mbit=3") == Link(mbit=3.0, round_trip_ms=10.0, preset="wifi")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("5g", "unknown preset '5g' of a link; known: '3g', '4g'"),
        ("", "a link must read PRESET,key=value"),
        ("4g,int8", "got 'int8' in it"),
        ("4g,codec=", "got 'codec=' in it"),
        ("-2", "mbit must be above 0"),
        ("nan", "must be finite"),
        ("4g,speed=3", "unknown key"),
        ("4g,loss=0.1,loss=0.2", "'loss' of a link is given twice"),
        ("4" * 2000, "at most 1,000 characters, got 2,000"),
    ],
)
def test_bad_links(text: str, wrong: str) -> None:
    with pytest.raises(SpecError, match=wrong):
        link_from_text(text)


def test_tiers() -> None:
    assert tier_from_text("edge", "12.5") == Tier(name="edge", factor=12.5)
    assert tier_from_text("edge", "board.json") == Tier(name="edge", profile="board.json")
    assert tier_from_text("edge", "board.csv") == Tier(name="edge", file="board.csv")
    with pytest.raises(SpecError, match="the times of 'edge' must be a factor such as 10"):
        tier_from_text("edge", "fast")
    with pytest.raises(SpecError, match="the factor of tier 'edge' must be above 0"):
        tier_from_text("edge", "0")


def test_a_text_replaces_its_part_of_the_tiers_of_a_study() -> None:
    own = Tiers.of(
        Link(mbit=5.85, round_trip_ms=50.0, preset="4g", codec="float16", joules_per_mb=2.0),
        edge=Tier(name="board", factor=20.0, watts=3.0),
        cloud=Tier(name="rack", factor=0.5),
    )
    assert tiers_from_texts(None, None, None, own) == own
    found = tiers_from_texts("wifi", None, None, own)
    assert found.tiers == own.tiers
    assert found.links == (Link(mbit=18.8, round_trip_ms=10.0, preset="wifi", codec="float16", joules_per_mb=2.0),)
    assert tiers_from_texts("wifi,codec=int8", None, None, own).links[0].codec == "int8"
    slower = tiers_from_texts(None, "40", None, own)
    assert slower == Tiers(tiers=(Tier(name="board", factor=40.0, watts=3.0), own.tiers[1]), links=own.links)
    alone = tiers_from_texts(None, None, None)
    assert [each.factor for each in alone.tiers] == [10.0, 1.0]
    three = Tiers(tiers=(*own.tiers, Tier(name="far")), links=own.links * 2)
    with pytest.raises(SpecError, match="the study has 3; give others as --tiers FILE"):
        tiers_from_texts("wifi", None, None, three)
