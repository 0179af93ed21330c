"""Series as drawings: a line for each channel, within the frame, for any values."""

import base64
import re

import numpy as np
import pytest

from eenas.reporting.figures.line_drawing import COLOURS, HEIGHT, MOST_POINTS, WIDTH, line_drawing


def lines(series: np.ndarray) -> list[np.ndarray]:
    head, _, data = line_drawing(series.astype(np.float32)).partition(",")
    assert head == "data:image/svg+xml;base64"
    text = base64.b64decode(data).decode()
    return [
        np.array([[float(each) for each in point.split(",")] for point in points.split()])
        for points in re.findall(r'points="([^"]+)"', text)
    ]


@pytest.mark.parametrize("length", [1, 2, 50, 5000])
@pytest.mark.parametrize("channels", [1, 3, 9])
def test_lines_lie_within_the_frame(channels: int, length: int) -> None:
    found = lines(np.random.default_rng(0).normal(1e6, 1e5, size=(channels, length)))
    assert len(found) == min(channels, len(COLOURS))
    for line in found:
        assert len(line) == min(length, MOST_POINTS)
        assert (line >= 0).all()
        assert (line <= [WIDTH, HEIGHT]).all()


def test_what_rises_goes_up_and_what_is_still_lies_in_the_middle() -> None:
    rising, still = lines(np.stack([np.arange(10.0), np.full(10, 3.0)]))
    assert (np.diff(rising[:, 0]) > 0).all()
    assert (np.diff(rising[:, 1]) < 0).all()
    assert (still[:, 1] == HEIGHT / 2).all()
