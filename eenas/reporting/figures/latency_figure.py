"""Predicted against measured latency: composed for each exit of fully trained networks, and measured end to end."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from eenas.errors import StudyError, plural
from eenas.escaping import in_figure
from eenas.policies.costs import LATENCY
from eenas.reporting.facts.picked import exit_numbers
from eenas.reporting.facts.wording import each_batch
from eenas.reporting.figures import figure_style as style
from eenas.runs.run_report import RunReport

LOOKS = (
    (style.BLUE, "circle"),
    (style.ORANGE, "square"),
    (style.GREEN, "diamond"),
    (style.PURPLE, "triangle-up"),
    (style.SKY, "triangle-down"),
)
MOST = len(LOOKS)
"""The largest number of runs; each has its own colour and symbol."""


@dataclass(frozen=True, kw_only=True)
class RunLatency:
    """The K exits of one run in depth order. All latencies are in milliseconds per batch.

    `composed` [K] adds the backbone's prefix and the branches and decisions on the way, each measured alone before the
    search. `measured` [K] is the median for the trained network and `spread` [K] its interquartile range.
    """

    name: str
    exits: tuple[str, ...]
    composed: tuple[float, ...]
    measured: tuple[float, ...]
    spread: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LatencyFacts:
    """Runs of a study with their composed and measured latencies."""

    title: str
    subtitles: tuple[str, ...]
    batch: int
    runs: tuple[RunLatency, ...]


def latency_facts(runs: Sequence[RunReport]) -> LatencyFacts:
    """Return the facts of the newest MOST runs of a study; `runs` are ordered from the oldest to the newest.

    Raises StudyError if there is no run, or none has both latencies of all its exits.
    """
    if not runs:
        raise StudyError(
            "no design of this study is fully trained yet; run `eenas train`, which also measures end to end"
        )
    both = [found for report in runs if (found := _of(report)) is not None][-MOST:]
    if not both:
        names = ", ".join(report.folder.name for report in runs)
        raise StudyError(
            f"no latency was measured exit by exit in {names}: the study's latencies are not for torch on that device "
            "(`eenas export` measures programs end to end), or the run is from an older version (delete it and train "
            "again)"
        )
    ratios = [one / other for run in both for one, other in zip(run.measured, run.composed, strict=True) if other > 0]
    newest = next(report for report in reversed(runs) if _of(report) is not None)
    taken = newest.exits[0].end_to_end
    assert taken is not None
    return LatencyFacts(
        title="Latency predicted against measured",
        subtitles=(
            f"{plural(len(both), 'fully trained network')}: end to end, an exit takes {_range(ratios)} × "
            "the composed latency;",
            f"{taken.conditions}; bars: interquartile range",
        ),
        batch=taken.batch,
        runs=tuple(both),
    )


def draw_latency(facts: LatencyFacts) -> go.Figure:
    """Draw a numbered mark for each exit, and the line of equal latencies."""
    drawing = style.figure(facts.title, *facts.subtitles)
    right = 1.08 * max(max(run.composed) for run in facts.runs)
    top = 1.15 * max(max(run.measured) for run in facts.runs)
    drawing.add_scatter(
        x=[0, min(right, top)],
        y=[0, min(right, top)],
        mode="lines",
        name="as predicted",
        line={"color": "#777777", "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    for run, (colour, symbol) in zip(facts.runs, LOOKS, strict=False):
        drawing.add_scatter(
            x=[round(value, 4) for value in run.composed],
            y=[round(value, 4) for value in run.measured],
            error_y={"type": "data", "array": [round(value / 2, 4) for value in run.spread], "thickness": 1.5},
            text=list(exit_numbers(len(run.exits))),
            customdata=list(map(in_figure, run.exits)),
            mode="lines+markers+text",
            textposition="top left",
            name=in_figure(run.name),
            line={"color": colour, "width": 1},
            marker={"color": colour, "symbol": symbol, "size": 9},
            hovertemplate="%{customdata}: composed %{x:.3g} ms, measured %{y:.3g} ms<extra></extra>",
        )
    unit = f"ms for {each_batch(facts.batch)}"
    drawing.update_xaxes(style.axis(f"composed latency of leaving at the exit, {unit}", range=[0, right]))
    drawing.update_yaxes(style.axis(f"measured end to end, {unit}", range=[0, top]))
    return drawing


def _of(report: RunReport) -> RunLatency | None:
    """Return the latencies of one run; None if one is missing."""
    composed = [exit_.costs[LATENCY] for exit_ in report.exits if LATENCY in exit_.costs]
    measured = [exit_.end_to_end for exit_ in report.exits if exit_.end_to_end is not None]
    if not report.exits or len(composed) < len(report.exits) or len(measured) < len(report.exits):
        return None
    return RunLatency(
        name=report.folder.name,
        exits=tuple(exit_.name for exit_ in report.exits),
        composed=tuple(composed),
        measured=tuple(each.median_ms for each in measured),
        spread=tuple(each.median_ms * each.spread for each in measured),
    )


def _range(ratios: Sequence[float]) -> str:
    low, high = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
    return low if low == high else f"{low} to {high}"
