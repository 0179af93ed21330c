"""The explored search space: cut points, structures and numbers of branches of all networks and of the front."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from eenas.designs.design import Design
from eenas.errors import plural
from eenas.escaping import in_figure
from eenas.reporting.facts.wording import place
from eenas.reporting.figures import figure_style as style
from eenas.results.results import StudyResults


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The values of one kind of choice, with the share of each among the networks tried and those on the front."""

    name: str
    values: tuple[str, ...]
    tried: tuple[float, ...]
    surviving: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SurvivorsFacts:
    """The choices of a study's networks. A network counts once, whatever its number of points on the front."""

    title: str
    subtitles: tuple[str, ...]
    networks: int
    survivors: int
    choices: tuple[Choices, ...]


def survivors_facts(results: StudyResults, cut_points: Sequence[str]) -> SurvivorsFacts:
    """Return the facts of every trial with operating points; `cut_points` are the backbone's, in depth order."""
    tried = {trial.number: trial.design for trial in results.trials if trial.points and trial.design is not None}
    numbers = {item.trial for item in results.front if item.trial is not None}
    surviving = {number: design for number, design in tried.items() if number in numbers}
    most = max((len(design.branches) for design in tried.values()), default=0)
    return SurvivorsFacts(
        title="How the space was explored",
        subtitles=(
            f"{plural(len(tried), 'network')} tried, {len(surviving)} of them with a point on the front",
            "a choice with blue above grey is more frequent on the front than among all networks",
        ),
        networks=len(tried),
        survivors=len(surviving),
        choices=(
            _choices("a branch at", tried.values(), surviving.values(), places_of, [*map(place, cut_points)]),
            _choices("a branch of", tried.values(), surviving.values(), families_of, None),
            _choices("branches", tried.values(), surviving.values(), count_of, [str(n) for n in range(most + 1)]),
        ),
    )


def places_of(design: Design) -> set[str]:
    """Return the names of the cut points with a branch, for readers."""
    return {place(placed.cut_point) for placed in design.branches}


def families_of(design: Design) -> set[str]:
    """Return the families of the branches, such as "conv_fc"."""
    return {str(placed.branch.to_table()["kind"]) for placed in design.branches}


def count_of(design: Design) -> set[str]:
    """Return the number of branches as text."""
    return {str(len(design.branches))}


def draw_survivors(facts: SurvivorsFacts) -> go.Figure:
    """Draw a pane for each kind of choice: networks tried in grey, those on the front in blue."""
    longest = max((len(value) for choices in facts.choices for value in choices.values), default=0)
    drop = style.LEGEND_DROP + round(4.5 * longest)  # room for slanted labels between the axis and the legend
    height = style.HEIGHT + drop - style.LEGEND_DROP
    drawing = style.figure(facts.title, *facts.subtitles, height=height, drop=drop)
    widths = [max(3, len(choices.values)) for choices in facts.choices]
    titles = [in_figure(f"{choices.name} …") for choices in facts.choices]
    titles[-1] = "number of branches"
    style.panes(
        drawing,
        1,
        len(widths),
        titles,
        column_widths=[width / sum(widths) for width in widths],
        shared_yaxes=True,
        horizontal_spacing=0.05,
    )
    drawing.update_layout(margin={"t": style.TOP + 22}, barmode="group", bargap=0.25)
    for column, choices in enumerate(facts.choices, start=1):
        for name, shares, colour, pattern in (
            (f"networks tried ({facts.networks})", choices.tried, style.PALE, "/"),
            (f"networks on the front ({facts.survivors})", choices.surviving, style.BLUE, ""),
        ):
            drawing.add_bar(
                x=list(map(in_figure, choices.values)),
                y=[round(100 * share, 2) for share in shares],
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                marker={"color": colour, "pattern": style.pattern(pattern)},
                hovertemplate=f"{in_figure(choices.name)} %{{x}}: %{{y:.0f}} % of the {name}<extra></extra>",
                row=1,
                col=column,
            )
        drawing.update_xaxes(style.axis("", type="category", tickangle=-35, showgrid=False), row=1, col=column)
        drawing.update_yaxes(
            style.axis("share of the networks, %" if column == 1 else "", range=[0, 105]), row=1, col=column
        )
    if not facts.networks:
        style.say_empty(drawing, "no trial has finished with an operating point yet")
    return drawing


def _choices(
    name: str,
    tried: Iterable[Design],
    surviving: Iterable[Design],
    values_of: Callable[[Design], set[str]],
    values: Sequence[str] | None,
) -> Choices:
    """Return the shares of each value, in the order of `values`, or by frequency if that is None."""
    tried, surviving = list(tried), list(surviving)
    before = Counter(value for design in tried for value in values_of(design))
    after = Counter(value for design in surviving for value in values_of(design))
    shown = tuple(values) if values is not None else tuple(value for value, _ in before.most_common())
    return Choices(
        name=name,
        values=shown,
        tried=tuple(before[value] / max(1, len(tried)) for value in shown),
        surviving=tuple(after[value] / max(1, len(surviving)) for value in shown),
    )
