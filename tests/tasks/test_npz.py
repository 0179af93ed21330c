"""Array files: what they must hold, and what is refused."""

import pickle

import numpy as np
import pytest

from eenas.errors import TaskError
from eenas.tasks.npz import npz_task
from eenas.tasks.task import Task


def arrays(grey=False):
    shape = (40, 8, 8) if grey else (40, 8, 8, 3)
    return {
        "train_x": np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8),
        "train_y": np.tile(np.arange(2, dtype=np.uint8), 20),
    }


def save(path, **values):
    np.savez(path, **values)
    return path


def test_a_file_is_the_task_of_its_arrays(tmp_path):
    held = arrays()
    held |= {"test_x": held["train_x"][:6], "test_y": held["train_y"][:6], "classes": np.array(["hund", "Käfer"])}
    task = npz_task(save(tmp_path / "tiere.npz", **held))
    assert (task.name, task.classes, task.input_size, task.channels, task.flip) == (
        "tiere",
        ("hund", "Käfer"),
        8,
        3,
        True,
    )
    assert task.digest == Task.from_arrays("tiere", **held).digest
    assert len(task.test) == 6


def test_classes_may_be_absent_bytes_or_numbers(tmp_path):
    assert npz_task(save(tmp_path / "a.npz", **arrays())).classes == ("0", "1")
    assert npz_task(save(tmp_path / "b.npz", **arrays(), classes=np.array([b"x", b"y"]))).classes == ("x", "y")
    assert npz_task(save(tmp_path / "c.npz", **arrays(), classes=np.array([7, 8]))).classes == ("7", "8")


def test_grey_arrays_are_not_flipped_unless_asked(tmp_path):
    path = save(tmp_path / "a.npz", **arrays(grey=True))
    assert (npz_task(path).channels, npz_task(path).flip, npz_task(path, flip=True).flip) == (1, False, True)


def test_missing_arrays_are_named_with_those_found(tmp_path):
    path = save(tmp_path / "a.npz", x=np.zeros(3), train_x=arrays()["train_x"])
    with pytest.raises(
        TaskError, match=r"a\.npz: the array 'train_y' is missing; add it \(the file holds 'x', 'train_x'\)"
    ):
        npz_task(path)
    with pytest.raises(TaskError, match=r"'train_x' is missing; add it \(the file holds nothing"):
        npz_task(save(tmp_path / "b.npz"))
    with pytest.raises(TaskError, match=r"c\.npz: test_x is given but not test_y"):
        npz_task(save(tmp_path / "c.npz", **arrays(), test_x=arrays()["train_x"]))


class Trap:
    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


def test_pickles_are_never_read(tmp_path):
    held = arrays() | {"train_y": np.array([Trap()] * 40, dtype=object)}
    np.savez(tmp_path / "a.npz", **held)
    with pytest.raises(TaskError, match=r"the array 'train_y' cannot be read .*; pickles are never read"):
        npz_task(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(TaskError, match=r"b\.npz: not a readable \.npz file"):
        npz_task(tmp_path / "b.npz")


def test_broken_files_and_wrong_places_are_refused(tmp_path):
    whole = save(tmp_path / "whole.npz", **arrays()).read_bytes()
    broken = tmp_path / "broken.npz"
    for content in (b"", b"text", whole[:500], whole[:-200]):
        broken.write_bytes(content)
        with pytest.raises(TaskError, match=r"broken\.npz: not a readable \.npz file") as caught:
            npz_task(broken)
        assert "\n" not in str(caught.value)
    spoilt = bytearray(whole)
    spoilt[1000] ^= 255
    broken.write_bytes(spoilt)
    with pytest.raises(TaskError, match="the array 'train_x' cannot be read"):
        npz_task(broken)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(TaskError, match="a single array"):
        npz_task(tmp_path / "one.npy")
    with pytest.raises(TaskError, match="no such file"):
        npz_task(tmp_path / "none.npz")
    with pytest.raises(TaskError, match="a folder, not"):
        npz_task(tmp_path)


def test_what_the_arrays_hold_is_refused_with_the_file_name(tmp_path):
    held = arrays()
    with pytest.raises(
        TaskError, match=r"a\.npz: train_y holds the label 1, but the labels of 1 class end at 0; give 2 names"
    ):
        npz_task(save(tmp_path / "a.npz", **held, classes=np.array(["x"])))
    with pytest.raises(TaskError, match=r"a\.npz: train_x holds int64 from -\d+ to"):
        npz_task(save(tmp_path / "a.npz", train_x=held["train_x"].astype(int) - 99, train_y=held["train_y"]))


def of_series(**more):
    generator = np.random.default_rng(0)
    return {"train_x": generator.normal(size=(40, 2, 9)), "train_y": np.tile(np.arange(2), 20), **more}


def test_lengths_of_series_are_those_of_a_list(tmp_path):
    lengths = np.random.default_rng(1).integers(3, 10, size=40)
    held = of_series(train_lengths=lengths, test_x=np.ones((4, 2, 7)), test_y=np.arange(4) % 2)
    held["test_x"][:, 0] = np.arange(7)
    task = npz_task(save(tmp_path / "a.npz", **held, test_lengths=np.array([7, 1, 2, 7])))
    listed = [each[:, :length] for each, length in zip(held["train_x"], lengths, strict=True)]
    tested = [each[:, :length] for each, length in zip(held["test_x"], (7, 1, 2, 7), strict=True)]
    expected = Task.from_arrays("a", listed, held["train_y"], tested, held["test_y"])
    assert task.digest == expected.digest
    assert [str(notice) for notice in task.notices] == [str(notice) for notice in expected.notices]
    assert task.inputs.size("channel") == 3  # with the mask
    whole = npz_task(save(tmp_path / "b.npz", **of_series(train_lengths=np.full(40, 9))), input_size=None)
    assert whole.digest == npz_task(save(tmp_path / "c.npz", **of_series())).digest


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"train_lengths": np.full(40, 10)}, "from 1 to the 9 points of train_x, got 10 for series 0"),
        ({"train_lengths": np.arange(40) % 9}, "from 1 to the 9 points of train_x, got 0 for series 0"),
        ({"train_lengths": np.full(39, 9)}, r"integers \[40\], the points of each series, got int64 \[39\]"),
        ({"train_lengths": np.full(40, 9.0)}, r"integers \[40\], .* got float64 \[40\]"),
        ({"test_lengths": np.full(4, 9)}, "test_lengths are given without test_x"),
        ({"lengths": np.full(40, 9)}, "are train_lengths and test_lengths, one for each series, got 'lengths'; rename"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(tmp_path, more, message):
    with pytest.raises(TaskError, match=message):
        npz_task(save(tmp_path / "a.npz", **of_series(**more)))


def test_lengths_of_images_are_refused(tmp_path):
    with pytest.raises(TaskError, match=r"train_lengths is for series .* got uint8 \[40, 8, 8, 3\]"):
        npz_task(save(tmp_path / "a.npz", **arrays(), train_lengths=np.full(40, 8)))
