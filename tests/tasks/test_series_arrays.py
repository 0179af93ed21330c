"""Tasks of arrays that hold series: how they are told from images, and what is refused."""

import numpy as np
import pytest

from eenas.errors import TaskError
from eenas.tasks.load import given_task, load_task
from eenas.tasks.series.series_input import series_input
from eenas.tasks.spec import TaskSpec
from eenas.tasks.task import Task

LABELS = np.arange(60) % 3
RANDOM = np.random.default_rng(0)
SERIES = RANDOM.normal(size=(60, 2, 20))


def made(x=SERIES, y=LABELS, **options):
    return Task.from_arrays("some", x, y, **options)


def test_floats_of_three_axes_beyond_images_are_series_and_that_is_said():
    task = made()
    assert task.inputs == series_input(2, 20)
    assert (task.channels, task.flip, task.input_size) == (2, False, None)
    assert task.notices[0].startswith("train_x [60, 2, 20] is read as series [n, channels, length]")
    assert 'task.input = "images"' in task.notices[0]
    assert made(input="series").notices == ()
    assert made(input="series").digest == task.digest


def test_two_axes_are_one_channel_and_that_is_said():
    task = made(SERIES[:, 0])
    assert task.inputs == series_input(1, 20)
    assert "series of one channel" in task.notices[0]
    held = task.train.reader(task.inputs)[np.arange(3)].numpy()
    np.testing.assert_array_equal(held[:, 0], SERIES[task.train.rows[:3], 0].astype(np.float32))


def test_floats_in_the_range_of_images_are_images_unless_somebody_says_so():
    share = RANDOM.random((60, 2, 20))
    assert made(share).inputs.kind == "images"
    assert "is read as grey images" in made(share).notices[0]
    assert made(share[:, :, :4]).notices == (), "sides that are alike need no word"
    assert made(share, input="series").inputs == series_input(2, 20)
    assert made((255 * share).astype(np.uint8)).inputs.kind == "images"
    assert made((255 * share).astype(np.uint8), input="series").inputs.kind == "series"


def test_square_floats_that_are_no_images_need_a_word():
    square = RANDOM.normal(size=(60, 8, 8))
    with pytest.raises(TaskError, match=r"floats must lie in \[0, 1\]; .*; for series, set task.input = \"series\""):
        made(square)
    assert made(square, input="series").inputs == series_input(8, 8)


def test_integers_that_are_no_images_may_be_series():
    x = RANDOM.integers(0, 1000, (60, 20))
    with pytest.raises(TaskError, match=r"got the shape \[60, 20\]; for series, set task.input = \"series\""):
        made(x)
    assert made(x, input="series").inputs == series_input(1, 20)


def test_series_with_more_channels_than_points_are_said():
    turned = SERIES.transpose(0, 2, 1)
    assert (
        "series of 20 channels and 2 points; if it is [n, length, channels]" in made(turned, input="series").notices[0]
    )
    assert made(turned.transpose(0, 2, 1), input="series").notices == ()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((60, 1, 2, 3, 4)), r"must be series .*, got the shape \[60, 1, 2, 3, 4\]; use train_x.reshape"),
        (np.zeros((0, 2, 20)), "is empty: .*; give a few samples of each class"),
        (np.full((60, 2, 20), "a"), "must hold numbers, or be one list of texts, got <U1"),
        (np.where(np.arange(20) == 7, np.nan, SERIES), "got NaN in sample 0, channel 0; fill gaps"),
        (np.where(np.arange(20) == 7, 1e300, SERIES), r"got 1e\+300, infinite in float32, in sample 0"),
        (np.stack([SERIES[:, 0], np.full((60, 20), 5.0)], 1), r"got 5 throughout channel 1; .*delete\(train_x, \[1\]"),
        (np.ones((60, 2, 20)), "got 1 throughout; give other data"),
        (np.zeros((60, 5000, 2)), "at most 4,096 channels"),
        ([SERIES[0], *SERIES[1:, :1]], "series that differ in channels, from 1 to 2; give all the same channels"),
        ([SERIES[0], *SERIES[1:, 0]], "must be one array, got samples of different shapes"),
        (np.array([None] * 60), "must hold numbers, got objects"),
    ],
)  # fmt: skip
def test_what_cannot_be_series_is_refused_with_rule_value_and_fix(x, message):
    with pytest.raises(TaskError, match=message) as caught:
        made(x, input="series")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": LABELS.astype(str)}, r"got <U21; classes, train_y = numpy.unique\(train_y, return_inverse=True\)"),
        ({"y": LABELS[:50]}, "train_x has 60 series but train_y has 50 labels"),
        ({"input_size": 8}, "task.input_size is for images, but train_x holds series"),
        ({"flip": True}, "task.flip is for images, but the samples are series"),
        ({"input": "sound"}, "task.input is one of images, series, got 'sound'"),
        ({"test_x": SERIES[:, :, :19], "test_y": LABELS}, "test_x has series of 2 x 19, but train_x of 2 x 20"),
    ],
)
def test_other_arguments_are_refused(options, message):
    with pytest.raises(TaskError, match=message):
        made(**{"input": "series", **options})


def test_a_channel_may_be_still_in_the_test_data():
    still = SERIES.copy()
    still[:, 1] = 0.0
    assert len(made(test_x=still, test_y=LABELS).test) == 60


def test_an_array_file_with_series(tmp_path):
    file = tmp_path / "waves.npz"
    np.savez(file, train_x=SERIES, train_y=LABELS, classes=np.array(["a", "b", "c"]))
    assert load_task(f"npz:{file}").inputs == series_input(2, 20)
    np.savez(file, train_x=RANDOM.random((60, 2, 20)), train_y=LABELS)
    assert load_task(f"npz:{file}").inputs.kind == "images"
    assert load_task(TaskSpec(spec=f"npz:{file}", input="series")).inputs == series_input(2, 20)
    assert given_task(f"npz:{file}", series_input(2, 20)).inputs.kind == "series"
    with pytest.raises(TaskError, match=r"task.input is for npz:PATH"):
        load_task(TaskSpec(spec="digits", input="series"))


def test_data_of_another_kind_are_refused_for_a_network_that_is_there():
    with pytest.raises(TaskError, match=r"the network takes series: .*, but the data are images: .*; give data"):
        given_task("digits", series_input(2, 20))
