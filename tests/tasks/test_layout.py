"""Layouts of folders: which are understood, which are refused, and what is said of what was passed over."""

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from eenas.errors import TaskError
from eenas.tasks.images.folder import folder_task
from eenas.tasks.images.picture import image_endings
from eenas.tasks.spec import TaskSpec
from tests.tasks.test_folder import fill


def said(task):
    return " | ".join(task.notices)


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize("other", ["val", "Valid", "validation", "test", "Testing"])
def test_two_split_folders_are_train_and_test(tmp_path, train, other):
    fill(tmp_path / "pets" / train)
    fill(tmp_path / "pets" / other, count=3, seed=1)
    task = folder_task(tmp_path / "pets")
    assert task.classes == ("cat", "owl")
    assert [split.source for split in task.splits] == ["train", "train", "train", "test"]
    assert f"splits: train 12, calibration 2, validation 2 from {train}/; test 6 from {other}/" in said(task)


def test_three_split_folders_are_three_sources(tmp_path):
    for name, count in (("training", 8), ("val", 5), ("test", 3)):
        fill(tmp_path / name, count=count, seed=count)
    task = folder_task(tmp_path)
    assert "splits: train 16 from training/; calibration 4, validation 6 from val/; test 6 from test/" in said(task)
    rows = np.concatenate([task.calibration.rows, task.validation.rows])
    assert np.array_equal(np.sort(rows), np.arange(10))


def test_a_picture_and_junk_beside_the_class_folders_change_nothing(tmp_path):
    root = fill(tmp_path / "pets" / "train").parent
    fill(root / "test", count=3)
    before = folder_task(root).digest
    Image.new("RGB", (8, 8)).save(root / "train" / "sample.png")
    Image.new("RGB", (8, 8)).save(root / "overview.jpg")
    (root / "labels").mkdir()
    (root / "labels" / "a.xml").write_text("")
    (root / "train" / ".DS_Store").write_bytes(b"")
    (root / "train" / "Thumbs.db").write_bytes(b"")
    (root / "__MACOSX" / "train").mkdir(parents=True)
    (root / "train" / ".ipynb_checkpoints").mkdir()
    task = folder_task(root)
    assert task.digest == before
    assert "1 picture beside the class folders of train/ skipped: they have no class" in said(task)


def test_test_pictures_without_labels_are_passed_over(tmp_path):
    fill(tmp_path / "train")
    (tmp_path / "test").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "test" / "1.png")
    task = folder_task(tmp_path)
    assert task.test.source == "train"
    assert "test/ is skipped: without class folders it has no labels" in said(task)


@pytest.mark.parametrize("names", [("fold1", "fold2", "fold3"), ("Apr", "May"), ("entrainement", "essai")])
def test_folders_that_all_hold_the_same_folders_are_refused(tmp_path, names):
    for name in names:
        fill(tmp_path / name)
    with pytest.raises(TaskError, match=r"all hold the same folders .*give PATH/CLASS.*PATH/train/CLASS"):
        folder_task(tmp_path)


def test_other_unclear_layouts_are_refused(tmp_path):
    fill(tmp_path / "set" / "pets")
    with pytest.raises(TaskError, match=r"only one folder, 'pets'; if the classes are in it, give folder:.*/pets"):
        folder_task(tmp_path / "set")
    for name in ("Train", "training"):
        fill(tmp_path / "twice" / name)
    with pytest.raises(TaskError, match="Train/ and training/ both hold train data; keep one"):
        folder_task(tmp_path / "twice")


def test_classes_whose_pictures_lie_in_one_folder_each_are_classes(tmp_path):
    for name in ("cat", "owl"):
        fill(tmp_path / name, classes=("images",))
    assert folder_task(tmp_path).classes == ("cat", "owl")


def test_every_ending_of_pillow_is_read_and_others_are_counted(tmp_path):
    root = fill(tmp_path / "pets")
    image = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    for name, kind in (("a.jfif", "JPEG"), ("b.JPE", "JPEG"), ("c.webp", "WEBP"), ("d.tga", "TGA"), ("e.qoi", "QOI")):
        image.save(root / "cat" / name, format=kind)
    for name in ("1.txt", "2.txt", "3.svg", "README", "list.pdf"):
        (root / "owl" / name).write_text("")
    task = folder_task(root)
    assert sum(map(len, task.splits)) == 16 + 5
    assert "the extension is not that of an image: 2 .txt, 1 " in said(task)
    assert "1 without extension" in said(task)
    assert {".avif", ".jp2", ".jfif"} <= set(image_endings())
    assert not {".eps", ".mpg", ".h5"} & set(image_endings())


