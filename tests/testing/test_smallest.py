"""The smallest task is small, learnable and the same each time."""

import numpy as np
from sklearn.neighbors import NearestCentroid

from eenas.testing.smallest import smallest_task


def shown(split):
    return split.images(None, 3)[np.arange(len(split))].flatten(1).numpy()


def test_the_smallest_task_is_learnable_and_repeatable():
    task = smallest_task()
    assert (task.num_classes, task.input_size, task.channels) == (4, 8, 3)
    assert [len(split) for split in (task.train, task.calibration, task.validation, task.test)] == [240, 40, 60, 60]
    model = NearestCentroid().fit(shown(task.train), task.train.labels)
    assert model.score(shown(task.test), task.test.labels) > 0.7
    assert smallest_task().digest == task.digest != smallest_task(seed=1).digest
