"""Distorted counterparts of splits: deterministic, balanced over contexts, made on the fly or read from CIFAR-10-C."""

import os
import shutil

import numpy as np
import pytest
import torch

from eenas.errors import SpecError, TaskError
from eenas.specs import from_table, to_table
from eenas.tasks.contents import Contents
from eenas.tasks.distortions.contexts import CLEAN, context_of, kind_of, severity_of
from eenas.tasks.distortions.distorted_images import DistortedImages
from eenas.tasks.distortions.distortion import distort_each
from eenas.tasks.distortions.spec import KINDS, DistortionsSpec
from eenas.tasks.distortions.strengths import SEVERITIES
from eenas.tasks.held_out import from_test_source
from eenas.tasks.images.image_input import image_input
from eenas.tasks.load import load_task, with_distortions
from eenas.tasks.spec import TaskSpec
from eenas.tasks.task import Task
from eenas.testing.smallest import smallest_task

SPEC = DistortionsSpec(kinds=("gaussian_blur", "gaussian_noise"), severities=(1, 5))


def every(split, inputs):
    return split.reader(inputs)[np.arange(len(split))]


def arrays(channels=3, train=60, test=48, size=8):
    """A task with a test source, held out from it."""
    generator = np.random.default_rng(0)
    images = {name: generator.integers(0, 256, (n, size, size, channels), np.uint8) for name, n in
              (("train", train), ("test", test))}  # fmt: skip
    labels = {name: np.arange(len(each)) % 4 for name, each in images.items()}
    made = Task.from_arrays("arrays", images["train"], labels["train"], images["test"], labels["test"])
    return made, images["test"], labels["test"]


def test_the_names_of_contexts_are_read_back():
    assert context_of("gaussian_blur", 3) == "gaussian_blur:3"
    assert [kind_of(name) for name in ("gaussian_blur:3", CLEAN)] == ["gaussian_blur", "clean"]
    assert [severity_of(name) for name in ("gaussian_blur:3", CLEAN)] == [3, 0]


def test_the_four_splits_stay_and_the_digest_says_that_there_are_distortions():
    pristine = smallest_task()
    task = pristine.with_distortions(SPEC)
    assert task.splits == pristine.splits
    assert pristine.distorted_splits == {}
    assert task.digest != pristine.digest
    others = [SPEC, DistortionsSpec(kinds=SPEC.kinds), DistortionsSpec(kinds=SPEC.kinds, severities=(1, 5), seed=1)]
    assert len({pristine.with_distortions(each).digest for each in others}) == 3
    like = DistortionsSpec(kinds=SPEC.kinds, severities=(1, 5), per_context=True)
    assert pristine.with_distortions(like).digest == task.digest


def test_calibration_and_validation_are_balanced_over_contexts_and_test_has_all_of_them():
    task = smallest_task().with_distortions(SPEC)
    contexts = {context_of(kind, severity) for kind, severity in SPEC.contexts}
    assert len(contexts) == 4
    for name in ("calibration", "validation"):
        split = task.split(f"distorted_{name}")
        names, counts = np.unique(split.contexts, return_counts=True)
        assert set(names) == contexts
        assert counts.max() - counts.min() <= 1
        assert split.labels.tolist() == task.split(name).labels.tolist()
    test = task.split("distorted_test")
    assert len(test) == 4 * len(task.test)
    assert test.labels.tolist() == 4 * task.test.labels.tolist()
    with pytest.raises(TaskError, match="'distorted_train' is not a split; nearest: 'distorted_cal"):
        task.split("distorted_train")


def test_copies_of_a_sample_have_different_contexts():
    spec = DistortionsSpec(kinds=SPEC.kinds, severities=(1, 5), copies=3)
    task = smallest_task().with_distortions(spec)
    split = task.split("distorted_validation")
    assert len(split) == 3 * len(task.validation)
    each = split.contexts.reshape(-1, 3)
    assert all(len(set(row)) == 3 for row in each)
    _, counts = np.unique(split.contexts, return_counts=True)
    assert counts.max() - counts.min() <= 3


def test_a_version_is_that_of_its_sample_kind_severity_and_seed_whatever_the_batch():
    task = smallest_task().with_distortions(SPEC)
    split, again = (smallest_task().with_distortions(SPEC).split("distorted_validation") for _ in range(2))
    images = every(split, task.inputs)
    assert torch.equal(images, every(again, task.inputs))
    some = np.array([5, 2, 40])
    assert torch.equal(again.reader(task.inputs)[some], images[some])
    pristine = every(task.validation, task.inputs)
    assert (images != pristine).any(dim=(1, 2, 3)).all()
    other = smallest_task().with_distortions(DistortionsSpec(kinds=SPEC.kinds, severities=(1, 5), seed=3))
    assert not torch.equal(every(other.split("distorted_validation"), task.inputs), images)
    position = int(np.argmax(split.contexts == "gaussian_blur:5"))
    wanted = distort_each(pristine[position : position + 1].numpy(), "gaussian_blur", 5, [np.random.default_rng()])
    assert (images[position].numpy() == wanted[0]).all()


