"""Recordings: from exit tables and CSV files, whose columns are found by name; odd files are refused by name."""

import math

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.controllers.recording import Recording
from eenas.policies.controllers.recording_file import read_recording
from eenas.policies.scores import score
from eenas.testing.policy_contract import random_table

BRANCH = "conf_branch_{k},infered_class_branches_{k},correct_branch_{k}"
GOOD = f""",target,id,{BRANCH.format(k=1)},{BRANCH.format(k=2)}
0,3.0,1.0,0.79,3.0,1.0,0.99,3.0,1.0
1,8.0,2.0,0.91,7.0,0.0,0.98,8.0,1.0
"""


def test_a_table_becomes_scaled_confidences():
    table = random_table(3, 5)
    found = Recording.of(table, (1.5, 0.7, 1.0), name="t", thresholds=(0.5, None))
    for k, temperature in enumerate((1.5, 0.7, 1.0)):
        np.testing.assert_array_equal(found.confidences[:, k], score(table.logits[:, k], temperature))
    np.testing.assert_array_equal(found.correct, table.correct())
    assert found.costs == (1.0, 2.0, 3.0)
    assert found.controlled().thresholds == (0.5, None)
    assert found.controlled().temperatures == (1.0, 1.0, 1.0)
    with pytest.raises(PolicyError, match="3 exits need as many temperatures, got 1"):
        Recording.of(table, (1.0,))


def test_columns_are_found_by_name(tmp_path):
    file = tmp_path / "c.csv"
    file.write_text(GOOD)
    found = read_recording(file)
    np.testing.assert_array_equal(found.confidences, [[0.79, 0.99], [0.91, 0.98]])
    np.testing.assert_array_equal(found.correct, [[True, True], [False, True]])
    assert found.exits == ("branch 1", "final")
    assert found.contexts is None
    file.write_text("conf_branch_2,x,conf_branch_1\n0.9,hello,0.5\n\n")
    found = read_recording(file)
    assert found.confidences.tolist() == [[0.5, 0.9]]
    assert found.correct is None


def test_classes_and_targets_tell_who_is_right_and_columns_the_context(tmp_path):
    file = tmp_path / "c.csv"
    file.write_text(
        "target,conf_branch_1,conf_branch_2,infered_class_branch_1,infered_class_branch_2,distortion_type,distortion_lvl\n"
        "1,0.5,0.6,1,2,blur,3\n2,0.5,0.6,1,2,pristine,\n"
    )
    found = read_recording(file)
    assert found.correct.tolist() == [[True, False], [False, True]]
    assert found.contexts.tolist() == ["blur:3", "pristine"]
    assert len(found.of_context("blur:3")) == 1
    with pytest.raises(PolicyError, match="no samples of the context 'noise'"):
        found.of_context("noise")


def test_confidences_that_are_no_numbers_count_as_zero_and_are_counted(tmp_path):
    file = tmp_path / "c.csv"
    file.write_text("conf_branch_1,conf_branch_2\nnan,0.5\n,inf\n0.2,0.3\n")
    found = read_recording(file)
    assert found.confidences.tolist() == [[0, 0.5], [0, 0], [0.2, 0.3]]
    assert found.replaced == 3
    assert math.isclose(found.scaled(0.5).confidences[0, 1], 0.25)
    assert found.scaled(0.5).replaced == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; a recording needs conf_branch_1"),
        ("\n\n", "is empty"),
        ("conf_branch_1,conf_branch_2\n", "has a header but no samples"),
        ("conf_branch_1\n0.5\n", "the column conf_branch_2 is missing"),
        ("conf_branch_2,conf_branch_3\n0.5,0.5\n", "the column conf_branch_1 is missing"),
        ("a,b\n1,2\n", "the column conf_branch_1 is missing"),
        ("conf_branch_1,conf_branch_1,conf_branch_2\n1,1,1\n", "'conf_branch_1' occurs twice"),
        ("conf_branch_1,conf_branches_1,conf_branch_2\n1,1,1\n", "'conf_branches_1' has the number of another one"),
        ("conf_branch_1,conf_branch_2\n0.5\n", "line 2 has 1 column, the header has 2"),
        ("conf_branch_1,conf_branch_2\n0.5,high\n", "line 2: conf_branch_2 must be a number, got 'high'"),
        ("conf_branch_1,conf_branch_2\n0.5,7\n", r"confidences must be in \[0, 1\], got 7"),
        (
            "conf_branch_1,conf_branch_2,correct_branch_1,correct_branch_2\n0.5,0.6,1,2\n",
            "correct_branch_2 must be 0 or 1, got '2'",
        ),
        ("\xff\xfe", "header|UTF-8|missing"),
    ],
)
def test_an_odd_file_is_refused_with_its_name(text, message, tmp_path):
    file = tmp_path / "odd.csv"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(PolicyError, match=rf"odd\.csv: .*{message}"):
        read_recording(file)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(PolicyError, match="no such file"):
        read_recording(tmp_path / "none.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(PolicyError, match="cannot be read"):
        read_recording(tmp_path / "d.csv")


def test_shapes_are_checked():
    with pytest.raises(PolicyError, match="at least one sample"):
        Recording(name="r", confidences=np.zeros((0, 2)), exits=("a", "b"))
    with pytest.raises(PolicyError, match="at least two exits"):
        Recording(name="r", confidences=np.zeros((3, 1)), exits=("a",))
    with pytest.raises(PolicyError, match="as many contexts"):
        Recording(name="r", confidences=np.zeros((3, 2)), exits=("a", "b"), contexts=np.array(["x"]))


def test_a_file_of_more_cells_than_memory_is_meant_for_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("eenas.policies.controllers.recording_file.MOST_CELLS", 100)
    file = tmp_path / "big.csv"
    for end in ("\n", "\r\n", "\r"):
        file.write_text(end.join(["conf_branch_1,conf_branch_2"] + [".5,.9"] * 200), newline="")
        with pytest.raises(PolicyError, match=r"big\.csv: has about .* cells, at most 100 are read"):
            read_recording(file)
