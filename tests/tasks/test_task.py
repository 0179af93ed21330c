"""Tasks of arrays: splits, images, digests, and what is refused."""

import re

import numpy as np
import pytest

from eenas.errors import SpecError, TaskError
from eenas.tasks.images import image_arrays as arrays_module
from eenas.tasks.images.image_arrays import check_images
from eenas.tasks.spec import SplitSpec, SplitsSpec
from eenas.tasks.task import Task

SPLITS = ("train", "calibration", "validation", "test")


def arrays(per_class=20, classes=3, shape=(8, 8, 3), seed=0):
    labels = np.tile(np.arange(classes), per_class)
    return np.random.default_rng(seed).integers(0, 256, (len(labels), *shape), dtype=np.uint8), labels


def task(**options):
    images, labels = arrays()
    return Task.from_arrays("three", images, labels, **options)


def test_splits_hold_the_images_and_labels_of_their_rows():
    images, labels = arrays()
    made = Task.from_arrays("three", images, labels)
    for name in SPLITS:
        split = made.split(name)
        shown = split.images(None, 3)[np.arange(len(split))]
        assert np.array_equal(shown.numpy(), np.moveaxis(images[split.rows], 3, 1))
        assert np.array_equal(split.labels, labels[split.rows])
    assert (made.classes, made.num_classes, made.input_size, made.channels) == (("0", "1", "2"), 3, 8, 3)
    assert [len(made.split(name)) for name in SPLITS] == [36, 6, 9, 9]


def test_splits_of_two_sources_with_sizes():
    images, labels = arrays()
    more, theirs = arrays(seed=1)
    splits = SplitsSpec(
        calibration=SplitSpec(source="test", size=9), validation=SplitSpec(source="test", size=0.25), seed=5
    )
    made = Task.from_arrays("three", images, labels, more, theirs, splits=splits)
    assert [(made.split(name).source, len(made.split(name))) for name in SPLITS] == [
        ("train", 60),
        ("test", 9),
        ("test", 15),
        ("test", 36),
    ]
    rows = np.concatenate([made.split(name).rows for name in SPLITS[1:]])
    assert np.array_equal(np.sort(rows), np.arange(60))
    shown = made.calibration.images(8, 3)[np.array([0])]
    assert np.array_equal(shown[0].numpy(), np.moveaxis(more[made.calibration.rows[0]], 2, 0))


def test_the_digest_follows_the_data_the_splits_and_nothing_else():
    images, labels = arrays()
    digest = task().digest
    assert task().digest == digest == Task.from_arrays("another name", images, labels).digest
    changed = images.copy()
    changed[0, 0, 0, 0] ^= 1
    others = [
        Task.from_arrays("three", changed, labels),
        Task.from_arrays("three", images, np.roll(labels, 1)),
        task(classes=("a", "b", "c")),
        task(splits=SplitsSpec(seed=1)),
        task(splits=SplitsSpec(test=SplitSpec(source="train", size=10))),
        task(flip=False),
        task(input_size=16),
    ]
    assert len({digest, *(other.digest for other in others)}) == len(others) + 1


def test_floats_in_the_unit_interval_become_bytes():
    images, labels = arrays()
    made = Task.from_arrays("three", images / np.float32(255), labels)
    assert made.digest == task().digest


@pytest.mark.parametrize("kind", ["int64", "int16", "uint16", "uint64", "float32", "bool"])
def test_other_types_become_bytes_and_wrap_nothing(kind):
    images, labels = arrays()
    if kind == "bool":
        images = (images > 127).astype(np.uint8) * np.uint8(255)
    given = images / np.float32(255) if kind == "float32" else images > 127 if kind == "bool" else images.astype(kind)
    assert Task.from_arrays("three", given, labels).digest == Task.from_arrays("three", images, labels).digest


def test_channels_are_found_first_or_last():
    images, labels = arrays(shape=(8, 6, 3))
    last = Task.from_arrays("three", images, labels)
    assert Task.from_arrays("three", np.moveaxis(images, 3, 1), labels).digest == last.digest
    four, _ = arrays(shape=(20, 20, 4))
    assert Task.from_arrays("four", np.moveaxis(four, 3, 1), labels).channels == 4
    tie = images[:, :3]
    for layout, channels in (("NHWC", 3), ("NCHW", 3)):
        assert Task.from_arrays("tie", tie, labels, layout=layout).channels == channels
    assert Task.from_arrays("tie", tie, labels, layout="NCHW").train.samples.sizes[0].tolist() == [3, 6]
    with pytest.raises(TaskError, match=r"at most 16 channels, got the shape .* as NHWC"):
        Task.from_arrays("wide", np.zeros((60, 3, 20, 20), np.uint8), labels, layout="NHWC")


