"""The figures of a network with experts: the worth of each, and their table."""

import json

import pytest

from eenas.errors import SpecError
from eenas.frozen.experts.expert_figures import ExpertFigures
from tests.expert_figures import NAMES, expert_figures


def test_the_worth_of_an_expert_is_the_mean_over_the_severities_of_its_kind():
    clean, blur, fog = expert_figures().worth
    assert (clean.expert, blur.expert, fog.expert) == NAMES
    assert (clean.accuracy, clean.plain_accuracy, clean.chosen) == (0.875, 0.9, (0.9, 0.1, 0))
    assert (blur.accuracy, blur.plain_accuracy, blur.chosen) == (0.625, 0.4375, (0.25, 0.75, 0))
    assert (fog.accuracy, fog.plain_accuracy, fog.chosen) == (0.625, 0.5, (0.125, 0.125, 0.75))
    assert (fog.macs, fog.plain_macs) == (50.0, 40.0)


def test_a_table_of_them_is_read_back():
    figures = expert_figures()
    table = json.loads(json.dumps(figures.to_table()))
    assert [each["expert"] for each in table["worth"]] == list(NAMES)
    assert ExpertFigures.from_table(table) == figures


def test_an_unknown_key_is_an_error():
    with pytest.raises(SpecError, match="nearest: 'samples'"):
        ExpertFigures.from_table({**expert_figures().to_table(), "sampels": 1})
