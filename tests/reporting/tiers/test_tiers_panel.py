"""The panel of a report about tiers: drawn for a study with tiers, left out of the page without."""

from dataclasses import replace

import pytest

from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.tiers import Tier, Tiers
from eenas.reporting.report.report_page import load_report, report_html
from eenas.reporting.report.report_panels import PANELS
from eenas.reporting.report.report_source import Asked, open_source
from eenas.results.choice import Choice
from eenas.study.settings.reference import StudyReference


@pytest.fixture
def source(smallest_study):
    choice = Choice(network=f"trial {smallest_study.trial}")
    return open_source(StudyReference(storage=smallest_study.storage), Asked(choice=choice))


def with_tiers(source):
    tiers = Tiers.of(Link(mbit=2.0, round_trip_ms=1.0), edge=Tier(name="board", factor=50.0))
    settings = replace(source.results.settings, tiers=tiers)
    return replace(source, results=replace(source.results, settings=settings))


def test_a_study_with_tiers_has_the_figure_and_its_words(source):
    found = PANELS["tiers"](with_tiers(source))
    assert [trace.name for trace in found.figure.data] == ["board only", "cloud only", "best split"]
    assert "board: 50 x this machine" in found.above
    assert "Best split: " in found.above
    page = report_html(with_tiers(source), load_report())
    assert "Edge and cloud" in page


def test_the_split_that_the_study_chose_within_its_limits_is_told(source):
    item = replace(source.item, point=replace(source.item.point, split="final"))
    tiered = with_tiers(source)
    picked = replace(tiered.picked(), item=item)
    found = PANELS["tiers"](replace(tiered, picked=lambda: picked))
    words = "Within its limits, the study chose: board only."
    assert (words in found.above) == ("Best split: board only" not in found.above)


def test_a_study_without_tiers_says_so_and_its_page_leaves_the_panel_out(source):
    found = PANELS["tiers"](source)
    assert found.figure is None
    assert "add [tiers] to its file" in found.above
    assert "Edge and cloud" not in report_html(source, load_report())
