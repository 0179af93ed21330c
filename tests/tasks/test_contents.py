"""What changed of a task's data: counts and names, and whether it is the test split alone."""

import numpy as np
import pytest
from PIL import Image

from eenas.errors import TaskError
from eenas.tasks.contents import Contents, compare, only_test
from eenas.tasks.images.folder import folder_task
from eenas.tasks.task import Task
from tests.tasks.test_folder import fill


def test_files_added_removed_and_changed_are_named(tmp_path):
    root = tmp_path / "pets"
    fill(root / "train")
    fill(root / "test", count=3, seed=1)
    before = Contents.from_bytes(Contents.of(folder_task(root)).to_bytes())
    assert not compare(before, Contents.of(folder_task(root)))
    Image.new("RGB", (9, 9)).save(root / "test" / "cat" / "01.png")
    changes = compare(before, Contents.of(folder_task(root)))
    assert changes.words() == "test source: 1 changed (test/cat/01.png)"
    assert only_test(folder_task(root), changes)
    (root / "test" / "owl" / "00.png").unlink()
    assert only_test(folder_task(root), compare(before, Contents.of(folder_task(root))))
    Image.new("RGB", (9, 9)).save(root / "train" / "cat" / "new.png")
    changes = compare(before, Contents.of(folder_task(root)))
    assert changes.words().startswith("train source: 1 added (train/cat/new.png); test source: 1 removed")
    assert changes.added == ("train/cat/new.png",)
    assert not only_test(folder_task(root), changes)


def test_a_changed_picture_counts_by_its_split_where_one_source_feeds_all(tmp_path):
    root = fill(tmp_path / "pets")
    task = folder_task(root)
    before = Contents.of(task)
    for split in ("train", "test"):
        file = root / task.train.samples.names[int(task.split(split).rows[0])]
        kept = file.read_bytes()
        Image.new("RGB", (9, 9)).save(file)
        assert only_test(folder_task(root), compare(before, Contents.of(folder_task(root)))) == (split == "test")
        file.write_bytes(kept)


def test_arrays_labels_and_settings():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(40) % 2
    before = Contents.of(Task.from_arrays("a", images, labels))
    other = images.copy()
    other[3] = 0
    swapped = labels.copy()
    swapped[[4, 5]] = swapped[[5, 4]]
    assert compare(before, Contents.of(Task.from_arrays("a", other, labels))).words() == (
        "train source: 1 changed (train_x[3])"
    )
    found = compare(before, Contents.of(Task.from_arrays("a", images, swapped)))
    assert found.sources["train"].changed[:2] == ("train_x[4]", "train_x[5]")
    found = compare(before, Contents.of(Task.from_arrays("a", images, labels, flip=False, input_size=(8, 16))))
    assert found.words() == "input_size was 8, is [8, 16]; flip was True, is False"


def test_a_setting_that_changed_beside_the_test_split_is_no_change_of_the_test_split_alone():
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(40) % 2
    given = images[:40], labels, images[40:], labels[:20]
    before = Contents.of(Task.from_arrays("a", *given))
    other = images[40:].copy()
    other[3] = 0
    for options, alone in (({}, True), ({"flip": False}, False), ({"fit": "pad"}, False)):
        task = Task.from_arrays("a", *given[:2], other, given[3], **options)
        changes = compare(before, Contents.of(task))
        assert changes.words().startswith("test source: 1 changed (test_x[3])")
        assert only_test(task, changes) == alone
    assert changes.words().endswith("; fit was crop, is pad")


@pytest.mark.parametrize("data", [b"", b"nonsense", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_a_damaged_record_is_refused(data):
    with pytest.raises(TaskError, match="record of the data cannot be read"):
        Contents.from_bytes(data)