def test_versions_that_do_not_fit_into_memory_are_made_each_time(monkeypatch):
    task = smallest_task().with_distortions(SPEC)
    kept = every(task.split("distorted_calibration"), task.inputs)
    monkeypatch.setattr("eenas.tasks.distortions.distorted_images.KEEP_BYTES", 0)
    fresh = smallest_task().with_distortions(SPEC)
    reader = fresh.split("distorted_calibration").reader(task.inputs)
    assert reader._kept._made is None
    assert torch.equal(reader[np.arange(40)], kept)


def test_grey_images_are_distorted_as_grey_ones_and_colours_in_colour():
    grey = arrays(channels=1)[0].with_distortions(SPEC)
    shown = every(grey.split("distorted_calibration"), image_input(8, 3))
    assert torch.equal(shown[:, 0], shown[:, 1])
    assert torch.equal(shown[:, :1], every(grey.split("distorted_calibration"), image_input(8, 1)))
    colour = arrays()[0].with_distortions(SPEC)
    assert every(colour.split("distorted_calibration"), image_input(8, 1)).shape[1] == 1
    assert every(colour.split("distorted_calibration"), image_input(16, 3)).shape[2:] == (16, 16)


def test_a_share_of_the_training_images_is_distorted():
    spec = DistortionsSpec(kinds=SPEC.kinds, severities=(1, 5), share=0.5)
    task = smallest_task().with_distortions(spec)
    assert task.train.contexts is None
    trained = task.trained_distorted()
    contexts = trained.train.contexts
    assert 0.35 < (contexts != CLEAN).mean() < 0.65
    assert len(set(contexts)) == 5
    before, after = every(task.train, task.inputs), every(trained.train, task.inputs)
    changed = (before != after).any(dim=(1, 2, 3)).numpy()
    assert (changed == (contexts != CLEAN)).all()
    kept, held = trained.train.held_out()
    assert len(kept.contexts) + len(held.contexts) == len(contexts)
    assert trained.digest == task.digest
    assert Contents.of(trained).samples == Contents.of(task).samples
    assert smallest_task().with_distortions(SPEC).trained_distorted().train.contexts is None


