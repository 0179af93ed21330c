"""The explanation of a fully trained network of texts for a page: the words that count at each exit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eenas.errors import plural
from eenas.networks.explanations.map_agreement import spearman
from eenas.networks.explanations.word_relevance import WordRelevance, word_relevance
from eenas.networks.network import EarlyExitNetwork
from eenas.percent import percent
from eenas.reporting.facts.wording import place
from eenas.tasks.task import Task
from eenas.tasks.text.text_bytes import unstacked_texts

TEXTS, ROWS, LETTERS = 24, 6, 600
"""The texts that are measured, those that are shown, and the characters that are shown of each."""

WORD_HEADS = ("", "rank correlation with the last exit", "largest drop by one word")


@dataclass(frozen=True, kw_only=True)
class ColouredWord:
    """A part of a text. `share` in [-1, 1] is its relevance over the largest one of the exit, positive if it speaks for
    the answer.
    """

    text: str
    share: float


@dataclass(frozen=True, kw_only=True)
class ExplainedText:
    """A text with its class: for each exit its words, its answer, and whether that is right."""

    label: str
    words: tuple[tuple[ColouredWord, ...], ...]
    answers: tuple[str, ...]
    right: tuple[bool, ...]


@dataclass(frozen=True, kw_only=True)
class ExplainedTextsFacts:
    """The explanation of a network: sentences, a row of measures for each exit, and texts."""

    title: str
    sentences: tuple[str, ...]
    exits: tuple[str, ...]
    exit_rows: tuple[tuple[str, ...], ...]
    texts: tuple[ExplainedText, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class WordMeasures:
    """The relevance of words in n test texts of classes `labels` [n], and means of measures for each of K exits.

    `correlation` is Spearman's with the last exit over the words of a text (None without a text of two words), `drop`
    the fall of the answer's probability without its most relevant word.
    """

    found: tuple[WordRelevance, ...]
    labels: tuple[int, ...]
    ranks: tuple[tuple[float, ...], ...]
    correlation: tuple[float | None, ...]
    drop: tuple[float, ...]

    def to_table(self, exits: Sequence[str]) -> dict[str, Any]:
        """Return the measures as plain data for JSON."""
        rows = zip(exits, self.correlation, self.drop, strict=True)
        return {
            "samples": len(self.found),
            "exits": [{"name": name, "spearman": ranks, "largest_drop": drop} for name, ranks, drop in rows],
        }


def word_measures(network: EarlyExitNetwork, task: Task, *, seed: int = 0) -> WordMeasures:
    """Measure TEXTS texts of the test split, drawn by `seed`. Raises InputError for a network that takes no texts."""
    positions = np.random.default_rng(seed).permutation(len(task.test))[:TEXTS]
    raw = unstacked_texts(task.test.reader(network.transform.inputs)[positions].numpy())
    found = tuple(word_relevance(network, each.decode()) for each in raw)
    exits = len(network.exits)
    ranks = tuple(
        tuple(float(spearman(one.relevance[[k]], one.relevance[[-1]])[0]) for k in range(exits)) for one in found
    )
    table = np.array(ranks)
    known = [column[np.isfinite(column)] for column in table.T]
    return WordMeasures(
        found=found,
        labels=tuple(int(label) for label in np.asarray(task.test.labels)[positions]),
        ranks=ranks,
        correlation=tuple(float(each.mean()) if len(each) else None for each in known),
        drop=tuple(float(np.mean([one.relevance[k].max() for one in found])) for k in range(exits)),
    )


def explained_texts_facts(name: str, network: EarlyExitNetwork, task: Task) -> ExplainedTextsFacts:
    """Return the facts of a trained network of texts on the test split."""
    measures = word_measures(network, task)
    exits = tuple("final" if each == network.final else place(each) for each in network.exits)
    classes = network.classes or task.classes
    rows = tuple(
        (shown, "–" if ranks is None else f"{ranks:z.2f}", percent(drop))
        for shown, ranks, drop in zip(exits, measures.correlation, measures.drop, strict=True)
    )
    order = sorted(
        range(len(measures.found)), key=lambda index: (np.isnan(measures.ranks[index][0]), measures.ranks[index][0])
    )
    shown_rows = order if len(order) <= ROWS else [*order[: ROWS // 2], *order[len(order) - ROWS // 2 :]]
    return ExplainedTextsFacts(
        title="Words that count at each exit",
        sentences=(
            f"{name}, {plural(len(measures.found), 'test text')}; the last exit's answer is less probable without an "
            "orange word, and more probable without a blue one; each word is left out in turn, so words that can "
            "replace each other stay pale",
        ),
        exits=exits,
        exit_rows=rows,
        texts=tuple(_text(measures.found[index], measures.labels[index], classes) for index in shown_rows),
    )


def _text(found: WordRelevance, label: int, classes: Sequence[str]) -> ExplainedText:
    return ExplainedText(
        label=classes[label],
        words=tuple(_words(found.words, values.tolist()) for values in found.relevance),
        answers=tuple(classes[answer] for answer in found.answers),
        right=tuple(answer == label for answer in found.answers),
    )


def _words(words: Sequence[str], relevance: Sequence[float]) -> tuple[ColouredWord, ...]:
    most = max((abs(value) for value in relevance), default=0.0) or 1.0
    found: list[ColouredWord] = []
    left = LETTERS
    for word, value in zip(words, relevance, strict=True):
        if len(word) > left:
            return (*found, ColouredWord(text=word[:left] + "…", share=value / most))
        found.append(ColouredWord(text=word, share=value / most))
        left -= len(word)
    return tuple(found)
