"""The facts and the figure of a simulated controller."""

import json

import pytest

from eenas.errors import EenasError
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.recording import Recording
from eenas.policies.controllers.simulation import simulate_stream
from eenas.policies.controllers.stream import Stream
from eenas.reporting.facts.simulation_facts import (
    arm_rows,
    mean_outcome,
    simulation_rows,
    simulation_summary,
    simulation_table,
)
from eenas.reporting.figures.figure_file import check_figure_file, write_figure
from eenas.reporting.figures.regret_figure import draw_regret, regret_facts
from eenas.testing.controller_contract import random_confidences

NAME = "<b>made up</b>"


@pytest.fixture(scope="module")
def found():
    confidences = random_confidences(2, 300)
    confidences[0, 0] = float("nan")
    recording = Recording(name=NAME, confidences=confidences, exits=("0", "final"), correct=confidences > 0.5)
    return simulate_stream(AdaEE(), recording, Stream(rounds=900, phases=("clean", "halved")), seeds=3)


def test_rows_and_sentences(found):
    rows = simulation_rows(found)
    assert [row.name for row in rows][:2] == ["adaee", f"fixed {found.best_fixed}"]
    assert [row.name for row in rows][-2:] == ["random arm", "final exit only"]
    low, high = (pick(each.regret for each in found.outcomes) for pick in (min, max))
    assert rows[0].regret == f"{mean_outcome(found).regret:,.1f} ({low:,.1f} to {high:,.1f})"
    assert simulation_summary(found)[-1] == "1 confidences were not finite and count as 0."
    marked = [row.name for row in arm_rows(found) if row.means[0].endswith("*")]
    assert marked == [found.names()[found.phases[0].best]]
    table = json.loads(json.dumps(simulation_table(found), allow_nan=False))
    assert table["mean"]["regret"] == pytest.approx(mean_outcome(found).regret)


def test_the_lines_are_the_courses_and_the_straight_regrets_of_fixed_choices(found):
    facts = regret_facts(found)
    assert [pane.title for pane in facts.panes][::2] == ["Pseudo-regret", "Accuracy"]
    mine, best, random, final = facts.panes[0].lines
    assert mine.values[-1] == pytest.approx(mean_outcome(found).regret)
    assert mine.low[-1] <= mine.values[-1] <= mine.high[-1]
    for line, name in ((best, found.best_fixed), (random, "random arm"), (final, "final exit only")):
        assert line.rounds == (0, 450, 900)
        assert line.values[-1] == pytest.approx(found.baselines[name].regret)
    assert facts.switches == ((450, "halved"),)


def test_it_is_drawn_with_escaped_names_and_one_legend(found, tmp_path):
    drawing = draw_regret(regret_facts(found))
    assert "&lt;b&gt;" in drawing.layout.title.text
    shown = [line.name for line in drawing.data if line.showlegend]
    assert sorted(shown) == sorted(set(shown))
    write_figure(drawing, tmp_path / "f.html")
    assert (tmp_path / "f.html").read_text().lstrip().startswith(("<html>", "<!doctype html>"))
    for name in ("f.pdf", "f"):
        with pytest.raises(EenasError, match=r"must end in \.html or \.png"):
            check_figure_file(tmp_path / name)


def test_a_picture_needs_kaleido(found, tmp_path, monkeypatch):
    drawing = draw_regret(regret_facts(found))

    def absent(*arguments, **options):
        raise ValueError("no kaleido")

    monkeypatch.setattr(type(drawing), "to_image", absent)
    with pytest.raises(EenasError, match="pip install kaleido"):
        write_figure(drawing, tmp_path / "f.png")
    monkeypatch.setattr(type(drawing), "to_image", lambda self, **options: b"picture")
    write_figure(drawing, tmp_path / "f.png")
    assert (tmp_path / "f.png").read_bytes() == b"picture"


def test_without_labels_there_are_three_panes():
    recording = Recording(name="r", confidences=random_confidences(2, 30), exits=("0", "final"))
    facts = regret_facts(simulate_stream(AdaEE(), recording, Stream(rounds=10), seeds=1))
    assert [pane.title for pane in facts.panes][2:] == ["Leaving early"]
    draw_regret(facts)