def test_a_study_file_names_distortions_and_images_alone_have_them():
    table = {"spec": "digits", "distortions": {"kinds": ["jpeg"], "severities": [2]}}
    spec = from_table(TaskSpec, table)
    assert to_table(spec)["distortions"]["kinds"] == ["jpeg"]
    assert "distortions" not in to_table(TaskSpec())
    task = load_task(spec)
    assert set(task.split("distorted_calibration").contexts) == {"jpeg:2"}
    assert task.digest != load_task("digits").digest
    with pytest.raises(TaskError, match=r"task\.distortions is for images, but the samples are .*; leave it out"):
        load_task(TaskSpec(spec="waves", distortions=SPEC))
    with pytest.raises(TaskError, match="saturate needs images of 3 channels, got 1; choose other kinds"):
        load_task(TaskSpec(spec="digits", distortions=DistortionsSpec(kinds=("saturate",))))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "kinds' is missing"),
        ({"kinds": []}, "one or more distinct kinds"),
        ({"kinds": ["jpeg", "jpeg"]}, "one or more distinct kinds"),
        ({"kinds": ["gausian_blur"]}, "unknown kind 'gausian_blur'; nearest: 'gaussian_blur'"),
        ({"kinds": ["frost"]}, "frost is only read from files; set distortions.files"),
        ({"kinds": ["jpeg"], "severities": [6]}, r"distinct whole numbers from 1 to 5, got \[6\]"),
        ({"kinds": ["jpeg"], "severities": []}, "distinct whole numbers from 1 to 5"),
        ({"kinds": ["jpeg"], "share": 1.5}, r"in \[0, 1\], got 1.5"),
        ({"kinds": ["jpeg"], "copies": 6}, "from 1 to the 5 combinations of kinds and severities, got 6"),
        ({"kinds": ["jpeg"], "copies": 0}, "got 0"),
        ({"kinds": ["jpeg"], "seed": -1}, "must not be negative"),
        ({"kinds": ["jpeg"], "share": 0.5, "files": "x"}, "needs images distorted on the fly"),
        ({"kinds": ["jpeg"], "sevrities": [1]}, "'severities'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(table, message):
    with pytest.raises((TaskError, SpecError), match=message) as raised:
        from_table(TaskSpec, {"spec": "digits", "distortions": table})
    assert "\n" not in str(raised.value)


@pytest.fixture
def files(tmp_path):
    """A folder like that of CIFAR-10-C for the test source of `arrays`: severity s is the image minus 10 s."""
    _, images, labels = arrays()
    shifted = np.concatenate([np.clip(images.astype(int) - 10 * each, 0, 255) for each in SEVERITIES])
    for name in ("jpeg_compression", "frost"):
        np.save(tmp_path / f"{name}.npy", shifted.astype(np.uint8))
    np.save(tmp_path / "labels.npy", np.tile(labels, 5).astype(np.uint8))
    return tmp_path


def from_files(folder, kinds=("jpeg", "frost"), **more):
    task = arrays(**more)[0]
    return with_distortions(from_test_source(task), DistortionsSpec(kinds=kinds, files=str(folder)))


def test_files_of_cifar_10_c_are_read_in_the_order_of_the_test_source(files, monkeypatch):
    task = from_files(files)
    for name in ("validation", "test"):
        clean, split = task.split(name), task.split(f"distorted_{name}")
        pristine = every(clean, task.inputs)
        rows = np.arange(len(clean)) if name == "validation" else np.tile(np.arange(len(clean)), 10)
        steps = np.array([10 * severity_of(context) for context in split.contexts])
        wanted = np.clip(pristine.numpy()[rows].astype(int) - steps[:, None, None, None], 0, 255)
        assert (every(split, task.inputs).numpy() == wanted).all()
    monkeypatch.chdir(files.parent)
    assert from_files(files.name).digest == task.digest, "the place of the files is not part of the data"
    shutil.copytree(files, files.parent / "others")
    shifted = np.load(files.parent / "others" / "frost.npy")
    np.save(files.parent / "others" / "frost.npy", 255 - shifted)
    assert from_files(files.parent / "others").digest != task.digest, "their content is"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "frost.npy").unlink(), "frost.npy: no such file"),
        (lambda folder: (folder / "frost.npy").write_bytes(b"x"), "frost.npy: not a .npy array"),
        (lambda folder: np.save(folder / "frost.npy", np.zeros((10, 8, 8, 3), np.uint8)), "must hold 240 images uint8"),
        (lambda folder: np.save(folder / "labels.npy", np.zeros(240, int)), "differs from the task for 9 of 12 sam"),
        (lambda folder: np.save(folder / "labels.npy", np.zeros(10, int)), "must hold 240 class numbers"),
        (lambda folder: np.save(folder / "labels.npy", np.array([{}])), "labels.npy: not a .npy array"),
    ],
)
def test_files_that_do_not_fit_are_refused(files, spoil, message):
    spoil(files)
    with pytest.raises(TaskError, match=message) as raised:
        from_files(files)
    assert "\n" not in str(raised.value)


def test_files_need_the_test_source_and_a_folder(files, tmp_path):
    with pytest.raises(TaskError, match="calibration takes from the train source; set task"):
        with_distortions(arrays()[0], DistortionsSpec(kinds=("jpeg",), files=str(files)))
    with pytest.raises(TaskError, match="is not a folder; give the one of CIFAR-10-C"):
        from_files(tmp_path / "none")


def test_every_kind_has_versions_through_the_reader():
    task = arrays(size=12)[0].with_distortions(DistortionsSpec(kinds=KINDS, severities=(5,)))
    split = task.split("distorted_test")
    assert isinstance(split.samples, DistortedImages)
    images = every(split, task.inputs)
    assert images.dtype == torch.uint8
    assert set(split.contexts) == {f"{kind}:5" for kind in KINDS}


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04junk",
        b"\x93NUMPY\x02\x00" + (9000).to_bytes(4, "little") + b"(" * 9000,
        b"\x93NUMPY\x02\x00" + (9001).to_bytes(4, "little") + b"-" * 9000 + b"1",
        b"\x93NUMPY\x02\x00" + (40).to_bytes(4, "little") + b"{'descr':'|u1',1:False,'shape':(50,),}".ljust(40),
        b"\x93NUMPY\x02\x00" + (4).to_bytes(4, "little") + b"{{}}",
    ],
)
def test_damaged_headers_and_archives_in_the_place_of_files_are_refused(files, content):
    (files / "labels.npy").write_bytes(content)
    with pytest.raises(TaskError, match=r"labels\.npy: not a \.npy array") as raised:
        from_files(files)
    assert "\n" not in str(raised.value)


def test_pipes_and_images_without_pixels_in_the_place_of_files_are_refused(files):
    np.save(files / "frost.npy", np.zeros((240, 0, 8, 3), np.uint8))
    with pytest.raises(TaskError, match=r"frost\.npy must hold 240 images"):
        from_files(files)
    if hasattr(os, "mkfifo"):
        (files / "frost.npy").unlink()
        os.mkfifo(files / "frost.npy")
        with pytest.raises(TaskError, match=r"frost\.npy: not a \.npy array"):
            from_files(files)