def test_held_out_parts_are_stratified_and_share_the_images():
    made = task()
    kept, tune = made.train.held_out(0.25, seed=1)
    assert (len(kept), len(tune), kept.name, tune.name) == (27, 9, "train", "tune")
    assert np.array_equal(np.bincount(tune.labels), [3, 3, 3])
    assert set(kept.rows) | set(tune.rows) == set(made.train.rows)
    same = made.train.held_out(0.25, seed=1)[1]
    other = made.train.held_out(0.25, seed=2)[1]
    assert np.array_equal(tune.rows, same.rows)
    assert not np.array_equal(tune.rows, other.rows)
    positions = np.searchsorted(made.train.rows, tune.rows)
    shown = made.train.images(16, 3)[positions]
    assert np.array_equal(tune.images(16, 3)[np.arange(9)], shown)


def test_labels_cannot_be_written_and_arrays_are_copied():
    images, labels = arrays()
    made = Task.from_arrays("three", images, labels)
    before = made.test.images(None, 3)[np.array([0])]
    images[:] = 0
    assert np.array_equal(made.test.images(None, 3)[np.array([0])], before)
    with pytest.raises(ValueError, match="read-only"):
        made.test.labels[0] = 2


def test_flip_by_colour_where_nothing_is_said():
    images, labels = arrays()
    assert Task.from_arrays("colour", images, labels, flip=None).flip
    assert not Task.from_arrays("grey", images[..., 0], labels, flip=None).flip


def test_an_unknown_option_is_refused_with_the_nearest_one():
    with pytest.raises(SpecError, match=r"from_arrays\(\) has no option 'inputsize'; nearest: 'input_size'"):
        task(inputsize=8)


def test_an_unknown_split_is_refused():
    with pytest.raises(TaskError, match="'valid' is not a split; nearest: 'validation'"):
        task().split("valid")


