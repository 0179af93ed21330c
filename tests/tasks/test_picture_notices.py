"""Lines on a task."""

import numpy as np

from eenas.tasks.images.image_input import image_input
from eenas.tasks.images.picture_notices import cut_notice
from eenas.tasks.task import FLIP_NOTICE, Task

LABELS = np.arange(40) % 2


def task(height, width, channels=3, **options):
    return Task.from_arrays("a", np.full((40, height, width, channels), 200, np.uint8), LABELS, **options)


def test_a_large_cut_is_said():
    found = cut_notice(task(32, 128), image_input(32))
    assert found is not None
    assert found.startswith("40 of 40 images lose more than a third to the crop to 32 x 32 (75 % of those of 32 x ")
    assert cut_notice(task(32, 128), image_input((32, 128))) is None
    assert cut_notice(task(32, 128, fit="pad"), image_input(32)) is None
    assert cut_notice(task(32, 40), image_input(32)) is None


def test_mirroring_is_said_where_nobody_asked_for_it():
    assert task(8, 8).flip
    assert FLIP_NOTICE in task(8, 8).notices
    assert not task(8, 8, channels=1).flip
    assert task(8, 8, channels=1).notices == task(8, 8, flip=True).notices == ()


def test_nearly_black_images_are_said():
    dark = Task.from_arrays("a", np.ones((40, 8, 8), np.uint8), LABELS)
    assert "train_x holds values up to 1 of 255" in dark.notices[0]
