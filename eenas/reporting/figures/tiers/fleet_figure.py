"""A simulated fleet: the distribution of its latencies, and latency, shares and loads over the number of devices."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from eenas.deployment.fleet.fleet_runs import FleetRuns
from eenas.escaping import in_figure
from eenas.reporting.facts.tiers.fleet_facts import fleet_summary
from eenas.reporting.figures import figure_style as style

SHARES = (*np.linspace(0.0, 0.99, 100).tolist(), 0.995, 0.999, 1.0)
"""The shares of samples at which the distribution is drawn."""


@dataclass(frozen=True, kw_only=True)
class FleetLine:
    """A line of a pane."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FleetFacts:
    """The figure's data: distributions of latency in ms (x) as shares in percent (y), and lines over devices."""

    title: str
    subtitles: tuple[str, ...]
    distributions: tuple[FleetLine, ...]
    latencies: tuple[FleetLine, ...]
    shares: tuple[FleetLine, ...]


def fleet_facts(found: FleetRuns) -> FleetFacts:
    """Return the facts of simulations with different numbers of devices."""
    counts = tuple(float(each.devices) for each in found.outcomes)
    quantities = {
        "accuracy": [each.accuracy for each in found.outcomes],
        "offloaded": [each.offload_rate for each in found.outcomes],
        "dropped": [each.drop_rate for each in found.outcomes],
        "busy server": [each.loads.server for each in found.outcomes],
    }
    return FleetFacts(
        title=f"Many devices, one server: {found.name}",
        subtitles=tuple(fleet_summary(found)[:2]),
        distributions=tuple(
            FleetLine(
                name=f"{each.devices:,} device{'s' * (each.devices != 1)}",
                x=tuple(np.quantile(each.latency_ms, SHARES).tolist()),
                y=tuple(100 * share for share in SHARES),
            )
            for each in found.outcomes
        ),
        latencies=tuple(
            FleetLine(name=name, x=counts, y=tuple(each.quantile(share) for each in found.outcomes))
            for name, share in (("median", 0.5), ("p90", 0.9), ("p99", 0.99))
        ),
        shares=tuple(
            FleetLine(name=name, x=counts, y=tuple(100 * share for share in values))
            for name, values in quantities.items()
        ),
    )


def draw_fleet(facts: FleetFacts) -> go.Figure:
    """Draw the distributions and, for several numbers of devices, latency and shares over them."""
    titles = ["Latency: share of samples", "Latency over devices", "Shares over devices"]
    drawing = style.figure(facts.title, *facts.subtitles, height=480)
    panes = [(facts.distributions, "ms", "%", "log", "linear")]
    if len(facts.distributions) > 1:
        panes += [(facts.latencies, "devices", "ms", "log", "log"), (facts.shares, "devices", "%", "log", "linear")]
    drawing.update_layout(margin={"t": 112})
    style.panes(drawing, 1, len(panes), [in_figure(title) for title in titles[: len(panes)]])
    looks = [(style.BLUE, "circle", "solid"), *style.BASELINE_LOOKS]
    for column, (lines, across, up, x_type, y_type) in enumerate(panes, start=1):
        for number, line in enumerate(lines):
            colour, symbol, dash = looks[number % len(looks)]
            drawing.add_scatter(
                x=list(line.x),
                y=list(line.y),
                name=in_figure(line.name),
                mode="lines" if column == 1 else "lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                marker={"symbol": symbol, "size": 7},
                row=1,
                col=column,
            )
        drawing.update_xaxes(style.axis(across, type=x_type), row=1, col=column)
        drawing.update_yaxes(style.axis(up, type=y_type), row=1, col=column)
    return drawing
