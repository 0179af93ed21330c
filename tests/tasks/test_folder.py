"""Class folders: how they are found, decoded and refused."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from eenas.errors import TaskError
from eenas.tasks.images import pixels
from eenas.tasks.images.folder import folder_task
from eenas.tasks.images.frame import Frame
from eenas.tasks.images.image_files import FilePixels, read_headers
from eenas.tasks.spec import TaskSpec


def fill(root, classes=("cat", "owl"), count=8, mode="RGB", ending="png", seed=0):
    generator = np.random.default_rng(seed)
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(generator.integers(0, 256, (12, 10, 3), dtype=np.uint8))
            image.convert(mode).save(root / name / f"{number:02d}.{ending}")
    return root


def pixels_of(root, *files):
    return FilePixels(root, files, read_headers(files))


@pytest.fixture
def pool(tmp_path):
    return fill(tmp_path / "pets")


@pytest.fixture
def both(tmp_path):
    fill(tmp_path / "pets" / "train")
    fill(tmp_path / "pets" / "test", count=3, seed=1)
    return tmp_path / "pets"


def test_one_pool_gives_four_splits_of_the_decoded_images(pool):
    task = folder_task(pool)
    assert (task.name, task.classes, task.input_size, task.channels, task.flip) == (
        "pets",
        ("cat", "owl"),
        None,
        3,
        True,
    )
    files = sorted(pool.rglob("*.png"))
    for split in (task.train, task.calibration, task.validation, task.test):
        shown = split.images(10, 3)[np.arange(len(split))].numpy()
        for image, label, row in zip(shown, split.labels, split.rows, strict=True):
            assert files[row].parent.name == task.classes[label]
            assert np.array_equal(image, np.moveaxis(np.asarray(Image.open(files[row]))[1:11], 2, 0))


def test_train_and_test_folders_are_two_sources(both):
    task = folder_task(both)
    assert (task.train.source, task.test.source, len(task.test)) == ("train", "test", 6)
    row = int(task.test.rows[0])
    image = np.asarray(Image.open(sorted((both / "test").rglob("*.png"))[row]))[1:11]
    assert np.array_equal(task.test.images(10, 3)[np.array([0])][0].numpy(), np.moveaxis(image, 2, 0))


def test_resizing_is_pillows_and_keeping_changes_nothing(pool, monkeypatch):
    everything = np.arange(9)
    kept = folder_task(pool).train.images(6, 3)
    monkeypatch.setattr(pixels, "KEEP_BYTES", 0)
    anew = folder_task(pool).train.images(6, 3)
    assert torch.equal(kept[everything], anew[everything])
    assert torch.equal(kept[everything[::-1].copy()], anew[everything[::-1].copy()])
    row = folder_task(pool).train.rows[0]
    file = sorted(pool.rglob("*.png"))[row]
    slow = Image.open(file).crop((0, 1, 10, 11)).resize((6, 6), Image.Resampling.BILINEAR)
    assert np.array_equal(kept[everything[:1]][0].numpy(), np.moveaxis(np.asarray(slow), 2, 0))


def test_the_task_itself_has_no_size_until_one_is_given(pool):
    with pytest.raises(TaskError, match=r"no size of their own; .*task\.input_size=224"):
        folder_task(pool).train.images(None, 3)
    sized = folder_task(pool, input_size=7)
    assert sized.input_size == 7
    assert sized.train.images(None, 3)[np.array([0])].shape == (1, 3, 7, 7)


def test_grey_folders_have_one_channel_and_are_not_flipped(tmp_path):
    task = folder_task(fill(tmp_path / "grey", mode="L"))
    assert (task.channels, task.flip) == (1, False)
    assert task.train.images(10, 3)[np.array([0, 1])].shape == (2, 3, 10, 10)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_modes_of_pillow_become_bytes(tmp_path, mode):
    levels = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)
    if mode == "I;16":
        image = Image.fromarray((levels.astype(np.uint16) << 8) + 7)
    else:
        image = Image.fromarray(np.stack([levels] * 3, axis=2)).convert(mode)
    file = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image.save(file)
    source = pixels_of(tmp_path, file)
    shown = source.read(np.array([0]), Frame(8, 8), 3)[0].float()
    assert source.channels == (1 if mode in ("1", "L", "LA", "I;16") else 3)
    if mode not in ("P", "CMYK"):
        assert torch.equal(source.read(np.array([0]), Frame(8, 8), 1)[0, 0].float(), shown.mean(dim=0).round())
    if mode not in ("1", "P"):
        assert (shown - torch.from_numpy(levels.astype(np.float32))).abs().max() <= 1


def test_large_jpegs_are_decoded_small_and_look_the_same(tmp_path):
    coarse = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((2560, 1920), Image.Resampling.BICUBIC)
    image.save(tmp_path / "large.jpg", quality=95)
    shown = pixels_of(tmp_path, tmp_path / "large.jpg").read(np.array([0]), Frame(32, 32), 3)[0]
    slow = np.asarray(image.crop((320, 0, 2240, 1920)).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(shown.numpy().astype(int) - np.moveaxis(slow, 2, 0)).mean() < 2


def test_the_digest_follows_names_and_content_but_not_the_place(pool, tmp_path):
    digest = folder_task(pool).digest
    moved = tmp_path / "elsewhere" / "animals"
    moved.parent.mkdir()
    os.rename(pool, moved)
    assert folder_task(moved).digest == digest
    Image.new("RGB", (12, 10)).save(moved / "cat" / "00.png")
    changed = folder_task(moved).digest
    os.rename(moved / "cat" / "00.png", moved / "cat" / "00b.png")
    assert len({digest, changed, folder_task(moved).digest}) == 3


def test_deeper_images_are_read_and_other_files_passed_over(pool):
    before = len(folder_task(pool).train)
    (pool / "cat" / "more").mkdir()
    os.rename(pool / "cat" / "00.png", pool / "cat" / "more" / "00.PNG")
    (pool / "cat" / "notes.txt").write_text("soft")
    (pool / "cat" / "._01.png").write_text("left by a copy")
    (pool / ".cache").mkdir()
    (pool / "cat" / "loop").symlink_to(pool / "cat")
    assert len(folder_task(pool).train) == before


def test_a_class_may_be_called_train(tmp_path):
    task = folder_task(fill(tmp_path / "vehicles", classes=("bus", "test", "train")))
    assert task.classes == ("bus", "test", "train")


def break_header(file):
    file.write_bytes(b"this is no image at all")


def empty(file):
    file.write_bytes(b"")


@pytest.mark.parametrize("spoil", [break_header, empty])
def test_a_corrupt_header_is_found_when_the_task_is_loaded(pool, spoil):
    spoil(pool / "owl" / "03.png")
    with pytest.raises(
        TaskError, match=r"owl/03\.png: a corrupt .*; replace .* --skip-bad of search, calibrate, export and verify\)$"
    ):
        folder_task(pool)
    spoil(pool / "owl" / "05.png")
    with pytest.raises(TaskError, match=r"^2 images cannot be read: .*owl/03\.png: .*owl/05\.png: "):
        folder_task(pool)


def test_a_class_whose_images_are_all_left_out_is_named_once_with_the_folder(pool):
    for file in (pool / "owl").iterdir():
        break_header(file)
    with pytest.raises(TaskError) as caught:
        folder_task(pool, spec=TaskSpec(spec=f"folder:{pool}", skip_bad=True))
    wanted = "the train source has no sample of class 'owl'; add samples of every class to it"
    assert str(caught.value) == f"{pool}: {wanted}"


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_truncated_image_is_found_when_it_is_decoded(tmp_path, ending):
    pets = fill(tmp_path / "pets", ending=ending)
    file = pets / "cat" / f"00.{ending}"
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    task = folder_task(pets)
    splits = (task.train, task.calibration, task.validation, task.test)
    split = next(split for split in splits if 0 in split.rows)
    source = split.images(8, 3)
    with pytest.raises(TaskError, match=rf"cat/00\.{ending}: a corrupt image") as caught:
        source[np.arange(len(split))]
    assert "\n" not in str(caught.value)
    others = np.flatnonzero(split.rows != 0)
    assert len(source[others]) == len(others)


def test_floating_point_images_are_refused(pool):
    Image.fromarray(np.zeros((8, 8), np.float32)).save(pool / "owl" / "deep.tif")
    with pytest.raises(TaskError, match=r"owl/deep\.tif: an image of floats"):
        folder_task(pool)


def test_missing_empty_and_wrong_places_are_refused(tmp_path):
    with pytest.raises(TaskError, match="nowhere: no such folder"):
        folder_task(tmp_path / "nowhere")
    with pytest.raises(TaskError, match="holds no class folders"):
        folder_task(tmp_path)
    (tmp_path / "file.npz").write_bytes(b"")
    with pytest.raises(TaskError, match=r"file\.npz: a file, not a folder; npz:PATH"):
        folder_task(tmp_path / "file.npz")


def test_one_class_only_is_refused(tmp_path):
    with pytest.raises(TaskError, match="at least two classes, got only 'cat'"):
        folder_task(fill(tmp_path / "pets", classes=("cat",)))


def test_an_empty_class_folder_is_refused(pool):
    (pool / "wolf").mkdir()
    with pytest.raises(TaskError, match=r"wolf: the class folder holds no image"):
        folder_task(pool)


def test_classes_that_differ_between_train_and_test_are_refused(both):
    os.rename(both / "test" / "owl", both / "test" / "wolf")
    with pytest.raises(TaskError, match="only train has 'owl' and only test has 'wolf'"):
        folder_task(both)


def test_folders_beside_train_and_a_lonely_test_are_refused(both):
    fill(both / "more", count=2)
    with pytest.raises(TaskError, match=r"beside train/ only val/ and test/ are read, got 'more'.*PATH/train/CLASS"):
        folder_task(both)
    os.rename(both / "train", both.parent / "train")
    with pytest.raises(TaskError, match=r"holds test/ with class folders but no train/ with class folders"):
        folder_task(both)


def test_too_few_images_name_the_folder(tmp_path):
    with pytest.raises(TaskError, match=r"pets: class 'cat' has 4 samples in the train source"):
        folder_task(fill(tmp_path / "pets", count=4))
