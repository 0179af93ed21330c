"""Files of dashboards/: shipped ones are read, wrong ones refused in one line."""

from dataclasses import replace

import pytest

from eenas.errors import SpecError
from eenas.policies.costs import CostFacts
from eenas.reporting.report.page import FIGURES, load_page, with_own_fronts
from tests.reporting.studies import study


def test_the_live_page_holds_the_front_and_who_leaves_where():
    page = load_page()
    assert "front_macs" in page.figures
    assert "leaving" in page.figures
    assert page.note


def test_every_figure_of_the_live_page_is_drawn():
    results = study(4)
    for figure in load_page("live").figures:
        assert FIGURES[figure](results).layout.title.text


def test_fronts_over_a_study_s_own_costs_stand_behind_the_others():
    results = study(2)
    names = ("front_macs", "front_latency", "leaving")
    assert with_own_fronts(names, results) == names
    energy = replace(results, costs=(*results.costs, CostFacts(name="energy", unit="mJ")))
    assert with_own_fronts(names, energy) == ("front_macs", "front_latency", "front_energy", "leaving")
    assert with_own_fronts(("leaving",), energy) == ("leaving",), "a page without fronts stays so"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('figures = ["front_mac"]', "'front_macs'"),
        ('figures = ["leaving"]\nnotes = true', "'note'"),
        ('figures = ["leaving", "leaving"]', "once"),
        ('figures = ["leaving"]\ntrial_notes = -1', "-1"),
        ("note = true", "figures"),
    ],
)
def test_wrong_pages_name_file_and_fix(tmp_path, text, said):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SpecError, match=said) as caught:
        load_page(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
