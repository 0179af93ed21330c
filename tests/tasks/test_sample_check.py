"""Samples looked at before a study: what is said of them."""

import numpy as np

from eenas.progress import Notice
from eenas.tasks.images.image_input import image_input
from eenas.tasks.sample_check import check_samples, left_out_notice
from eenas.tasks.series.waves import waves_task
from eenas.tasks.task import Task


def test_a_cut_is_said_and_of_series_there_is_nothing_to_say():
    heard = []
    task = Task.from_arrays("a", np.full((40, 32, 128, 3), 200, np.uint8), np.arange(40) % 2)
    check_samples(task, image_input(32), heard.append)
    assert [type(event) for event in heard] == [Notice]
    assert "40 of 40 images lose more than a third" in heard[0].text
    series = waves_task()
    check_samples(series, series.inputs, heard.append)
    assert len(heard) == 1


def test_of_many_files_that_are_left_out_a_few_are_named():
    assert left_out_notice(["a.png", "b.png"]) == "2 images are left out: a.png, b.png"
    assert left_out_notice(["a.png"]) == "1 image is left out: a.png"
    many = left_out_notice([f"{number}.png" for number in range(1200)])
    assert many == "1,200 images are left out: 0.png, 1.png, 2.png, 3.png, 4.png, ..."
