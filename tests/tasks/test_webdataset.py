"""WebDatasets: the task of tar files has the samples of their members, and bad members are named."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from eenas.errors import TaskError
from eenas.tasks.images.tar_shard import TarShard
from eenas.tasks.load import load_task


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("EENAS_CACHE", str(place))
    return place


def png(seed, *, deep=False):
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    image = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 256 + 1) if deep else Image.fromarray(pixels)
    image.save(stream, "PNG")
    return stream.getvalue()


def write(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def members(numbers, names=None):
    for number in numbers:
        yield f"some/{number:04d}.png", png(number)
        if names:
            yield f"some/{number:04d}.json", json.dumps({"label": names[number % 2], "other": [1]}).encode()
        else:
            yield f"some/{number:04d}.cls", f"{number % 2}\n".encode()


def test_the_samples_are_those_of_the_members_in_order(tmp_path):
    for shard in range(3):
        write(tmp_path / f"train-{shard:03d}.tar", members(range(40 * shard, 40 * shard + 40)))
    write(tmp_path / "val-000.tar", members(range(200, 240)))
    write(tmp_path / "test-000.tar", members(range(300, 340)))
    task = load_task(f"webdataset:{tmp_path}")
    assert task.classes == ("0", "1")
    assert [(split.source, len(split)) for split in task.splits] == [
        ("train", 120),
        ("validation", 16),
        ("validation", 24),
        ("test", 40),
    ]
    wanted = [np.asarray(Image.open(io.BytesIO(png(300 + row)))).transpose(2, 0, 1) for row in task.test.rows]
    assert np.array_equal(task.test.images(8, 3)[np.arange(40)].numpy(), np.stack(wanted))
    assert task.test.labels.tolist() == [(300 + row) % 2 for row in task.test.rows]
    assert task.train.samples.names[41].endswith("train-001.tar: some/0041.png")
    starred = load_task(f"webdataset:{tmp_path}/train-*.tar")
    assert len(starred.train) == 72, "a train source alone is divided into four splits"
    assert load_task(f"webdataset:{tmp_path}/train-{{000..002}}.tar").digest == starred.digest
    assert load_task(f"webdataset:{tmp_path}/train-{{001..002}}.tar").digest != starred.digest


@pytest.mark.parametrize(
    ("names", "sources"),
    [
        (["training-0", "Testing-0"], ["train", "train", "train", "test"]),
        (["imagenet1k-train-0", "imagenet1k-validation-0"], ["train", "validation", "validation", "train"]),
        (["crash-test-train0", "crash-test-valid0"], ["train", "validation", "validation", "train"]),
        (["a", "b"], ["train"] * 4),
        (["test-0", "test-1"], ["train"] * 4),
    ],
)
def test_a_word_of_a_name_tells_the_source(tmp_path, names, sources):
    for number, name in enumerate(names):
        write(tmp_path / f"{name}.tar", members(range(60 * number, 60 * number + 60)))
    assert [split.source for split in load_task(f"webdataset:{tmp_path}").splits] == sources


@pytest.mark.parametrize(
    ("names", "match"),
    [(["train-0", "extra-0"], r"extra-0.tar names no source"), (["val-0", "test-0"], r"without train files")],
)
def test_names_that_do_not_tell_the_source_are_refused(tmp_path, names, match):
    for number, name in enumerate(names):
        write(tmp_path / f"{name}.tar", members(range(60 * number, 60 * number + 60)))
    with pytest.raises(TaskError, match=match):
        load_task(f"webdataset:{tmp_path}")


def test_names_of_classes_come_from_labels_or_a_file(tmp_path):
    write(tmp_path / "a.tar", members(range(60), names=["dog", "cat"]))
    assert load_task(f"webdataset:{tmp_path}").classes == ("cat", "dog")
    other = tmp_path / "other"
    other.mkdir()
    write(other / "a.tar", members(range(60)))
    (other / "classes.txt").write_text("zebra\nape\n")
    assert load_task(f"webdataset:{other}").classes == ("zebra", "ape")
    (other / "classes.txt").write_text("zebra\n")
    with pytest.raises(TaskError, match="1 names, but a label is 1"):
        load_task(f"webdataset:{other}")


def test_the_index_is_made_once(tmp_path, cache, monkeypatch):
    path = write(tmp_path / "a.tar", members(range(6)))
    first = TarShard.of(path)
    (kept,) = cache.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("eenas.tasks.images.tar_shard._read", None)
        assert np.array_equal(TarShard.of(path).rows, first.rows)
    kept.write_bytes(b"damaged")
    assert np.array_equal(TarShard.of(path).rows, first.rows)


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        ([("some/9.png", b"not a picture"), ("some/9.cls", b"1")], r"a.tar: some/9.png: .*replace or remove"),
        ([("some/9.png", png(9)[:-60]), ("some/9.cls", b"1")], r"a.tar: some/9.png: .*replace or remove"),
        ([("some/9.png", png(9))], r"some/9: the sample has no .cls or .json member"),
        ([("some/9.cls", b"1")], r"some/9: the sample has no image"),
        ([("some/9.png", png(9)), ("some/9.jpg", png(8)), ("some/9.cls", b"1")], r"9.jpg: its sample has two"),
        ([("some/9.png", png(9)), ("some/9.json", b"{")], r"9.json: not a label"),
        ([("some/9.png", png(9)), ("some/9.json", b"{}")], r"9.json: the label is None"),
        ([("some/9.png", png(9)), ("some/9.cls", b"\xff")], r"9.cls: not a label"),
        ([("some/9.png", png(9)), ("some/9.cls", b"99999")], r"number them from 0"),
        ([("some/9.png", png(9)), ("some/9.cls", b"9" * 5000)], r"9.cls: the label is .*5,000 long"),
        ([("some/9.png", png(9)), ("some/9.cls", b"a\x1b[31m\nb")], r"9.cls: the label is 'a.x1b\[31m.nb'; store"),
        ([("some/9.png", png(9, deep=True)), ("some/9.cls", b"1")], r"9.png: has more than 8 bits"),
    ],
)
def test_a_bad_member_is_named(tmp_path, extra, match):
    write(tmp_path / "a.tar", [*members(range(100, 160)), *extra])
    with pytest.raises(TaskError, match=match) as caught:
        load_task(f"webdataset:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_cut_off_or_packed_are_refused(tmp_path):
    with pytest.raises(TaskError, match="no tar file"):
        load_task(f"webdataset:{tmp_path}")
    with pytest.raises(TaskError, match=r"train-007.tar: no such file; correct the pattern"):
        load_task(f"webdataset:{tmp_path}/train-{{007..009}}.tar")
    with pytest.raises(TaskError, match="no such file"):
        load_task(f"webdataset:{tmp_path}/train-{{0..{'9' * 5000}}}.tar")
    path = write(tmp_path / "a.tar", members(range(60)))
    whole = path.read_bytes()
    for length in (600, 1000, len(whole) // 2, len(whole) // 4, 4 * 512 * 30):
        path.write_bytes(whole[:length])
        with pytest.raises(TaskError, match=r"a.tar: (some/\S+: )?(the tar file was cut off|not an uncompressed)"):
            load_task(f"webdataset:{tmp_path}")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(__file__, "x.png")
    with pytest.raises(TaskError, match="not an uncompressed tar file"):
        load_task(f"webdataset:{tmp_path}")
