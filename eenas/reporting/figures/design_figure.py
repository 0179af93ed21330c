"""The design as a drawing: the backbone as a bar to the scale of its MACs, with a box above it for each exit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from eenas.errors import StudyError
from eenas.escaping import in_figure
from eenas.networks.backbone_facts import BackboneFacts
from eenas.percent import percent
from eenas.policies.costs import KNOWN, MACS, CostFacts
from eenas.reporting.facts.picked import Picked
from eenas.reporting.facts.row_cost import RowCost, row_costs
from eenas.reporting.facts.wording import place, quantity
from eenas.reporting.figures import figure_style as style

BOX = 25.0
"""The width of a box in percent of the backbone's MACs, the unit of the horizontal axis, for a figure 920 px wide."""
ROW, BAR = 88, 70
"""Heights in pixels of a row of boxes and of the backbone's bar."""

COSTS = tuple(KNOWN.values())


@dataclass(frozen=True, kw_only=True)
class DesignExit:
    """One exit. `position` and `cost` are shares of the plain backbone's MACs, the others shares of samples.

    `position` is the exit's depth in the backbone, `branch_macs` the MACs of its branch alone, and `cost` the cost of
    leaving there with all branches on the way. `accuracy` is for the samples that leave there (None if there are none),
    `alone` for all samples.
    """

    name: str
    structure: str
    position: float
    branch_macs: float
    cost: float
    leaving: float
    accuracy: float | None
    alone: float


@dataclass(frozen=True, kw_only=True)
class DesignFacts:
    """A design at one operating point, with `exits` in depth order, the final one last.

    If every sample leaves at one branch, that branch is the last exit.
    """

    title: str
    subtitles: tuple[str, ...]
    exits: tuple[DesignExit, ...]


def design_facts(
    picked: Picked, backbone: BackboneFacts, cut_point_macs: Mapping[str, int], costs: Sequence[CostFacts] = COSTS
) -> DesignFacts:
    """Return the facts of a design; `cut_point_macs` are the backbone's MACs up to each cut point, `costs` the study's.

    Raises StudyError if a branch is at a cut point without MACs.
    """
    item, point = picked.item, picked.item.point
    exits = _exits(picked, cut_point_macs)
    reach = f"a sample that passes every branch costs {percent(point.worst[MACS] / backbone.macs)} of the MACs"
    if item.ends_at is not None:
        exits = exits[: item.ends_at + 1]
        reach = f"every sample leaves at {place(exits[-1].name)}: the rest of the backbone is not needed"
    others = [each for each in row_costs(costs, point.expected, point.worst, backbone) if each.name != MACS]
    said = [f", {each.text}" + _of_backbone(each) for each in others if each.expected is not None]
    return DesignFacts(
        title=f"The design: {item.name}",
        subtitles=(
            f"{percent(point.accuracy)} (the backbone: {percent(backbone.accuracy)}) at "
            f"{quantity(point.expected[MACS], 'MACs')} ({percent(item.macs_share)}){''.join(said)}",
            reach,
        ),
        exits=exits,
    )


def _of_backbone(cost: RowCost) -> str:
    return "" if cost.share is None else f" ({cost.share_text()} the backbone's)"


