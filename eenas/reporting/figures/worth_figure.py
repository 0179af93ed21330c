"""The worth of experts: a pane for each kind of distortion, with and without experts, over the severity."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from eenas.escaping import in_figure
from eenas.reporting.facts.worth_facts import WorthFacts
from eenas.reporting.figures import figure_style as style

_COLUMNS = 4


def draw_worth(facts: WorthFacts) -> go.Figure:
    """Draw one pane for each kind: accuracy with and without experts, and the share sent to the right expert."""
    columns = min(_COLUMNS, max(1, len(facts.kinds)))
    rows = max(1, math.ceil(len(facts.kinds) / columns))
    inner = 250 * rows + 45 * (rows - 1)
    drawing = style.figure(facts.title, *facts.subtitles, height=inner + style.TOP + 24 + style.BOTTOM)
    titles = [in_figure(each.kind.replace("_", " ")) for each in facts.kinds]
    spacing = {"horizontal_spacing": 0.04, "vertical_spacing": 75 / inner if rows > 1 else 0}
    style.panes(drawing, rows, columns, titles, shared_yaxes=True, **spacing)
    drawing.update_layout(margin={"t": style.TOP + 24})
    for number, kind in enumerate(facts.kinds):
        pane = {"row": number // columns + 1, "col": number % columns + 1}
        for name, values, line in (
            ("sent to the right expert", kind.right, {"color": style.PALE, "width": 2, "dash": "dot"}),
            ("accuracy without experts", kind.plain, {"color": style.BLUE, "width": 2, "dash": "dash"}),
            ("accuracy with experts", kind.experts, {"color": style.VERMILLION, "width": 2}),
        ):
            _curve(drawing, kind.severities, values, name, line=line, shown=number == 0, **pane)
        drawing.update_xaxes(style.axis("severity", dtick=1), **pane)
    drawing.update_yaxes(style.axis("", range=[0, 100]))
    drawing.update_yaxes(title={"text": "% of the images", "standoff": 8, "font": {"size": 13}}, col=1)
    return drawing


def _curve(
    drawing: go.Figure,
    severities: Sequence[int],
    shares: Sequence[float],
    name: str,
    *,
    line: dict[str, object],
    shown: bool,
    **pane: int,
) -> None:
    drawing.add_scatter(
        x=list(severities),
        y=[round(100 * share, 2) for share in shares],
        mode="lines+markers",
        name=name,
        legendgroup=name,
        showlegend=shown,
        line=line,
        marker={"size": 5},
        hovertemplate=f"{name}: %{{y:.1f}} % at severity %{{x}}<extra></extra>",
        **pane,
    )
