"""`.ts` files through a stand-in of aeon's reader: pairs of files, classes by name, refusals."""

import sys
from types import ModuleType

import numpy as np
import pytest

from eenas.errors import TaskError
from eenas.tasks.load import load_task
from eenas.tasks.series.series_input import series_input
from eenas.tasks.spec import TaskSpec

NAMES = ["walk", "run"]


def content(count, length=12, classes=NAMES, seed=0):
    series = np.random.default_rng(seed).normal(size=(count, 3, length))
    return series, np.array([classes[k % len(classes)] for k in range(count)]), {"classlabel": True}


@pytest.fixture
def aeon(monkeypatch):
    """What the stand-in gives for each file name; an exception is raised."""
    held = {"Walk_TRAIN.ts": content(40), "Walk_TEST.ts": content(20, seed=1)}

    def load_from_ts_file(path, return_meta_data=False):
        found = held[path.rpartition("/")[2]]
        if isinstance(found, Exception):
            raise found
        assert return_meta_data
        return found

    package, datasets = ModuleType("aeon"), ModuleType("aeon.datasets")
    datasets.load_from_ts_file = load_from_ts_file
    monkeypatch.setitem(sys.modules, "aeon", package)
    monkeypatch.setitem(sys.modules, "aeon.datasets", datasets)
    return held


@pytest.fixture
def folder(tmp_path):
    for name in ("Walk_TRAIN.ts", "Walk_TEST.ts"):
        (tmp_path / name).write_text("@data")
    return tmp_path


@pytest.mark.parametrize("place", ["", "/Walk_TRAIN.ts"])
def test_a_pair_of_files(aeon, folder, place):
    task = load_task(f"ts:{folder}{place}")
    assert (task.name, task.classes, task.inputs) == ("Walk", ("run", "walk"), series_input(3, 12))
    assert (len(task.test), task.test.source) == (20, "test")
    first = aeon["Walk_TEST.ts"]
    assert task.test.labels.tolist() == [task.classes.index(name) for name in first[1]]
    np.testing.assert_array_equal(task.test.reader(task.inputs)[np.arange(20)].numpy(), first[0].astype(np.float32))


def test_one_file_is_divided(aeon, folder):
    (folder / "Walk_TEST.ts").unlink()
    assert {split.source for split in load_task(f"ts:{folder}/Walk_TRAIN.ts").splits} == {"train"}


@pytest.mark.parametrize(
    ("file", "held", "message"),
    [
        ("Walk_TRAIN.ts", ValueError("no header"), r"Walk_TRAIN.ts: aeon cannot read it .*no header"),
        ("Walk_TRAIN.ts", (*content(40)[:2], {"classlabel": False}), "eenas needs classes, got a file"),
        ("Walk_TRAIN.ts", (content(40)[0], np.array(["a"] * 39), {}), "needs a class for each series, got 39 for 40"),
        (
            "Walk_TRAIN.ts",
            ([np.ones((3 + k % 2, 9)) for k in range(40)], content(40)[1], {}),
            "Walk_TRAIN.ts: the file has series that differ in channels, from 3 to 4; give all the same",
        ),
        ("Walk_TEST.ts", (np.empty((0, 3, 0)), np.empty(0), {}), "Walk_TEST.ts: has no series; give a .ts file"),
        ("Walk_TEST.ts", content(20, classes=["walk", "fly"]), "Walk_TEST.ts: has the class 'fly', but"),
        ("Walk_TEST.ts", content(20, length=9), "test_x has series of 3 x 9, but train_x of 3 x 12"),
        ("Walk_TRAIN.ts", (np.full((40, 3, 12), np.nan), content(40)[1], {}), "a point in every series, got none"),
    ],
)  # fmt: skip
def test_files_that_hold_something_else_are_refused(aeon, folder, file, held, message):
    aeon[file] = held
    with pytest.raises(TaskError, match=message) as caught:
        load_task(f"ts:{folder}")
    assert "\n" not in str(caught.value)


def test_paths_that_name_no_pair_are_refused(aeon, folder):
    with pytest.raises(TaskError, match=r"no such file; ts:PATH takes a .ts file"):
        load_task(f"ts:{folder}/none.ts")
    (folder / "Other_TRAIN.ts").write_text("@data")
    with pytest.raises(TaskError, match=r"needs one file that ends in _TRAIN.ts, got Other_TRAIN.ts, Walk_TRAIN.ts"):
        load_task(f"ts:{folder}")
    with pytest.raises(TaskError, match=r"task.flip is for images"):
        load_task(TaskSpec(spec=f"ts:{folder}/Walk_TRAIN.ts", flip=True))


def test_of_several_pairs_a_folder_takes_that_of_its_name(aeon, folder):
    named = folder / "Walk"
    named.mkdir()
    for name in ("Walk_TRAIN.ts", "Walk_TEST.ts", "Walk_eq_TRAIN.ts", "Walk_eq_TEST.ts"):
        (named / name).write_text("@data")
    assert load_task(f"ts:{named}").name == "Walk"


def test_aeon_reads_a_real_file(tmp_path):
    pytest.importorskip("aeon", reason="aeon, the extra series, is not installed")
    rng = np.random.default_rng(0)
    lines = ["@problemName Walk", "@timestamps false", "@univariate false", "@dimensions 2", "@equalLength true"]
    lines += ["@seriesLength 12", "@classLabel true walk run", "@data"]
    series = rng.normal(size=(40, 2, 12)).astype(np.float32)
    for k, sample in enumerate(series):
        lines.append(":".join([",".join(f"{value:.9g}" for value in row) for row in sample] + [NAMES[k % 2]]))
    (tmp_path / "Walk_TRAIN.ts").write_text("\n".join(lines) + "\n")
    task = load_task(f"ts:{tmp_path}")
    assert (task.classes, task.inputs) == (("run", "walk"), series_input(2, 12))
    (tmp_path / "Walk_TRAIN.ts").write_text("\n".join([*lines, "1.0,oops:3"]) + "\n")
    with pytest.raises(TaskError, match="aeon cannot read it"):
        load_task(f"ts:{tmp_path}")


def test_without_aeon_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "aeon", None)
    monkeypatch.setitem(sys.modules, "aeon.datasets", None)
    with pytest.raises(TaskError, match=r"read by aeon, which is not installed; pip install 'eenas\[series\]'"):
        load_task(f"ts:{folder}")
    with pytest.raises(TaskError, match=r"ts:.*Walk_TRAIN.ts reads series"):
        load_task(f"{folder}/Walk_TRAIN.ts")