def draw_design(facts: DesignFacts) -> go.Figure:
    """Draw the design. A segment of the bar has the colour of the exit at its end; boxes that would overlap move up."""
    rows = box_rows([_centre(exit_) for exit_ in facts.exits], BOX)
    levels = max(rows, default=0) + 1
    inner = BAR + levels * ROW
    drawing = style.figure(facts.title, *facts.subtitles, height=inner + style.TOP + 55)
    drawing.update_layout(showlegend=False, margin={"l": 20, "r": 20, "b": 55}, barmode="overlay")
    before, last = 0.0, facts.exits[-1].name if facts.exits else ""
    is_whole = last == "final"
    colours = len(facts.exits) if is_whole else len(facts.exits) + 1  # the last colour is the final exit's
    for index, (exit_, row) in enumerate(zip(facts.exits, rows, strict=True)):
        colour = style.depth_colour(index, colours)
        drawing.add_bar(
            orientation="h",
            y=[0.5],
            x=[round(100 * (exit_.position - before), 3)],
            base=[round(100 * before, 3)],
            width=0.6,
            marker={"color": colour, "line": {"color": "white", "width": 1}},
            hovertemplate=f"{percent(exit_.position - before)} of the backbone's MACs up to {in_figure(exit_.name)}"
            "<extra></extra>",
        )
        before = exit_.position
        height = 1.0 + (row + 0.5) * ROW / BAR
        drawing.add_shape(
            type="line",
            x0=100 * exit_.position,
            x1=100 * exit_.position,
            y0=0.2,
            y1=height,
            line={"color": "#777777", "width": 1.5},
            layer="below",
        )
        drawing.add_annotation(
            x=_centre(exit_),
            y=height,
            text=_words(exit_, index, colours),
            showarrow=False,
            align="left",
            bgcolor="white",
            bordercolor=colour,
            borderwidth=2.5,
            borderpad=4,
            font={"size": 12},
        )
    if facts.exits and not is_whole:
        _draw_rest(drawing, before)
    drawing.update_xaxes(
        style.axis(
            "MACs of the backbone, % (the bar; a box position where its exit is)", range=[-2, 102], showgrid=False
        )
    )
    drawing.update_yaxes(visible=False, range=[0, 1.0 + levels * ROW / BAR])
    return drawing


def _draw_rest(drawing: go.Figure, start: float) -> None:
    """Draw the part of the backbone after the last exit that samples reach."""
    drawing.add_bar(
        orientation="h",
        y=[0.5],
        x=[round(100 * (1 - start), 3)],
        base=[round(100 * start, 3)],
        width=0.6,
        marker={"color": style.PALE, "line": {"color": style.PALE, "width": 1}, "pattern": style.pattern("/")},
        text=["not needed"],
        textposition="inside",
        insidetextanchor="middle",
        textfont={"size": 12, "color": style.INK},
        hovertemplate=f"{percent(1 - start)} of the backbone's MACs, which no sample needs<extra></extra>",
    )


def box_rows(centres: Sequence[float], width: float) -> list[int]:
    """Return the row of each box, 0 the lowest, without overlaps in a row; `centres` are in depth order."""
    rows: list[int] = []
    for index, centre in enumerate(centres):
        taken = {row for other, row in zip(centres[:index], rows, strict=True) if abs(other - centre) < width}
        rows.append(next(row for row in range(index + 1) if row not in taken))
    return rows


def _exits(picked: Picked, cut_point_macs: Mapping[str, int]) -> tuple[DesignExit, ...]:
    whole, point, table = picked.backbone_macs, picked.item.point, picked.validation
    placed = picked.item.design.branches
    if missing := [branch.cut_point for branch in placed if branch.cut_point not in cut_point_macs]:
        raise StudyError(f"the study's profile has no cut point {missing[0]!r}; search again with this backbone")
    position = [cut_point_macs[branch.cut_point] / whole for branch in placed] + [1.0]
    branches = np.diff(table.costs[MACS] / whole - np.array(position), prepend=0.0)
    structures = [branch.branch.label() for branch in placed] + ["the backbone's classifier"]
    return tuple(
        DesignExit(
            name=table.exits[k],
            structure=structures[k],
            position=position[k],
            branch_macs=max(0.0, whole * float(branches[k])),
            cost=float(table.costs[MACS][k]) / whole,
            leaving=point.shares[k],
            accuracy=point.exit_accuracy[k],
            alone=alone,
        )
        for k, alone in enumerate(table.exit_accuracy())
    )


def _centre(exit_: DesignExit) -> float:
    """Return the centre of a box: its exit's position, moved to keep the box within the drawing."""
    return min(max(100 * exit_.position, BOX / 2 - 1.5), 101.5 - BOX / 2)


def _words(exit_: DesignExit, index: int, exits: int) -> str:
    number = "final exit" if index == exits - 1 else f"{index + 1}: {in_figure(place(exit_.name))}"
    cost = "" if index == exits - 1 else f", {quantity(exit_.branch_macs, 'MACs')}"
    leaving = f"<b>{percent(exit_.leaving)}</b> leave, {percent(exit_.accuracy)} right"
    return (
        f"<b>{number}</b><br>{in_figure(exit_.structure)}{cost}<br>"
        f"{'nobody leaves' if exit_.accuracy is None else leaving}<br>"
        f"<span style='color:#555555'>alone {percent(exit_.alone)}</span>"
    )
