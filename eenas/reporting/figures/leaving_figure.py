"""Where samples leave: for designs along the front, the share of samples that leave at each exit."""

from dataclasses import dataclass

import plotly.graph_objects as go

from eenas.escaping import in_figure
from eenas.percent import percent
from eenas.reporting.facts.selection import spread, with_best
from eenas.reporting.facts.wording import place
from eenas.reporting.figures import figure_style as style
from eenas.results.results import StudyResults


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """One exit of one bar: the share of samples that leave there, and their accuracy."""

    exit: str
    structure: str
    share: float
    accuracy: float | None
    is_final: bool = False


@dataclass(frozen=True, kw_only=True)
class LeavingBar:
    """One operating point of the front, with `exits` in depth order."""

    label: str
    network: str
    knee: bool
    exits: tuple[Leaving, ...]


@dataclass(frozen=True, kw_only=True)
class LeavingFacts:
    """The bars, from the cheapest design to the most accurate one."""

    title: str
    subtitles: tuple[str, ...]
    bars: tuple[LeavingBar, ...]


def leaving_facts(results: StudyResults, limit: int = 6) -> LeavingFacts:
    """Return the facts for at most `limit` choices, spaced evenly along the front, and the best within each budget."""
    bars = []
    for item in reversed(with_best(results, spread(results.choices, limit))):
        structures = [*(placed.branch.label() for placed in item.design.branches), "backbone"]
        exits = zip(item.design.exits, structures, item.point.shares, item.point.exit_accuracy, strict=False)
        bars.append(
            LeavingBar(
                label=f"{in_figure(item.name)}{' (knee)' if item.knee else ''}<br>"
                f"{percent(item.point.accuracy)} at {percent(item.macs_share, 0)}",
                network=item.name,
                knee=item.knee,
                exits=tuple(
                    Leaving(
                        exit=name,
                        structure=structure,
                        share=share,
                        accuracy=accuracy,
                        is_final=index == len(item.design.branches),
                    )
                    for index, (name, structure, share, accuracy) in enumerate(exits)
                ),
            )
        )
    return LeavingFacts(
        title="Where samples leave",
        subtitles=(
            "points along the front, the cheapest at the bottom, each for the whole validation split;",
            "labels: accuracy at the share of the backbone's MACs",
        ),
        bars=tuple(bars),
    )


def draw_leaving(facts: LeavingFacts) -> go.Figure:
    """Draw one stacked bar per design, with one colour per exit in depth order, the final exit grey."""
    drawing = style.figure(facts.title, *facts.subtitles)
    # Two points of one design may have equal labels, so bars are placed by number.
    rows = list(range(len(facts.bars)))
    branches = [[exit_ for exit_ in bar.exits if not exit_.is_final] for bar in facts.bars]
    for index in range(max(map(len, branches), default=0)):
        found = [(row, exits[index]) for row, exits in enumerate(branches) if index < len(exits)]
        _add(drawing, f"exit {index + 1}", style.DEPTHS[min(index, len(style.DEPTHS) - 1)], found, dark=index >= 4)
    last = [(row, bar.exits[-1]) for row, bar in enumerate(facts.bars) if bar.exits[-1].is_final]
    _add(drawing, "final exit", style.FINAL, last, dark=False)
    drawing.update_layout(barmode="stack", bargap=0.25, margin={"l": 165}, uniformtext={"minsize": 11, "mode": "hide"})
    drawing.update_layout(legend={"traceorder": "normal"})
    if not facts.bars:
        style.say_empty(drawing, "there is no front yet")
    drawing.update_xaxes(style.axis("share of samples that leave at the exit, %", range=[0, 100]))
    drawing.update_yaxes(
        style.axis("", tickmode="array", tickvals=rows, ticktext=[bar.label for bar in facts.bars], showgrid=False)
    )
    return drawing


def _add(drawing: go.Figure, name: str, colour: str, found: list[tuple[int, Leaving]], *, dark: bool) -> None:
    drawing.add_bar(
        orientation="h",
        name=name,
        y=[row for row, _ in found],
        x=[round(100 * leaving.share, 2) for _, leaving in found],
        text=[in_figure(_inside(leaving)) for _, leaving in found],
        customdata=[in_figure(_words(leaving)) for _, leaving in found],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont={"size": 12, "color": "white" if dark else style.INK},
        marker={"color": colour, "line": {"color": "white", "width": 1}},
        hovertemplate="%{customdata}<extra></extra>",
    )


def _inside(leaving: Leaving) -> str:
    """Return the text that fits into a segment at the width of a figure in optuna-dashboard."""
    if leaving.share < 0.06:
        return ""
    return f"{place(leaving.exit) + ' ' if leaving.share >= 0.2 else ''}{percent(leaving.share, 0)}"


def _words(leaving: Leaving) -> str:
    right = "" if leaving.accuracy is None else f", {percent(leaving.accuracy)} of them correct"
    return f"{place(leaving.exit)} ({leaving.structure}): {percent(leaving.share)} leave{right}"
