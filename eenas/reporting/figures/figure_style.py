"""The shared style of all figures: a palette for colour-blind readers, one font, axes with units."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from eenas.escaping import in_figure

# Okabe and Ito 2008, "Color Universal Design"; marks also differ in shape, for prints without colour.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
VERMILLION, SKY, INK, PALE = "#D55E00", "#56B4E9", "#222222", "#C4C4C4"
BASELINE_LOOKS = (
    (ORANGE, "square", "dot"),
    (GREEN, "diamond", "dash"),
    (PURPLE, "triangle-up", "dashdot"),
    (SKY, "triangle-down", "longdash"),
)
# Viridis by depth, light to dark; the final exit is grey in every figure.
DEPTHS = ("#FDE725", "#A0DA39", "#4AC16D", "#1FA187", "#277F8E", "#365C8D", "#46327E", "#2A0A3D")
FINAL = "#B5B5B5"
HEIGHT, TOP, BOTTOM, LEGEND_DROP = 450, 88, 105, 52
"""Pixels: the figure's height, its margins, and the distance from the lower axis down to the legend."""
_KINDS_IN_A_ROW = 4
Drawing = go.Figure
"""The type of every figure, for steps that do not know plotly."""


def figure(title: str, *subtitles: str, height: int = HEIGHT, drop: int = LEGEND_DROP) -> go.Figure:
    """Return an empty figure in the shared style with a title and up to two subtitles, all escaped.

    `height` is in pixels, and so is `drop`, the distance from the lower axis down to the legend (slanted tick labels
    need more).

    The figure fills the available width: optuna-dashboard shows it at 450 px height in half of its page (about
    570 px), other pages at 1200 px. Lines of about 85 characters fit both. Plotly's built-in templates are not used,
    since they add several kilobytes to each figure in the database.
    """
    small = "".join(f"<br><span style='font-size:12px;color:#555555'>{in_figure(line)}</span>" for line in subtitles)
    bottom = BOTTOM + drop - LEGEND_DROP
    drawing = go.Figure()
    drawing.update_layout(
        template="none",
        showlegend=True,
        title={
            "text": in_figure(title) + small,
            "x": 0.01,
            "xanchor": "left",
            "yref": "container",
            "y": 1 - 24 / height,
            "yanchor": "top",
            "font": {"size": 17, "color": INK},
        },
        font={"family": "Arial, Helvetica, DejaVu Sans, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        height=height,
        margin={"l": 65, "r": 20, "t": TOP, "b": bottom},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": -drop / (height - TOP - bottom),
            "yanchor": "top",
            "font": {"size": 12},
        },
        hoverlabel={"font": {"size": 13}},
    )
    return drawing


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with a title, a pale grid and outside ticks."""
    return {
        "title": {"text": in_figure(title), "standoff": 8, "font": {"size": 13}},
        "gridcolor": "#E6E6E6",
        "zeroline": False,
        "showline": True,
        "linecolor": "#666666",
        "ticks": "outside",
        "tickcolor": "#666666",
        **more,
    }


def depth_colour(index: int, exits: int) -> str:
    """Return the colour of exit `index` of `exits`: viridis by depth, grey for the final exit."""
    return FINAL if index == exits - 1 else DEPTHS[min(index, len(DEPTHS) - 1)]


def is_dark(index: int, exits: int) -> bool:
    """Whether text on the colour of an exit should be white."""
    return index != exits - 1 and index >= 4


def pattern(shape: str) -> dict[str, Any]:
    """Return a white pattern for a bar, to tell bars apart in print; no pattern for an empty `shape`."""
    return {"shape": shape, "fillmode": "overlay", "fgcolor": "white", "size": 7, "solidity": 0.25}


def panes(drawing: go.Figure, rows: int, columns: int, titles: Sequence[str], **more: Any) -> None:
    """Divide an empty figure into panes, each with a small title in plotly's markup."""
    drawing.set_subplots(rows=rows, cols=columns, subplot_titles=list(titles), **more)
    drawing.update_annotations(font={"size": 13, "color": INK})


def kind_panes(
    title: str, subtitles: Sequence[str], kinds: Sequence[str], label: str
) -> tuple[go.Figure, list[dict[str, int]]]:
    """Return an empty figure with a pane for each of `kinds` of distortion, and the row and column of each pane.

    `label` is the title of the vertical axes, which run from 0 to 100.
    """
    columns = min(_KINDS_IN_A_ROW, max(1, len(kinds)))
    rows = max(1, math.ceil(len(kinds) / columns))
    inner = 250 * rows + 45 * (rows - 1)
    drawing = figure(title, *subtitles, height=inner + TOP + 24 + BOTTOM)
    titles = [in_figure(each.replace("_", " ")) for each in kinds]
    spacing = {"horizontal_spacing": 0.04, "vertical_spacing": 75 / inner if rows > 1 else 0}
    panes(drawing, rows, columns, titles, shared_yaxes=True, **spacing)
    drawing.update_layout(margin={"t": TOP + 24})
    places = [{"row": number // columns + 1, "col": number % columns + 1} for number in range(len(kinds))]
    for place in places:
        drawing.update_xaxes(axis("severity", dtick=1), **place)
    drawing.update_yaxes(axis("", range=[0, 100]))
    drawing.update_yaxes(title={"text": label, "standoff": 8, "font": {"size": 13}}, col=1)
    return drawing, places


def say_empty(drawing: go.Figure, text: str) -> None:
    """Write the reason for an empty figure in its middle."""
    drawing.add_annotation(
        xref="paper",
        yref="paper",
        x=0.5,
        y=0.5,
        text=in_figure(text),
        showarrow=False,
        font={"size": 16, "color": "#555555"},
    )
