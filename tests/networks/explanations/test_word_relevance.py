"""The relevance of words against networks that count words."""

import numpy as np
import pytest

import eenas
from eenas.branches import Fc
from eenas.designs import Placed
from eenas.errors import InputError
from eenas.networks.explanations.word_relevance import MOST_WORDS, word_relevance, words_of
from eenas.testing.smallest import smallest_backbone, smallest_task
from tests.smallest_texts import text_network, text_task


@pytest.fixture(scope="module")
def network():
    design = eenas.Design(
        backbone="words",
        num_classes=4,
        inputs=text_task().inputs,
        branches=(Placed(cut_point="layers.0", branch=Fc()),),
    )
    backbone = text_network()
    backbone.eenas_transform = backbone.eenas_transform.fitted(text_task())
    return eenas.build(design, backbone=backbone)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wake me  up", ("wake", " me", "  up")),
        (" two words \n", (" two", " words \n")),
        ("灯を消して", ("灯", "を", "消", "し", "て")),
        ("", ("",)),
        ("  ", ("  ",)),
    ],
)
def test_parts_are_words(text, words):
    assert words_of(text) == words


def test_maps_of_texts_are_refused_with_the_function_for_words(network):
    with pytest.raises(InputError, match=r"word_relevance\(network, text\)"):
        eenas.explain(network, text_task())


def test_long_texts_have_few_parts_and_nothing_is_lost():
    text = " ".join(f"word{index}" for index in range(1000))
    parts = words_of(text)
    assert len(parts) == MOST_WORDS
    assert "".join(parts) == text


def test_relevance_is_the_drop_of_the_probability_without_the_word(network):
    network.train()
    found = word_relevance(network, "please turn on the lamp")
    assert network.training
    network.eval()
    assert found.words == ("please", " turn", " on", " the", " lamp")
    assert found.relevance.shape == (2, 5)
    logits = [network(network.transform([text])) for text in ("please turn on the lamp", "please turn on lamp")]
    whole, without = ([each.detach().softmax(dim=1)[0] for each in some] for some in logits)
    assert found.target == int(logits[0][-1].argmax())
    assert found.answers == tuple(int(each.argmax()) for each in logits[0])
    for k in range(2):
        expected = float(whole[k][found.target] - without[k][found.target])
        assert found.relevance[k, 3] == pytest.approx(expected, abs=1e-5)
    other = word_relevance(network, "please turn on the lamp", target=2)
    assert other.target == 2
    assert not np.array_equal(other.relevance, found.relevance) or found.target == 2


def test_a_network_of_images_has_no_words():
    design = eenas.Design(backbone="small", num_classes=4, inputs=smallest_task().inputs)
    with pytest.raises(InputError, match=r"words belong to texts, and the network takes .*; use eenas.explain"):
        word_relevance(eenas.build(design, backbone=smallest_backbone()), "hello there")
