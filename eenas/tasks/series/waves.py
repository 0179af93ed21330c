"""Synthetic waves of four forms, the embedded task of time series."""

import numpy as np
from numpy.typing import NDArray

from eenas.tasks.spec import SplitsSpec
from eenas.tasks.task import Task

SAMPLES, CHANNELS, LENGTH = 1200, 2, 64
FORMS = ("sine", "square", "sawtooth", "chirp")
_SEED = 20240229


def waves_task(splits: SplitsSpec | None = None) -> Task:
    """Return 1,200 series of two channels and 64 points in four classes, the same on every machine.

    The class is the form of a wave. The first channel holds the wave with a little noise; the second holds it at half
    the size, shifted by a quarter period, with more noise. Period, phase and noise vary, and so does the difficulty of
    samples.

    Raises TaskError if the splits do not fit.
    """
    series, labels = waves(SAMPLES)
    return Task.from_arrays("waves", series, labels, classes=FORMS, splits=splits, input="series")


def waves(count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return series [count, 2, 64] and their classes [count].

    Random numbers come from an integer generator, and values are rounded to steps of 1/1024. The rounding of a sine
    differs between machines by much less than that step, and so the series are the same everywhere.
    """
    generator = np.random.Generator(np.random.PCG64(_SEED))
    labels = np.arange(count, dtype=np.int64) % len(FORMS)
    draws = generator.integers(0, 1024, size=(count, 4)) / 1024
    noise = generator.integers(-512, 513, size=(count, CHANNELS, LENGTH)) / 512
    time = np.arange(LENGTH) / LENGTH
    cycles = 2 + 3 * draws[:, :1]
    values = np.empty((count, CHANNELS, LENGTH))
    for channel, (size, late) in enumerate(((1.0, 0.0), (0.5, 0.25))):
        phase = (cycles * time + draws[:, 1:2] + late) % 1.0
        chirp = (cycles * time * (0.2 + 1.6 * time) + draws[:, 1:2] + late) % 1.0
        forms = np.stack(
            [np.sin(2 * np.pi * phase), np.where(phase < 0.5, 1.0, -1.0), 2 * phase - 1, np.sin(2 * np.pi * chirp)]
        )
        loud = (0.1 + 1.1 * draws[:, 2:3] ** 3) * (1 + channel)
        values[:, channel] = size * (forms[labels, np.arange(count)] + loud * noise[:, channel]) + 3 * channel
    return np.asarray(np.round(values * 1024) / 1024, dtype=np.float32), labels
