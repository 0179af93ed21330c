"""docs/how-to/edge_cloud.md names every key of tiers and links and every preset with its numbers; its table is read."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.link_presets import PRESETS
from eenas.measurement.tiers.tiers import Tier, Tiers
from eenas.measurement.tiers.transfer import FIRST_WINDOW, HEADERS, RETRANSMISSION_MS, SEGMENT

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "edge_cloud.md").read_text(encoding="utf-8")


def test_every_key_and_preset_is_named() -> None:
    for each in (*fields(Tier), *fields(Link)):
        assert each.name == "name" or f"| `{each.name}` |" in PAGE
    for name, preset in PRESETS.items():
        assert re.search(rf"\| `{name}` \| {preset.mbit}0? \| {preset.round_trip_ms:g} ms \|", PAGE)


def test_the_defaults_are_those_of_the_code() -> None:
    link = Link(mbit=1.0)
    assert f"| `overhead_bytes` | headers of a request and of an answer | {link.overhead_bytes} |" in PAGE
    assert f"({HEADERS} of {SEGMENT + HEADERS:,} bytes)" in PAGE
    assert f"ten segments ({FIRST_WINDOW * SEGMENT:,} bytes" in PAGE
    assert f"of {RETRANSMISSION_MS:g} ms" in PAGE


def test_the_table_is_read() -> None:
    text = next(each for each in re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL) if "[tiers.edge]" in each)
    found = Tiers.from_table(tomllib.loads(text)["tiers"])
    assert found.names == ("edge", "cloud")
    assert found.links[0].codec == "int8"