def test_links_pipes_and_folders_called_like_pictures(tmp_path):
    root = fill(tmp_path / "pets")
    os.mkfifo(root / "cat" / "pipe.png")
    (root / "cat" / "folder.png").mkdir()
    Image.new("RGB", (8, 8)).save(root / "cat" / "folder.png" / "inside.png")
    fill(tmp_path / "more", classes=("elsewhere",), count=2)
    (root / "cat" / "linked").symlink_to(tmp_path / "more" / "elsewhere")
    (root / "cat" / "up").symlink_to(root)
    (root / "cat" / "further").symlink_to(tmp_path)
    (root / "cat" / "round").symlink_to(root / "cat")
    task = folder_task(root)
    assert "1 pipes, sockets or devices" in said(task)
    counts = sum(np.bincount(split.labels, minlength=2) for split in task.splits)
    assert counts.tolist() == [8 + 1 + 2, 8], "what lies up a link is of other classes, too"
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    with pytest.raises(TaskError, match=r"cat/gone\.png: .*no such file"):
        folder_task(root)


@pytest.mark.parametrize("target", ["dog", "dog/inner"])
def test_a_link_to_the_pictures_of_another_class_is_refused(tmp_path, target):
    """They would have both labels."""
    root = fill(tmp_path / "pets", classes=("cat", "dog"))
    fill(root / "dog", classes=("inner",), count=2)
    (root / "cat" / "more").symlink_to(root / target)
    match = r"is also a folder of the class .*(cat|dog); remove one of the two links"
    with pytest.raises(TaskError, match=match):
        folder_task(root)


def test_a_folder_that_two_classes_link_to_is_refused(tmp_path):
    root = fill(tmp_path / "pets", classes=("cat", "dog"))
    fill(tmp_path, classes=("elsewhere",), count=2)
    for name in ("cat", "dog"):
        (root / name / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TaskError, match=r"dog/more: is also a folder of the class .*cat; remove"):
        folder_task(root)


def test_a_class_that_is_a_link_to_another_is_refused(tmp_path):
    root = fill(tmp_path / "pets", classes=("cat", "dog"))
    (root / "both").symlink_to(root / "cat")
    with pytest.raises(TaskError, match=r"the class folders 'both' and 'cat' are the same folder; remove the link"):
        folder_task(root)


def test_links_that_lead_to_themselves(tmp_path):
    """As a picture one is a bad one, and no folder at all as a folder."""
    root = fill(tmp_path / "pets", classes=("cat", "dog"))
    (root / "folder").symlink_to("folder")
    (root / "cat" / "inner").symlink_to("inner")
    (root / "beside.png").symlink_to("beside.png")
    whole = len(folder_task(root).train)
    (root / "cat" / "self.png").symlink_to("self.png")
    with pytest.raises(TaskError, match=r"self\.png: .*Too many levels of symbolic links.*; replace or remove it, or"):
        folder_task(root)
    task = folder_task(root, spec=TaskSpec(spec=f"folder:{root}", skip_bad=True))
    assert task.left_out == ("cat/self.png",)
    assert len(task.train) == whole


def test_folders_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    root, real = fill(tmp_path / "pets" / "train"), os.scandir
    Image.new("RGB", (8, 8)).save(root / "sample.png")
    for closed in (root, root / "cat"):

        def scandir(path, closed=closed):
            if os.fspath(path) == str(closed):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path)

        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", scandir)
            with pytest.raises(TaskError, match=rf"{closed.name}: the folder cannot be read \(Permission denied\)"):
                folder_task(tmp_path / "pets")


def test_names_of_other_systems(tmp_path):
    """Composed and separate accents are one name; bytes that are not UTF-8 and control characters are shown."""
    composed, separate = unicodedata.normalize("NFC", "caf\u00e9"), unicodedata.normalize("NFD", "caf\u00e9")
    odd = (os.fsdecode(b"na\xefve"), "a\x1b[31mb", "[cat]")
    fill(tmp_path / "one" / "train", classes=(composed, *odd))
    fill(tmp_path / "one" / "test", classes=(separate, *odd), count=3, seed=1)
    task = folder_task(tmp_path / "one")
    assert task.classes == tuple(sorted((composed, "na\\xefve", "a\\x1b[31mb", "[cat]")))
    os.rename(tmp_path / "one" / "train" / composed, tmp_path / "one" / "train" / separate)
    assert folder_task(tmp_path / "one").digest == task.digest
    fill(tmp_path / "two", classes=(composed, separate))
    with pytest.raises(TaskError, match="two class folders are called"):
        folder_task(tmp_path / "two")
