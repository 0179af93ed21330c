"""The worth of experts: a pane for each kind of distortion, with and without experts, over the severity."""

from collections.abc import Sequence

import plotly.graph_objects as go

from eenas.reporting.facts.worth_facts import WorthFacts
from eenas.reporting.figures import figure_style as style


def draw_worth(facts: WorthFacts) -> go.Figure:
    """Draw one pane for each kind: accuracy with and without experts, and the share sent to the right expert."""
    names = [each.kind for each in facts.kinds]
    drawing, panes = style.kind_panes(facts.title, facts.subtitles, names, "% of the images")
    for number, (kind, pane) in enumerate(zip(facts.kinds, panes, strict=True)):
        for name, values, line in (
            ("sent to the right expert", kind.right, {"color": style.PALE, "width": 2, "dash": "dot"}),
            ("accuracy without experts", kind.plain, {"color": style.BLUE, "width": 2, "dash": "dash"}),
            ("accuracy with experts", kind.experts, {"color": style.VERMILLION, "width": 2}),
        ):
            _curve(drawing, kind.severities, values, name, line=line, shown=number == 0, **pane)
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