IMAGES, LABELS = arrays()
REFUSED = {
    "different length": ((IMAGES, LABELS[:-1]), "train_x has 60 images but train_y has 59 labels"),
    "one class": ((IMAGES, LABELS * 0), "at least two classes, got 1"),
    "label too large": (
        (IMAGES, LABELS, IMAGES, LABELS + 1),
        "test_y holds the label 3, but the labels of 3 classes end at 2",
    ),
    "negative label": ((IMAGES, LABELS - 1), "train_y holds the label -1"),
    "huge label": ((IMAGES, LABELS * 10**9), "labels up to 2000000000 but not 1"),
    "float labels": ((IMAGES, LABELS * 1.0), r"train_y must hold integers .* got float64; use train_y.astype\(int\)"),
    "half labels": ((IMAGES, LABELS + 0.5), "train_y must hold integers .* got float64$"),
    "text labels": ((IMAGES, LABELS.astype(str)), "train_y must hold integers"),
    "column of labels": ((IMAGES, LABELS[:, None]), r"train_y must be \[n\].*\[60, 1\]; use train_y.ravel\(\)"),
    "one-hot labels": (
        (IMAGES, np.eye(3, dtype=int)[LABELS]),
        r"train_y must be \[n\].*\[60, 3\]; use train_y.argmax\(1\)",
    ),
    "scalar label": ((IMAGES, 3), r"train_y must be \[n\]"),
    "gap in labels": ((IMAGES, LABELS * 2), "train_y holds labels up to 4 but not 1; class numbers have no gaps: "),
    "test lacks a class": ((IMAGES, LABELS, IMAGES[:2], LABELS[:2]), "test source has no sample of class '2'"),
    "12-bit integers": ((IMAGES.astype(np.int64) * 16, LABELS), "int64 from 0 to 4080, .*; train_x / 4095 scales them"),
    "negative integers": (
        (IMAGES.astype(np.int16) - 128, LABELS),
        r"int16 from -128 to 127, .*; \(train_x.astype\('float64'\) \+ 128\) / 255",
    ),
    "complex": ((IMAGES * 1j, LABELS), "must hold numbers in 0..255, or floats"),
    "floats up to 255": ((IMAGES * 1.0, LABELS), "train_x holds floats from 0 to 255, .*; train_x / 255 scales them"),
    "floats that overshoot": ((IMAGES / 250, LABELS), r"from 0 to 1\.02, .*; train_x\.clip\(0, 1\) clips them"),
    "masked": ((np.ma.masked_less(IMAGES, 5), LABELS), r"masked array; .* train_x\.filled\(0\)"),
    "floats around 0": ((IMAGES / 127.5 - 1, LABELS), r"\(train_x \+ 1\) / 2"),
    "NaN": ((np.where(IMAGES > 250, np.nan, 0.5), LABELS), "train_x holds floats from nan to nan"),
    "flat images": ((IMAGES.reshape(60, -1), LABELS), r"train_x must be \[n, H, W\].*\[60, 192\]"),
    "either axis": ((np.zeros((60, 3, 8, 3), np.uint8), LABELS), r"axis 1 or axis 3 could be .*layout = \"NCHW\""),
    "no channels": ((np.zeros((60, 32, 8, 32), np.uint8), LABELS), "at most 16 channels"),
    "no images": ((IMAGES[:0], LABELS[:0]), "train_x is empty"),
    "no series": ((np.zeros((0, 20)), LABELS[:0]), r"got the shape \[0, 20\]; give a few samples of each class"),
    "an empty list": (([], []), r"got the shape \[0\]; give a few samples of each class"),
    "series and None": (([np.zeros((1, 9)), None] * 30, LABELS), "value everywhere, got None in sample 1; leave"),
    "test of another size": ((IMAGES, LABELS, IMAGES[:, :4], LABELS), "images of 4 x 8 x 3, but train_x of 8 x 8 x 3"),
    "test without labels": ((IMAGES, LABELS, IMAGES), "test_x is given but not test_y"),
    "test without images": ((IMAGES, LABELS, None, LABELS), "test_y is given but not test_x"),
    "too few": ((IMAGES[:12], LABELS[:12]), "class '0' has 4 samples in the train source"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_arrays_that_contradict_each_other_are_refused_in_one_line(name):
    given, message = REFUSED[name]
    with pytest.raises(TaskError, match=message) as caught:
        Task.from_arrays("three", *given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(-128, 128, dtype=np.int8),
        np.linspace(-300, 32_700, 256).astype(np.int16),
        np.linspace(0, 16_777_215, 256).astype(np.int32),
        np.linspace(0, 2**40 + 1, 256).astype(np.int64),
        np.linspace(-7.3, 1234.567, 256),
        np.linspace(0, 300.7, 256, dtype=np.float32),
    ],
)
def test_the_advice_for_a_scale_leads_to_images_in_the_order_of_the_values(values):
    train_x = np.tile(values.reshape(16, 16), (60, 1, 1))
    with pytest.raises(TaskError) as caught:
        Task.from_arrays("scales", train_x, LABELS)
    advice = re.search(r"; (.*) scales them", str(caught.value))[1]
    scaled = eval(advice, {"train_x": train_x})
    task = Task.from_arrays("scales", scaled, LABELS)
    read = np.asarray(task.train.reader(task.inputs)[np.arange(1)]).ravel()
    assert (np.diff(read.astype(int)) >= 0).all()
    assert read.min() == 0
    assert read.max() > 64


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("a", "b"), "holds the label 2, but the labels of 2 classes end at 1; give 3 names, or correct"),
        (("a", "b", "c", "d"), "no sample of class 'd'"),
        (("a", "b", "a"), "classes must differ, got 'a' more than once; give each another name"),
        (("a", "b", ""), "class 2 has an empty name"),
        ([["a", "b", "c"]], "classes must be a list of names"),
        ((0.5, 1.5, 2.5), "classes must be a list of names"),
        ([], "classes must be a list of names, .*; give one for each class"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(classes, message):
    with pytest.raises(TaskError, match=message):
        task(classes=classes)


def test_floats_are_scaled_alike_some_at_a_time_and_at_once(monkeypatch):
    values = np.random.default_rng(0).random((5, 6, 7, 3)).astype(np.float16)
    whole = check_images(values, "train_x")
    assert np.array_equal(whole, np.rint(values.astype(np.float32) * 255).astype(np.uint8))
    for at_once in (1, 50, 130, 300):  # less than a row, an image, several
        monkeypatch.setattr(arrays_module, "_CHUNK", at_once)
        assert np.array_equal(check_images(values, "train_x"), whole)
        assert np.array_equal(check_images(np.moveaxis(values, 3, 1), "train_x", "NCHW"), whole)


def test_integers_of_one_byte_and_booleans_keep_their_values():
    values = np.random.default_rng(0).integers(0, 128, (5, 6, 7, 3))
    assert np.array_equal(check_images(values.astype(np.int8), "train_x"), values)
    assert np.array_equal(check_images(values > 60, "train_x"), 255 * (values > 60))
    assert check_images(values > 60, "train_x").dtype == np.uint8
