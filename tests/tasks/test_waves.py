"""The embedded series: the same everywhere, learnable, and of the size that its page says."""

import numpy as np

from eenas.tasks.load import load_task
from eenas.tasks.series.series_input import series_input
from eenas.tasks.series.waves import waves


def test_the_task():
    task = load_task("waves")
    assert task.inputs == series_input(2, 64)
    assert task.classes == ("sine", "square", "sawtooth", "chirp")
    assert [len(split) for split in task.splits] == [720, 120, 180, 180]
    assert task.notices == ()
    assert task.digest == load_task("waves").digest


def test_values_are_whole_steps_so_that_machines_agree():
    series, labels = waves(80)
    np.testing.assert_array_equal(series * 1024, np.round(series * 1024))
    assert np.bincount(labels).tolist() == [20] * 4
    assert series.std(axis=(0, 2)).min() > 0.1


def test_spectra_tell_the_forms_apart_better_than_chance():
    series, labels = waves(800)
    seen = np.abs(np.fft.rfft(series, axis=2)).reshape(len(series), -1)
    train, test = seen[:600], seen[600:]
    centres = np.stack([train[labels[:600] == k].mean(axis=0) for k in range(4)])
    found = np.argmin(((test[:, None] - centres) ** 2).sum(axis=2), axis=1)
    assert 0.4 < np.mean(found == labels[600:]) < 0.95
