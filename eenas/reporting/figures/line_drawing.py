"""A time series as a small drawing of lines (SVG) for a page."""

import base64

import numpy as np
from numpy.typing import NDArray

from eenas.reporting.figures.figure_style import BLUE, GREEN, ORANGE, PURPLE

WIDTH, HEIGHT, MARGIN = 96, 64, 3
COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
"""Of the lines: so many channels are drawn at most, the first ones."""
MOST_POINTS = 192
"""So many points of a line at most; longer series are drawn by the means of equal parts."""


def line_drawing(series: NDArray[np.float32]) -> str:
    """A series [channels, length] as a data URL of an SVG: a line for each channel, each on a scale of its own."""
    lines = [
        f'<polyline points="{_points(values)}" fill="none" stroke="{COLOURS[index]}" stroke-width="1.2"/>'
        for index, values in enumerate(series[: len(COLOURS)])
    ]
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"{''.join(lines)}</svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def _points(values: NDArray[np.float32]) -> str:
    """The corners of a line from left to right, with one decimal."""
    if len(values) > MOST_POINTS:
        values = np.array([part.mean() for part in np.array_split(values.astype(np.float64), MOST_POINTS)])
    low, high = float(values.min()), float(values.max())
    across = np.linspace(MARGIN, WIDTH - MARGIN, len(values)) if len(values) > 1 else np.array([WIDTH / 2])
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    up = HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
