"""Series held in memory: what readers give, statistics by channel, digests."""

import numpy as np
import pytest

from eenas.errors import TaskError
from eenas.tasks.contents import Contents, compare
from eenas.tasks.images.image_input import image_input
from eenas.tasks.series.series_input import series_input
from eenas.tasks.series.series_values import SeriesValues
from eenas.tasks.task import Task

SERIES = np.random.default_rng(0).normal([[[3.0], [-1.0]]], [[[2.0], [0.5]]], size=(40, 2, 25)).astype(np.float32)


def test_a_reader_gives_copies_in_the_order_of_its_rows():
    values = SeriesValues(SERIES.copy())
    reader = values.reader(np.array([5, 3, 9]), series_input(2, 25))
    batch = reader[np.array([2, 0])]
    np.testing.assert_array_equal(batch.numpy(), SERIES[[9, 5]])
    batch += 1
    np.testing.assert_array_equal(reader[np.array([2, 0])].numpy(), SERIES[[9, 5]])
    assert len(reader) == 3


@pytest.mark.parametrize("inputs", [series_input(3, 25), series_input(2, 24), image_input(8)], ids=str)
def test_other_inputs_are_refused(inputs):
    with pytest.raises(TaskError, match=r"are series: float32 \[channel 2, time 25\], but the network takes"):
        SeriesValues(SERIES).reader(np.arange(3), inputs)


def test_statistics_are_those_of_the_rows():
    rows = np.arange(7, 30)
    mean, std = SeriesValues(SERIES).statistics(rows)
    np.testing.assert_allclose(mean, SERIES[rows].astype(np.float64).mean(axis=(0, 2)))
    np.testing.assert_allclose(std, SERIES[rows].astype(np.float64).std(axis=(0, 2)))
    still = SERIES.copy()
    still[:20, 1] = 4.0
    with pytest.raises(TaskError, match="channel 1 is constant over the 20 samples"):
        SeriesValues(still).statistics(np.arange(20))


def test_changes_are_found_sample_by_sample():
    labels, changed = np.arange(40) % 2, SERIES.copy()
    changed[3] += 1
    one, other = (Task.from_arrays("a", x, labels, input="series") for x in (SERIES, changed))
    found = compare(Contents.of(one), Contents.of(other))
    assert found.words() == "train source: 1 changed (train_x[3])"
    assert Contents.from_bytes(Contents.of(one).to_bytes()) is not None
    assert one.digest != other.digest


def test_series_are_not_changed_in_training():
    import torch

    batch = torch.from_numpy(SERIES)
    assert SeriesValues(SERIES).augmented(batch, flip=False, generator=torch.Generator()) is batch
