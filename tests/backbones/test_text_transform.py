"""The transform of texts, with its own tokenizer: ids, padding, truncation, files, and what is refused."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from eenas import Task
from eenas.backbones.transforms.kinds import transform_from_table
from eenas.backbones.transforms.text_transform import TextTransform, with_max_length
from eenas.errors import BackboneError, InputError, TaskError
from eenas.programs.preprocessing.kinds import preprocessing_from
from eenas.specs import digest, to_table
from eenas.tasks.load import load_task
from eenas.tasks.text import tokenization
from eenas.tasks.text.tokenization import Tokenization
from eenas.tasks.text.trained_tokenizer import trained_tokenizer

TEXTS = ["wake me at noon", "play some jazz in the kitchen and dim the lamp", "Grüße, 你好 😀", "", "  "]


@pytest.fixture(scope="module")
def task():
    return load_task("phrases")


@pytest.fixture(scope="module")
def transform(task):
    return TextTransform(vocabulary=512, max_length=24).fitted(task)


def test_a_tokenizer_is_trained_on_the_texts_of_train(task, transform):
    assert transform.tokenizer == TextTransform(vocabulary=512, max_length=24).fitted(task).tokenizer
    assert transform.fitted(load_task("phrases")) == transform
    assert (transform.shape, transform.varying) == ((16,), (1,))
    lengths = sorted(int((row != 0).sum()) for row in transform(task.train.samples.texts(task.train.rows)))
    assert 8 < lengths[len(lengths) // 2] <= 16  # the reference length is the median, rounded up


def test_ids_are_padded_to_the_longest_text_rounded_up_to_eight(transform):
    ids = transform(TEXTS)
    assert (ids.dtype, ids.shape[0], ids.shape[1] % 8) == (torch.int64, len(TEXTS), 0)
    alone = transform(TEXTS[:1])
    assert alone.shape == (1, 8)
    assert torch.equal(ids[0, :8], alone[0])
    assert bool((ids[0, 8:] == transform.pad).all())
    assert ids[:, 0].tolist() == [1] * len(TEXTS)  # the class token, of an empty text too


def test_every_text_has_known_tokens(transform):
    tokens = Tokenization(transform.json, 64, 0)
    assert tokens.unknown_share([text.encode() for text in TEXTS]) == 0
    assert tokens.size <= transform.vocabulary


def test_bytes_of_a_split_and_texts_give_the_same_ids(task, transform):
    rows = np.arange(7)
    batch = task.train.reader(transform.inputs)[rows]
    assert transform.is_raw(batch)
    assert not transform.is_raw(transform(batch))
    assert torch.equal(transform(batch), transform(task.train.samples.texts(task.train.rows[rows])))


def test_long_texts_are_truncated_and_counted(transform):
    long = Task.from_arrays("long", ["word " * 60, *(f"short {n}" for n in range(39))], [0, 1] * 20)
    assert transform(["word " * 60]).shape == (1, 24)
    (said,) = transform.notices(long)
    assert said.startswith("texts of more than 24 tokens are truncated: 1 in ")
    assert transform.notices(load_task("phrases")) == () or "truncated" in transform.notices(load_task("phrases"))[0]


def test_unknown_tokens_get_a_notice():
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[PAD]": 0, "[UNK]": 1, "short": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.add_special_tokens(["[PAD]"])
    transform = TextTransform.from_json(words.to_str(), max_length=8)
    texts = Task.from_arrays("some", [f"short {n}" for n in range(40)], [0, 1] * 20)
    assert transform.notices(texts) == (
        "the tokenizer does not know 50.0 % of the tokens of train; does it suit these texts?",
    )
    with pytest.raises(BackboneError, match="a text must have at least one token, got b''"):
        transform(["short", ""])


def test_the_example_is_valid_and_has_padding(transform):
    example = transform.example(4)
    assert (example.shape, example.dtype) == ((4, 16), torch.int64)
    assert torch.equal(example, transform.example(4))
    padding = (example == transform.pad).sum(dim=1)
    assert padding.tolist() == [0, 4, 0, 4]
    assert 0 <= int(example.min()) <= int(example.max()) < transform.vocabulary


def test_the_tokenizer_is_a_file_of_its_own(transform, tmp_path):
    table = json.loads(json.dumps(to_table(transform)))
    assert "json" not in table
    read = transform_from_table(table)
    assert (read, digest(read)) == (transform, digest(transform))
    with pytest.raises(BackboneError, match=r"has no tokenizer; copy tokenizer.json"):
        read(["text"])
    for name, text in transform.files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert torch.equal(read.with_files(tmp_path)(TEXTS), transform(TEXTS))
    (tmp_path / "tokenizer.json").write_text(trained_tokenizer(["others"], 300), encoding="utf-8")
    with pytest.raises(BackboneError, match="is not the tokenizer of this network"):
        read.with_files(tmp_path)


def test_the_runtime_prepares_texts_alike(transform, tmp_path):
    for name, text in transform.files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "some.txt").write_text("\n\n".join(TEXTS), encoding="utf-8")
    preprocessing = preprocessing_from(to_table(transform)).opened_in(tmp_path)
    ids = preprocessing.prepare(TEXTS)
    assert ids.dtype == np.int64
    assert np.array_equal(ids, transform(TEXTS).numpy())
    assert np.array_equal(preprocessing.prepare([tmp_path / "some.txt"]), transform(TEXTS[:3]).numpy())
    assert np.array_equal(preprocessing.checked(ids), ids)
    assert preprocessing.checked(preprocessing.blank(2)).shape == (2, 16)
    assert preprocessing.prepare([]).shape == (0, 16)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((1, 8), dtype=np.float32), r"a batch must be ids int64 \[N, at most 24\]"),
        (np.ones((1, 32), dtype=np.int64), r"got int64 \[1, 32\]"),
        (np.full((1, 8), 512), "ids must be at least 0 and below 512, got 512 to 512"),
        (np.full((1, 8), -1), "got -1 to -1"),
        (np.array([[1, 2], [0, 0]]), "a text must have at least one token, got none in sample 1"),
        ([[1, 2]], "a batch must be a NumPy array"),
    ],
)
def test_the_runtime_refuses_ids_of_another_tokenizer(transform, batch, message):
    with pytest.raises(InputError, match=message):
        preprocessing_from(to_table(transform)).checked(batch)


def test_the_kept_ids_are_those_of_texts_up_to_so_many_bytes(transform, monkeypatch):
    tokens = Tokenization(transform.json, 8, transform.pad)
    monkeypatch.setattr(tokenization, "_MOST_BYTES", 100)
    for number in range(50):
        text = b"play jazz %d " % number * 5
        assert tokens.is_truncated(text)
        assert sum(map(len, tokens._kept)) <= 100
        np.testing.assert_array_equal(tokens.ids(text), tokens.ids(text))


@pytest.mark.parametrize("source", [3, b"bytes", None])
def test_the_runtime_refuses_what_is_no_text(transform, source, tmp_path):
    preprocessing = preprocessing_from(to_table(transform)).opened_in(tmp_path)
    with pytest.raises(InputError, match="a text must be a str"):
        preprocessing.prepare([source])
    with pytest.raises(InputError, match=r"tokenizer.json: cannot be read"):
        preprocessing.prepare(["text"])
    with pytest.raises(InputError, match="no such file"):
        preprocessing.prepare([tmp_path / "missing.txt"])


def test_a_tokenizer_of_another_network_is_refused(transform, tmp_path):
    with pytest.raises(BackboneError, match=r"the tokenizer has \d+ ids, and the network takes 100: it belongs to ano"):
        TextTransform.from_json(transform.json, vocabulary=100)
    for text in ("nothing", "[]", '{"model": 3}', '{"model": {"type": "none"}}'):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(BackboneError, match=r"tokenizer.json: "):
            TextTransform.from_file(tmp_path / "tokenizer.json")
    with pytest.raises(BackboneError, match=r"cannot be read as a tokenizer.json"):
        TextTransform.from_file(tmp_path / "missing.json")


def test_wrong_samples_and_numbers_are_refused(transform):
    for samples, got in ((torch.zeros(2, 3), "torch.float32"), ("one text", "got str"), ([3], "got list")):
        with pytest.raises(BackboneError, match=got):
            transform(samples)
    with pytest.raises(TaskError, match="the backbone takes text"):
        transform.fitted(load_task("waves"))
    with pytest.raises(BackboneError, match="call fitted"):
        TextTransform(vocabulary=512, max_length=24)(["text"])
    for wrong in ({"vocabulary": 1}, {"pad": 512}, {"length": 25}, {"max_length": 1}):
        with pytest.raises(BackboneError):
            replace(transform, **wrong)


def test_a_tokenizer_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(TaskError, match=r"need a tokenizer, .* pip install 'eenas\[text\]'"):
        trained_tokenizer(["a text"], 300)


def test_a_network_is_given_no_more_tokens_than_it_takes():
    with pytest.raises(BackboneError, match=r"takes at most 24 tokens, got backbone\.max_length = 25; lower it"):
        with_max_length(TextTransform(vocabulary=512, max_length=24), 25, "net")
    assert with_max_length(TextTransform(vocabulary=512, max_length=24), 24, "net").max_length == 24
