"""The facts of a network over tiers: parts add up, ranges and rates name the best split, and the texts say so."""

import json

import numpy as np
import pytest

from eenas.branches.fc import Fc
from eenas.errors import MeasurementError
from eenas.measurement.tiers.link import OVERHEAD, Link
from eenas.measurement.tiers.tiers import Tier, Tiers
from eenas.reporting.facts.tiers.tier_facts import TierFacts, scaled_rates, tier_facts
from eenas.reporting.facts.tiers.tier_rows import (
    part_names,
    range_rows,
    rate_rows,
    split_rows,
    split_text,
    tier_summary,
    tier_table,
)
from eenas.reporting.facts.tiers.tiered_subject import TieredSubject
from eenas.reporting.figures.tiers.bandwidth_figure import draw_bandwidth
from eenas.tier_names import TIER_LATENCY
from tests.measurement.tiers.timed_network import measured

SHARES = (0.5, 0.2, 0.3)


def subject(**changed: object) -> TieredSubject:
    network = measured()
    given: dict[str, object] = {
        "name": "made up",
        "backbone": "made up",
        "exits": ("a", "c", "final"),
        "branches": (Fc(), Fc()),
        "cut_points": network.cut_points,
        "elements": (400, 200, 100),
        "after": network.after,
        "shares": SHARES,
        "num_classes": 5,
        "input_shape": network.input_shape,
        "input_bytes": 12_000,
        "place": "a desk",
        "measured": network,
    }
    return TieredSubject(**{**given, **changed})  # type: ignore[arg-type]


def facts(tiers: Tiers | None = None, **changed: object) -> TierFacts:
    link = Link(mbit=4.0, round_trip_ms=2.0, price_per_gb=1.0)
    over = tiers or Tiers.of(link, edge=Tier(name="edge", factor=10.0, watts=2.0))
    return tier_facts(subject(**changed), over, (None,) * len(over.tiers))


def test_a_codec_that_changes_carried_columns_is_refused() -> None:
    over = Tiers.of(Link(mbit=4.0, codec="float16"))
    assert facts(over, carried=(1, 1, 0)).best.split == facts(over).best.split
    with pytest.raises(MeasurementError, match=r"numbers of nodes, or others .* must stay exact"):
        facts(over, carried=(3, 3, 0))


def test_parts_add_up_and_the_best_is_the_lowest() -> None:
    found = facts()
    for each in found.splits:
        assert sum(time for _, time in each.parts_ms) == pytest.approx(each.latency_ms)
    assert found.best.latency_ms == min(each.latency_ms for each in found.splits)
    assert [each.split for each in found.splits] == ["", "a", "b", "c", "final"]
    assert part_names(found) == ("edge", "link", "cloud")
    assert found.edge_only.bytes_sent == 0
    assert found.edge_only.sending == 0
    assert found.cloud_only.sending == 1
    assert found.splits[1].sending == pytest.approx(0.5)
    assert found.splits[1].bytes_sent == pytest.approx(0.5 * (1600 + OVERHEAD))


def test_ranges_of_bandwidths_have_their_best_split() -> None:
    found = facts()
    assert found.ranges[0].low == 0
    assert found.ranges[-1].high is None
    assert len(found.ranges) >= 3
    assert found.ranges[0].split == "final"
    assert found.ranges[-1].split == ""
    for before, after in zip(found.ranges[:-1], found.ranges[1:], strict=True):
        assert before.high == after.low
        for mbit, wanted in ((0.99 * after.low, before.split), (1.01 * after.low, after.split)):
            link = Link(mbit=mbit, round_trip_ms=2.0)
            edge = Tier(name="edge", factor=10.0)
            assert tier_facts(subject(), Tiers.of(link, edge=edge), (None, None)).best.split == wanted


def test_lines_are_the_latencies_at_each_bandwidth() -> None:
    lines = facts().lines
    assert (lines.best <= lines.edge_only + 1e-9).all()
    assert (lines.best <= lines.cloud_only + 1e-9).all()
    assert np.ptp(lines.edge_only) == pytest.approx(0)
    assert (np.diff(lines.cloud_only) < 0).all()
    assert len(lines.splits) == len(lines.mbit)


def test_rates_are_scaled_for_those_that_reach_an_exit() -> None:
    assert scaled_rates(SHARES, 1.0) == pytest.approx(SHARES)
    assert scaled_rates(SHARES, 0.0) == pytest.approx((0, 0, 1))
    assert scaled_rates(SHARES, 0.5) == pytest.approx((0.25, 0.15, 0.6))
    assert scaled_rates((0.9, 0.1), 1.5) == pytest.approx((1.0, 0.0))
    rates = facts().rates
    assert [each.early for each in rates] == sorted(each.early for each in rates)
    assert next(each for each in rates if each.factor == 1.0).split == facts().best.split


