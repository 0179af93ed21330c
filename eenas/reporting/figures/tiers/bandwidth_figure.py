"""Time over bandwidth: the best split of a network between tiers, with everything on the first and on the last one."""

import math

import plotly.graph_objects as go

from eenas.escaping import in_figure
from eenas.reporting.facts.tiers.tier_facts import TierFacts
from eenas.reporting.facts.tiers.tier_rows import split_text
from eenas.reporting.figures import figure_style as style

MOST_LABELS = 6
"""The largest number of ranges whose best split is written into the figure."""


def draw_bandwidth(facts: TierFacts) -> go.Figure:
    """Draw expected latency over bandwidth, both logarithmic; dotted lines mark where the best split changes."""
    lines, names, link = facts.lines, facts.tiers.names, facts.tiers.links[0]
    inner = facts.ranges[1:-1] if len(facts.ranges) > 2 else ()
    drawing = style.figure(
        "Time over bandwidth",
        f"{facts.subject.name}; {names[0]}: {facts.tiers.tiers[0].source}, {names[-1]}: {facts.tiers.tiers[-1].source}",
        f"round trip {link.round_trip_ms:g} ms, {link.codec}; the best split has the lowest {facts.cost}",
    )
    both = (
        (f"{names[0]} only", lines.edge_only, style.ORANGE, "dash"),
        (f"{names[-1]} only", lines.cloud_only, style.GREEN, "dot"),
        ("best split", lines.best, style.BLUE, "solid"),
    )
    for name, values, colour, dash in both:
        drawing.add_scatter(
            x=[round(each, 4) for each in lines.mbit.tolist()],
            y=[round(each, 4) for each in values.tolist()],
            mode="lines",
            name=in_figure(name),
            text=[in_figure(split_text(facts, split)) for split in lines.splits] if name == "best split" else None,
            line={"color": colour, "width": 4 if name == "best split" else 2, "dash": dash},
            opacity=0.6 if name == "best split" else 1,
            hovertemplate="%{x:.3g} Mbit/s: %{y:.3g} ms"
            + (", %{text}" if name == "best split" else "")
            + "<extra></extra>",
        )
    for each in facts.ranges[1:]:
        drawing.add_vline(x=each.low, line={"color": "#888888", "width": 1, "dash": "dot"})
    for each in inner[:MOST_LABELS]:
        middle = (each.low * (each.high or each.low)) ** 0.5
        drawing.add_annotation(
            x=math.log10(middle), y=1, yref="paper", yanchor="top", text=in_figure(split_text(facts, each.split)),
            showarrow=False, textangle=-90, font={"size": 11, "color": "#555555"},
        )  # fmt: skip
    drawing.update_xaxes(style.axis("bandwidth of the link, Mbit/s", type="log", dtick=1))
    drawing.update_yaxes(style.axis("expected ms for a sample", type="log", rangemode="tozero"))
    return drawing
