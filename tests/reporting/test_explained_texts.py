"""Texts on a page: those that leave first and last, and the words that count at each exit."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import eenas
from eenas.branches import Fc
from eenas.designs import Placed
from eenas.networks.explanations.word_relevance import WordRelevance
from eenas.reporting.facts import explained_texts
from eenas.reporting.facts.explained_texts import LETTERS, ROWS, explained_texts_facts, word_measures
from eenas.reporting.figures.thumbnails import quotes, samples_facts
from eenas.reporting.report.report_facts import facts_json
from eenas.reporting.report.report_page import ReportSpec, report_html
from eenas.tasks.task import Task
from eenas.tasks.text.text_input import text_input
from eenas.tasks.text.text_values import TextValues
from tests.reporting.sources import source
from tests.smallest_texts import text_network, text_task

HOSTILE = "<script>alert(1)</script> turn on the lamp"


@pytest.fixture(scope="module")
def network():
    task = text_task()
    backbone = text_network()
    backbone.eenas_transform = backbone.eenas_transform.fitted(task)
    design = eenas.Design(
        backbone="words", num_classes=4, inputs=task.inputs, branches=(Placed(cut_point="layers.0", branch=Fc()),)
    )
    return eenas.build(design, backbone=backbone, classes=task.classes).eval()


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(explained_texts, "TEXTS", 8)


def hostile_task():
    return Task.from_arrays(
        "hostile", [HOSTILE, "play some jazz", "wake me at six", "rain in Lima"] * 40, [0, 1, 2, 3] * 40
    )


def test_the_facts_hold_each_exit_and_text(network, few):
    facts = explained_texts_facts("trial 3", network, text_task())
    assert facts.exits[-1] == "final"
    assert len(facts.exit_rows) == 2
    assert facts.exit_rows[-1][1] == "1.00"
    assert len(facts.texts) == ROWS
    for text in facts.texts:
        assert len(text.words) == len(text.answers) == len(text.right) == 2
        assert all(max(abs(word.share) for word in words) <= 1 for words in text.words)
    again = explained_texts_facts("trial 3", network, text_task())
    assert again == facts


def test_the_measures_are_means_over_texts(network, few):
    measures = word_measures(network, text_task())
    assert len(measures.found) == 8
    drops = [max(one.relevance[0]) for one in measures.found]
    assert measures.drop[0] == pytest.approx(np.mean(drops))
    table = measures.to_table(network.exits)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert table["exits"][-1]["spearman"] == pytest.approx(1)


def test_long_texts_are_cut_on_the_page():
    words = (*(f" word{index:04d}" for index in range(64)), " " + "x" * LETTERS)
    relevance = np.ones((1, len(words)), dtype=np.float32)
    shown = explained_texts._text(WordRelevance(words=words, relevance=relevance, target=0, answers=(0,)), 0, ("a",))
    text = "".join(word.text for word in shown.words[0])
    assert len(text) == LETTERS + 1
    assert text.endswith("…")


def test_texts_are_escaped_on_the_page(network, few):
    here = source(network=lambda: ("trial 3", network), task=hostile_task)
    page = report_html(here, ReportSpec(panels=("explain",)))
    assert 'class="missing"' not in page
    assert "Words that count at each exit" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "rgba(213, 94, 0" in page
    found = json.loads(facts_json(here))["explanation"]
    assert [each["name"] for each in found["exits"]] == list(network.exits)


def test_samples_that_leave_first_and_last_are_quoted():
    picked = source().picked()
    labels = picked.validation.labels
    texts = [HOSTILE if index % 2 else "wake me " * 60 for index in range(len(labels))]
    split = SimpleNamespace(
        labels=labels, reader=lambda inputs: TextValues(texts).reader(np.arange(len(texts)), inputs)
    )
    task = SimpleNamespace(inputs=text_input(), validation=split)
    facts = samples_facts(picked)
    found = quotes(task, picked, facts)
    assert set(found) == {sample.position for sample in (*facts.first, *facts.last)}
    assert all(text == HOSTILE or text.endswith("…") for text in found.values())
    page = report_html(source(task=lambda: task), ReportSpec(panels=("samples",)))
    assert 'class="missing"' not in page
    assert 'figure class="quote"' in page
    assert "<script>alert" not in page
    assert quotes(source().task(), picked, facts) == {}
