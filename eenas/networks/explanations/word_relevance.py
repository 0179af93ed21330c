"""The words of a text that speak for an answer, at each exit: the drop of its probability without the word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.errors import InputError
from eenas.networks.network import EarlyExitNetwork
from eenas.tasks.text.text_bytes import stacked_texts, text_bytes

MOST_WORDS = 64
"""A longer text is divided into this number of parts of consecutive words, which are left out together."""

_BATCH = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class WordRelevance:
    """The parts of a text and their relevance at K exits.

    `words` [W] are the parts in their order, with the spaces before them: joined they are the text. `relevance`
    float32 [K, W] is the probability that the exit gives to class `target` for the text, less that without the part:
    in [-1, 1], and positive where the part speaks for the class. `answers` [K] are the answers of the exits.
    """

    words: tuple[str, ...]
    relevance: NDArray[np.float32]
    target: int
    answers: tuple[int, ...]


@torch.no_grad()
def word_relevance(network: EarlyExitNetwork, text: str, target: int | None = None) -> WordRelevance:
    """Return how much each word of a text counts for class `target` (default: the last exit's answer) at each exit.

    Each part is left out in turn, and the rest goes through tokenizer and network ("leave one out", Li, Monroe and
    Jurafsky 2016, "Understanding Neural Networks through Representation Erasure"). The measure is the same for every
    tokenizer and branch, and is faithful by definition, but sees no words that replace each other. The network runs
    W + 1 times. Raises InputError for a network that takes no texts.
    """
    if network.transform.inputs.kind != "text":
        raise InputError(f"words belong to texts, and the network takes {network.transform.inputs}; use eenas.explain")
    parts = words_of(text)
    without = ["".join(parts[:index] + parts[index + 1 :]) for index in range(len(parts))]
    was_training = network.training
    network.eval()
    try:
        logits = _logits(network, [text, *without])
    finally:
        network.train(was_training)
    wanted = int(logits[-1, 0].argmax()) if target is None else target
    chances = logits.softmax(dim=2)[:, :, wanted].numpy()
    return WordRelevance(
        words=parts,
        relevance=chances[:, :1] - chances[:, 1:],
        target=wanted,
        answers=tuple(logits[:, 0].argmax(dim=1).tolist()),
    )


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text with the spaces before them, or at most MOST_WORDS runs of words.

    A text without spaces between words is divided by characters. An empty text is one part.
    """
    words = re.findall(r"\s*\S+|\s+$", text)
    if len(words) < 2:
        words = list(text)
    if not words:
        return (text,)
    if words[-1].isspace() and len(words) > 1:
        words[-2:] = [words[-2] + words[-1]]
    parts = np.array_split(np.arange(len(words)), min(len(words), MOST_WORDS))
    return tuple("".join(words[index] for index in part) for part in parts)


def _logits(network: EarlyExitNetwork, texts: Sequence[str]) -> torch.Tensor:
    """Return the logits [K, n, C] of texts, float32 on the CPU."""
    device = next(network.parameters()).device
    found = []
    for begin in range(0, len(texts), _BATCH):
        raw = stacked_texts([text_bytes(each) for each in texts[begin : begin + _BATCH]])
        x = network.transform(torch.from_numpy(raw).to(device))
        found.append(torch.stack([each.float().cpu() for each in network(x)]))
    return torch.cat(found, dim=1)
