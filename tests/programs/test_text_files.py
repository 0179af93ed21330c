"""Files of texts for an exported model: one text in each line, and a bound on the file."""

import numpy as np
import pytest

from eenas.errors import InputError
from eenas.programs.preprocessing import text_preprocessing
from eenas.programs.preprocessing.text_preprocessing import TextPreprocessing

MADE = TextPreprocessing(vocabulary=300, max_length=40, pad=0, length=8, tokenizer="")


def test_only_the_end_of_a_line_ends_a_text(tmp_path):
    file = tmp_path / "some.txt"
    file.write_bytes("\ufeffone\u2028text\r\n\n \x85two\x0bparts \n".encode())
    assert MADE.texts(file) == ["one\u2028text", "two\x0bparts"]


def test_arrays_and_columns_of_texts_are_read_and_other_arrays_refused():
    assert MADE.texts(np.array(["one", "two"])) == ["one", "two"]
    assert MADE.texts(np.array(["one", "two"], dtype=object)) == ["one", "two"]
    assert MADE.texts(np.str_("one")) == ["one"]
    assert MADE.texts(pytest.importorskip("pandas").Series(["one", "two"])) == ["one", "two"]
    for other in (np.ones(2), np.array([["one"]]), np.float64(1), np.array([b"one"]), np.array("one")):
        with pytest.raises(InputError, match="give several texts as a list"):
            MADE.texts(other)


def test_a_file_is_read_whole_or_refused(tmp_path, monkeypatch):
    file = tmp_path / "some.txt"
    file.write_text("a text\nb text\n")
    monkeypatch.setattr(text_preprocessing, "_LARGEST_FILE", 14)
    assert MADE.texts(file) == ["a text", "b text"]
    monkeypatch.setattr(text_preprocessing, "_LARGEST_FILE", 13)
    with pytest.raises(InputError, match="must have at most 13 bytes; give several files"):
        MADE.texts(file)
