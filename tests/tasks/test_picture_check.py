"""The check of every picture before training: what it finds, what it leaves out, and what it keeps."""

import os

import numpy as np
import pytest
from PIL import Image

from eenas.errors import TaskError
from eenas.progress import Advanced, Finished
from eenas.tasks.images import picture_check
from eenas.tasks.images.folder import folder_task
from eenas.tasks.images.picture_check import check_pictures
from eenas.tasks.load import load_task
from eenas.tasks.spec import TaskSpec
from tests.tasks.test_folder import fill


@pytest.fixture
def pets(tmp_path):
    root = tmp_path / "pets"
    fill(root / "train")
    fill(root / "test", count=3, seed=1)
    return root


def truncate(file):
    file.write_bytes(file.read_bytes()[:250])


def test_bad_pictures_of_every_split_are_named_before_training(pets):
    truncate(pets / "test" / "owl" / "01.png")
    task = folder_task(pets)
    events = []
    with pytest.raises(TaskError, match=r"test/owl/01\.png: .*image file is truncated\); replace .*--skip-bad"):
        check_pictures(task, events.append)
    assert [event.done for event in events if isinstance(event, Advanced)][-1] == 22
    assert "1 of them bad" in next(event.detail for event in events if isinstance(event, Finished))
    for number in range(4):
        truncate(pets / "train" / "cat" / f"0{number}.png")
    with pytest.raises(TaskError, match=r"^5 images cannot be read: .* and 2 more; replace or remove them, "):
        check_pictures(folder_task(pets), events.append)


def test_a_good_picture_is_decoded_once_and_again_when_it_changed(pets, monkeypatch):
    decoded = []
    monkeypatch.setattr(picture_check, "_decoded", lambda file: decoded.append(file.name) or -1)
    check_pictures(folder_task(pets), print)
    assert len(decoded) == 22
    decoded.clear()
    check_pictures(folder_task(pets), print)
    assert decoded == []
    Image.new("RGB", (9, 9)).save(pets / "train" / "cat" / "02.png")
    os.utime(pets / "train" / "cat" / "05.png", ns=(1, 1))
    check_pictures(folder_task(pets), print)
    assert decoded == ["02.png", "05.png"]


def test_a_cache_that_cannot_be_read_or_written_costs_time_only(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("EENAS_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    check_pictures(folder_task(pets), print)
    monkeypatch.setenv("EENAS_CACHE", str(tmp_path / "cache"))
    check_pictures(folder_task(pets), print)
    whole = {file: file.read_bytes() for file in (tmp_path / "cache").iterdir()}
    assert len(whole) == 2
    for file, content in whole.items():
        lying = content.replace(f"({(len(content) - 128) // 16},)".encode(), b"(%d,)" % 10**13)
        assert lying != content
        for damaged in (b"damaged", b"", b"PK\x03\x04", content[:90], content[:-5], lying):
            file.write_bytes(damaged)
            check_pictures(folder_task(pets), print)
            assert file.read_bytes() == content


def test_bad_pictures_are_left_out_on_request_and_the_list_does_the_same(pets):
    truncate(pets / "test" / "owl" / "01.png")
    (pets / "train" / "cat" / "03.png").write_bytes(b"no picture")
    task = load_task(TaskSpec(spec=f"folder:{pets}", skip_bad=True))
    assert task.left_out == ("train/cat/03.png", "test/owl/01.png")
    assert sum(map(len, task.splits)) == 20
    check_pictures(task, print)
    listed = load_task(TaskSpec(spec=f"folder:{pets}", without=task.left_out))
    assert (listed.digest, listed.left_out) == (task.digest, task.left_out)
    fill(pets / "other", count=1)  # a repaired picture stays out
    (pets / "other" / "cat" / "00.png").rename(pets / "train" / "cat" / "03.png")
    (pets / "other" / "owl" / "00.png").unlink()
    assert load_task(TaskSpec(spec=f"folder:{pets}", without=task.left_out)).digest == task.digest


@pytest.mark.parametrize(("bits", "white"), [(12, 4095), (16, 65535), (8, 255), (10, 1023)])
def test_deep_pictures_are_scaled_by_what_the_source_holds(tmp_path, bits, white):
    top = (1 << bits) - 1
    for name in ("cat", "owl"):
        (tmp_path / name).mkdir()
        for number in range(8):
            levels = np.linspace(0, top, 64).round().astype(np.uint16).reshape(8, 8)
            Image.fromarray(np.roll(levels, number)).save(tmp_path / name / f"{number}.png")
    task = folder_task(tmp_path)
    assert task.white == white
    assert task.train.images(8, 1)[np.arange(2)].max() == 255
    assert f"16 images have more than 8 bits a channel: {white:,} becomes white" in " ".join(task.notices)
    asked = folder_task(tmp_path, spec=TaskSpec(white=65535))
    assert asked.white == 65535
    assert asked.digest == task.digest or bits != 16


def test_deep_pictures_that_cannot_be_scaled_are_refused(tmp_path):
    root = fill(tmp_path / "pets")
    Image.fromarray(np.full((8, 8), -3, np.int32)).save(root / "cat" / "deep.tif")
    with pytest.raises(TaskError, match=r"cat/deep\.tif: holds values below 0") as error:
        folder_task(root)
    assert str(error.value).count("deep.tif") == 1


def test_keys_of_other_tasks_are_refused():
    for key, value in (("white", 4095), ("skip_bad", True), ("without", ("a",)), ("layout", "NCHW")):
        with pytest.raises(TaskError, match=rf"task\.{key} is for .*:PATH, but the task is 'digits'"):
            load_task(TaskSpec(**{key: value}))
