"""The look that all figures share: colours that colour-blind readers tell apart, one font, axes with units."""

from typing import Any

import plotly.graph_objects as go

# Okabe and Ito 2008, "Color Universal Design"; marks differ in shape as well, so that print without colour is enough.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
VERMILLION, SKY, GREY, INK = "#D55E00", "#56B4E9", "#8C8C8C", "#222222"
BASELINE_LOOKS = (
    (ORANGE, "square", "dot"),
    (GREEN, "diamond", "dash"),
    (PURPLE, "triangle-up", "dashdot"),
    (SKY, "triangle-down", "longdash"),
)
# Viridis by depth (Garnier et al.), light to dark; the final exit is grey in every figure.
DEPTHS = ("#FDE725", "#A0DA39", "#4AC16D", "#1FA187", "#277F8E", "#365C8D", "#46327E")
FINAL = "#B5B5B5"
LEGEND_DROP = 70
"""Pixels between the lower axis and the legend."""


def figure(title: str, subtitle: str, *, height: int = 560) -> go.Figure:
    """An empty figure with the shared look; it fits the width it is given and reads well at 1200 px.

    The built-in templates are left out: they add several kilobytes to each figure kept in the database.
    """
    drawing = go.Figure()
    drawing.update_layout(
        template="none",
        showlegend=True,
        title={
            "text": f"{title}<br><span style='font-size:13px;color:#555555'>{subtitle}</span>",
            "x": 0.01,
            "xanchor": "left",
            "yref": "container",
            "y": 1 - 16 / height,
            "yanchor": "top",
            "font": {"size": 18, "color": INK},
        },
        font={"family": "Arial, Helvetica, DejaVu Sans, sans-serif", "size": 14, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        height=height,
        margin={"l": 75, "r": 25, "t": 85, "b": 110},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": -LEGEND_DROP / (height - 85 - 110),
            "yanchor": "top",
            "font": {"size": 13},
        },
        hoverlabel={"font": {"size": 13}},
    )
    return drawing


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a title that names the unit, a pale grid and outside ticks."""
    return {
        "title": {"text": title, "standoff": 10, "font": {"size": 14}},
        "gridcolor": "#E6E6E6",
        "zeroline": False,
        "showline": True,
        "linecolor": "#666666",
        "ticks": "outside",
        "tickcolor": "#666666",
        **more,
    }


def say_empty(drawing: go.Figure, text: str) -> None:
    """Say in the middle of a figure why nothing is drawn there."""
    drawing.add_annotation(
        xref="paper", yref="paper", x=0.5, y=0.5, text=text, showarrow=False, font={"size": 16, "color": "#555555"}
    )
