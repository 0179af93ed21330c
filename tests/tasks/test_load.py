"""Tasks by name: the kinds, paths beside a file, functions of the user, refusals."""

import numpy as np
import pytest
from PIL import Image

from eenas.errors import EenasError, PluginError, TaskError
from eenas.tasks.images.image_input import image_input
from eenas.tasks.load import given_task, load_task
from eenas.tasks.spec import SplitSpec, SplitsSpec, TaskSpec

CODE = """
import numpy as np
from eenas.errors import TaskError
from eenas.tasks.task import Task

X = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
Y = np.tile(np.arange(2), 20)

def plain():
    return Task.from_arrays("plain", X, Y)

def adaptable(splits=None, input_size=None):
    return Task.from_arrays("adaptable", X, Y, splits=splits, input_size=input_size)

def nothing():
    return None

def broken():
    raise ValueError("no such file\\nand more of it")

def refusing():
    raise TaskError("no data today")
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path


def load(name, folder, **options):
    return load_task(TaskSpec(spec=f"./mine.py:{name}", **options), trust_code=True, relative_to=folder)


def test_digits_are_the_default():
    task = load_task(TaskSpec())
    assert (task.name, task.num_classes, task.input_size, task.channels, task.flip) == ("digits", 10, 32, 1, False)
    assert [len(split) for split in (task.train, task.calibration, task.validation, task.test)] == [1077, 180, 270, 270]
    images = task.train.images(None, 3)[np.arange(4)]
    assert images.shape == (4, 3, 32, 32)
    own = task.train.images(8, 1)[np.arange(len(task.train))]
    assert (int(own.min()), int(own.max())) == (0, 255)
    assert load_task("digits").digest == task.digest
    changed = load_task(TaskSpec(input_size=28, flip=True))
    assert (changed.input_size, changed.flip) == (28, True)
    assert changed.digest != task.digest


def test_paths_are_looked_for_beside_the_file_that_names_them_and_then_here(tmp_path, monkeypatch):
    values = np.zeros((40, 8, 8), np.uint8), np.tile(np.arange(2), 20)
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "a.npz", train_x=values[0], train_y=values[1])
    assert load_task("npz:a.npz", relative_to=tmp_path / "data").name == "a"
    monkeypatch.chdir(tmp_path)
    assert load_task("npz:data/a.npz", relative_to=tmp_path / "data").name == "a"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_task("npz:~/data/a.npz").name == "a"
    with pytest.raises(TaskError, match=r"unknown task 'data/a\.npz'; npz:data/a\.npz reads arrays"):
        load_task("data/a.npz")
    with pytest.raises(TaskError, match="unknown task 'data'; folder:data reads class folders"):
        load_task("data")
    with pytest.raises(TaskError, match="folder, not a"):
        load_task("npz:data")


def test_functions_of_the_user_run_only_when_trusted(code):
    assert load("plain", code).name == "plain"
    with pytest.raises(PluginError, match="--trust-code"):
        load_task("./mine.py:plain", relative_to=code)


def test_functions_get_the_splits_and_the_size_they_ask_for(code):
    splits = SplitsSpec(test=SplitSpec(source="train", size=12), seed=4)
    task = load("adaptable", code, splits=splits, input_size=16)
    assert (len(task.test), task.input_size) == (12, 16)
    with pytest.raises(TaskError, match=r"\[task\.splits\] would be ignored"):
        load("plain", code, splits=splits)
    plain = load("plain", code)
    sized = load("plain", code, input_size=16, flip=False)
    assert (sized.input_size, sized.flip, plain.input_size, plain.flip) == (16, False, 8, True)
    assert sized.digest != plain.digest
    assert load("plain", code, input_size=8, flip=True).digest == plain.digest


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "must return an eenas Task .*got NoneType"),
        ("broken", "failed: ValueError: no such file$"),
        ("refusing", "^no data today$"),
        ("X", "is ndarray, not a function"),
    ],
)
def test_functions_that_give_no_task_are_refused(code, name, message):
    with pytest.raises(TaskError, match=message):
        load(name, code)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nodes:a.npz", r"'nodes:a\.npz': a search classifies whole samples; nodes of one graph"),
        ("digit", "unknown task 'digit'; nearest: 'digits'; give digits, waves, phrases, rings, folder:PATH"),
        ("fodler:x/y", "nearest: 'folder'"),
        ("imagenet", "unknown task 'imagenet'; give digits, waves, phrases, rings, folder:PATH, webdataset:PATH"),
        ("x" * 5000, "unknown task"),
        ("npz:" + "x" * 5000, "no such file"),
        ("folder:~nobody_at_all/x", "no such folder"),
        ("folder:", "names no path; give folder:PATH"),
        ("graphs", "the task 'graphs' names no path; give graphs:PATH"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, message):
    with pytest.raises(TaskError, match=message):
        load_task(name)


def test_data_for_a_network_that_is_there_are_scaled_by_its_white_and_not_their_own(tmp_path):
    for name in ("cat", "owl"):
        (tmp_path / name).mkdir()
        for number in range(8):
            levels = np.linspace(0, 4095, 64).round().astype(np.uint16).reshape(8, 8)
            Image.fromarray(np.roll(levels, number)).save(tmp_path / name / f"{number}.png")
    spec = f"folder:{tmp_path}"
    assert load_task(spec).white == 4095
    assert given_task(spec, image_input(None, white=1023)).white == 1023
    assert given_task(spec).white == 65535
    task = load_task("digits")
    assert given_task(task) is task
    assert given_task("digits", image_input(None, white=1023)).digest == task.digest
    with pytest.raises(TaskError, match="skip_bad is for data given by name \\(folder:PATH\\)"):
        given_task(task, skip_bad=True)
    with pytest.raises(TaskError, match=r"task\.skip_bad is for folder:PATH, but the task is 'digits'"):
        given_task("digits", skip_bad=True)


def test_a_misspelt_kind_of_data_is_no_code_of_the_user(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(TaskError, match=r"unknown task 'foldr:photos'; nearest: 'folder'"):
        load_task(TaskSpec(spec="foldr:photos"))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "text_tasks.py").write_text("")
    for reference in ("foldr:absent", "text_tasks:photos"):
        with pytest.raises(EenasError, match="--trust-code"):
            load_task(TaskSpec(spec=reference))
