"""The notes of a study and its trials."""

import re
from dataclasses import replace

from eenas.reporting.facts.notes import GAP, study_note, trial_note
from tests.reporting.studies import failed, study


def tables(text):
    """The Markdown tables of a text as lists of rows of cells."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE)
    return [[line.strip("|").replace(GAP, "").split("|") for line in table.splitlines()] for table in found]


def test_the_study_note_has_the_summary_and_whole_tables():
    results = study(10, extra=[failed(90, "CUDA | out of\nmemory"), failed(91, "CUDA | out of\nmemory")])
    text = study_note(results)
    assert results.name in text
    assert r"2 ×: CUDA \| out of memory" in text
    found = tables(text)
    assert len(found) == 3
    for rows in found:
        assert len({len(cells) for cells in rows}) == 1
    assert len(text) < 8000


def test_a_study_without_a_front_has_a_note():
    assert tables(study_note(study(0))) == []
    assert "out of memory" in study_note(study(0, extra=[failed(0)]))


def test_the_trial_note_has_its_branches_and_points():
    results = study(10)
    item = next(item for item in results.front if item.trial is not None)
    text = trial_note(results, item.trial)
    design, points = tables(text)
    assert len(design) - 2 == len(item.design.branches) + 1
    assert len(points) - 2 == min(10, sum(other.trial == item.trial for other in results.front))
    for placed in item.design.branches:
        assert placed.cut_point in text
        assert placed.branch.label() in text


def test_the_trial_note_tells_what_is_not_the_default():
    results = study(3)
    item = next(item for item in results.front if item.trial is not None)
    assert "Not the default" not in trial_note(results, item.trial)
    boosted = replace(item.design, training=replace(item.design.training, loss_weights="boosted"))
    same = [replace(each, design=boosted) if each.trial == item.trial else each for each in results.front]
    assert "Not the default: boosted." in trial_note(replace(results, front=tuple(same)), item.trial)
    said = {"placement": {"kind": "gating", "count": 2, "openness": {"a": 1}}, "repairs": ["slot 1: x; dropped"]}
    placed = [replace(each, design=replace(each.design, provenance=said)) for each in same]
    text = trial_note(replace(results, front=tuple(placed)), item.trial)
    assert "Placement: gating (count 2).\n- slot 1: x; dropped\n" in text


def test_a_known_design_says_where_it_comes_from():
    results = study(1)
    assert "known: uniform 3 fc" in trial_note(results, 0)
