"""Calibration and validation from the test source: nothing is lost, nothing is in two splits."""

import numpy as np
import pytest

from eenas.errors import TaskError
from eenas.tasks.held_out import from_test_source
from eenas.tasks.load import load_task
from eenas.tasks.spec import SplitSpec, SplitsSpec, TaskSpec
from eenas.tasks.task import Task

COUNTS = {"train": 100, "test": 80}


def arrays(counts=COUNTS, classes=4):
    generator = np.random.default_rng(0)
    found = {}
    for source, count in counts.items():
        found |= {f"{source}_x": generator.integers(0, 256, (count, 4, 4), np.uint8)}
        found |= {f"{source}_y": np.arange(count) % classes}
    return found


def make(splits=None, **options):
    return Task.from_arrays("task", **arrays(**options), splits=splits)


def test_the_test_source_is_divided_and_train_is_whole():
    task, moved = make(), from_test_source(make())
    assert {name: len(moved.split(name)) for name in ("train", "calibration", "validation", "test")} == {
        "train": 100,
        "calibration": 20,
        "validation": 20,
        "test": 40,
    }
    assert [moved.split(name).source for name in ("calibration", "validation", "test")] == ["test"] * 3
    assert moved.train.rows.tolist() == list(range(100))
    assert moved.train.labels.tolist() == (np.arange(100) % 4).tolist()
    rows = np.concatenate([moved.split(name).rows for name in ("calibration", "validation", "test")])
    assert sorted(rows) == list(range(80))
    for name in ("train", "calibration", "validation", "test"):
        split, images = moved.split(name), arrays()[f"{moved.split(name).source}_x"]
        np.testing.assert_array_equal(split.images(4, 1)[np.arange(len(split))][:, 0].numpy(), images[split.rows])
    assert moved.digest not in (task.digest, make(SplitsSpec(seed=1)).digest)
    assert moved.digest == from_test_source(make()).digest


def test_a_name_can_ask_for_it(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays())
    spec = f"npz:{tmp_path}/a.npz"
    assert load_task(TaskSpec(spec=spec, held_out="test")).digest == from_test_source(load_task(spec)).digest
    assert load_task(TaskSpec(spec=spec, held_out="train")).digest == load_task(spec).digest


@pytest.mark.parametrize(
    ("task", "match"),
    [
        (lambda: make(counts={"train": 100}), "has no test source to take calibration and validation from"),
        (lambda: make(SplitsSpec(test=SplitSpec(source="test", size=40))), "its splits were chosen already"),
        (lambda: make(counts={"train": 100, "test": 8}), r"class '0' has 2 samples in the test source"),
    ],
)
def test_what_cannot_be_divided_is_refused(task, match):
    with pytest.raises(TaskError, match=match):
        from_test_source(task())


def test_two_words_on_one_thing_are_refused():
    with pytest.raises(TaskError, match=r'held_out = "test" contradicts \[task.splits\]'):
        TaskSpec(held_out="test", splits=SplitsSpec(train=SplitSpec(source="train")))


def test_splits_of_two_sources_are_not_joined():
    task = make()
    with pytest.raises(TaskError, match="only splits of the same source can be joined"):
        task.train.joined((task.test,))