def test_texts_name_the_splits() -> None:
    found = facts()
    assert [split_text(found, each.split) for each in found.splits] == [
        *("cloud only", "after a", "after b", "after c", "edge only"),
    ]
    assert sum(row.is_best for row in split_rows(found)) == 1
    assert range_rows(found)[0][0].startswith("below ")
    assert range_rows(found)[-1][0].startswith("from ")
    assert rate_rows(found)[0][:2] == ("0 ×", "0.0 %")
    one = {"measured": None, "reached_ms": (4.0,), "cut_points": (), "elements": (), "branches": ()}
    assert rate_rows(facts(exits=("final",), after=(1,), shares=(1.0,), **one)) == []
    text = " ".join(tier_summary(found))
    assert "made up: 3 exits, 3 cut points; times of a desk." in text
    assert "edge: 10 x this machine" in text
    assert f"Best split: {split_text(found, found.best.split)}" in text
    assert json.loads(json.dumps(tier_table(found)))["best"]["split"] == found.best.split


def test_the_table_of_bandwidths_begins_with_the_fastest_link() -> None:
    rows = tier_table(facts())["table"]["rows"]
    assert [row["min_mbit"] for row in rows] == sorted((row["min_mbit"] for row in rows), reverse=True)
    assert rows[-1] == {"split": "final", "min_mbit": 0.0}


def test_three_tiers_have_a_split_for_each_link() -> None:
    link = Link(mbit=2.0, round_trip_ms=1.0)
    tiers = Tiers(
        tiers=(Tier(name="device", factor=50.0), Tier(name="gateway", factor=5.0), Tier(name="cloud")),
        links=(link, Link(mbit=50.0)),
    )
    found = facts(tiers)
    assert part_names(found) == ("device", "link 1", "gateway", "link 2", "cloud")
    assert found.edge_only.split == ("final", "final")
    assert split_text(found, ("a", "final")) == "after a, after the last exit"
    assert split_text(found, ("", "b")) == "after the input, after b"
    assert found.best.latency_ms <= found.both_ends


def test_a_model_is_split_at_its_exits() -> None:
    changed = {"measured": None, "reached_ms": (2.0, 7.0, 12.0), "cut_points": ("a", "c"), "elements": (400, 100)}
    found = facts(after=(1, 2, 3), **changed)
    assert found.edge_only.latency_ms == pytest.approx(10 * (0.5 * 2 + 0.2 * 7 + 0.3 * 12))
    assert "An exported model can be split at its exits only" in " ".join(tier_summary(found))
    with pytest.raises(MeasurementError, match="no split at 'b'"):
        subject(after=(1, 2, 3), **changed).costs(found.tiers, (None, None)).positions("b")


def test_branches_on_the_first_tier_only_are_told_where_they_cost_less() -> None:
    """Nobody leaves at the branches, which only cost there."""
    found = facts(shares=(0.0, 0.0, 1.0))
    assert found.without_branches is not None
    assert "If only edge runs branches" in " ".join(tier_summary(found))


def test_another_cost_is_minimised() -> None:
    over = Tiers.of(Link(mbit=100.0), edge=Tier(name="edge", factor=10.0))
    found = tier_facts(subject(), over, (None, None), cost="bytes_sent")
    assert found.best.split == "final"
    assert found.cost != TIER_LATENCY
    assert "lowest bytes_sent" in " ".join(tier_summary(found))


def test_the_figure_has_the_three_lines_and_the_borders() -> None:
    found = facts()
    drawing = draw_bandwidth(found)
    assert [trace.name for trace in drawing.data] == ["edge only", "cloud only", "best split"]
    assert len(drawing.layout.shapes) == len(found.ranges) - 1
    assert drawing.data[2].text[0] == "edge only"
    assert drawing.layout.xaxis.type == "log"


def test_hostile_names_are_escaped_in_the_figure() -> None:
    found = facts(name="<script>alert(1)</script>")
    assert "<script>" not in draw_bandwidth(found).to_json()


def test_the_bytes_of_an_input_can_be_given() -> None:
    assert subject().with_input_bytes(None).input_bytes == 12_000
    assert subject().with_input_bytes(3_000).input_bytes == 3_000
    with pytest.raises(MeasurementError, match="at least 0, got -1"):
        subject().with_input_bytes(-1)
