"""The share of samples that leave at each exit, by class and by difficulty."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from eenas.escaping import in_figure
from eenas.percent import percent
from eenas.reporting.facts.picked import Picked, exit_names, of_point
from eenas.reporting.figures import figure_style as style

CLASSES = 24
"""The largest number of classes shown."""
FIFTHS = ("easiest fifth", "second fifth", "middle fifth", "fourth fifth", "hardest fifth")
_ROW = 25


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group of samples: their number, the share leaving at each exit (K, with sum 1) and their accuracy.

    `cost` is their mean MACs as a share of the plain backbone's.
    """

    name: str
    samples: int
    leaving: tuple[float, ...]
    accuracy: float
    cost: float


@dataclass(frozen=True, kw_only=True)
class GroupsFacts:
    """The groups from top to bottom; `exits` are the names of the K exits."""

    title: str
    subtitles: tuple[str, ...]
    exits: tuple[str, ...]
    groups: tuple[Group, ...]


def class_facts(picked: Picked, classes: tuple[str, ...], limit: int = CLASSES) -> GroupsFacts:
    """Return the facts for each class, the cheapest at the top.

    With more than `limit` classes only the cheapest and the most expensive are shown, half of the limit each.
    """
    labels = picked.validation.labels
    groups = [_group(picked, labels == number, classes[number]) for number in np.unique(labels).tolist()]
    groups.sort(key=lambda group: group.cost)
    shown = groups if len(groups) <= limit else groups[: limit // 2] + groups[-(limit - limit // 2) :]
    few = "" if len(shown) == len(groups) else f"; {len(shown)} of {len(groups)} classes, lowest and highest costs"
    return GroupsFacts(
        title="Where samples leave: classes",
        subtitles=(f"{of_point(picked)}{few}", "the cheapest class at the top"),
        exits=exit_names(picked),
        groups=tuple(shown),
    )


def difficulty_facts(picked: Picked) -> GroupsFacts:
    """Return the facts for fifths of the samples by difficulty, the easiest at the top.

    A sample is harder the lower the final exit's probability of its class is, at the fitted temperature.
    """
    hardness = -true_probability(picked)
    order = np.argsort(hardness, kind="stable")
    parts = np.array_split(order, len(FIFTHS))
    return GroupsFacts(
        title="Where samples leave: difficulty",
        subtitles=(
            of_point(picked),
            "a sample is harder the lower the final exit's probability of the right class is",
        ),
        exits=exit_names(picked),
        groups=tuple(_group(picked, part, name) for name, part in zip(FIFTHS, parts, strict=True) if len(part)),
    )


def draw_groups(facts: GroupsFacts) -> go.Figure:
    """Draw one stacked bar per group, with one colour per exit, the final exit grey."""
    height = style.TOP + style.BOTTOM + max(200, _ROW * len(facts.groups))
    drawing = style.figure(facts.title, *facts.subtitles, height=height)
    rows = list(range(len(facts.groups)))
    for k, name in enumerate(facts.exits):
        shares = [group.leaving[k] for group in facts.groups]
        drawing.add_bar(
            orientation="h",
            name=in_figure(name),
            y=rows,
            x=[round(100 * share, 2) for share in shares],
            text=[percent(share, 0) if share >= 0.04 else "" for share in shares],
            customdata=[
                in_figure(f"{group.name}: {percent(share)} leave at {name}")
                for group, share in zip(facts.groups, shares, strict=True)
            ],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"size": 12, "color": "white" if style.is_dark(k, len(facts.exits)) else style.INK},
            marker={"color": style.depth_colour(k, len(facts.exits)), "line": {"color": "white", "width": 1}},
            hovertemplate="%{customdata}<extra></extra>",
        )
    labels = [in_figure(f"{group.name} ({percent(group.accuracy, 0)} right)") for group in facts.groups]
    drawing.update_layout(
        barmode="stack", bargap=0.15, legend={"traceorder": "normal"}, uniformtext={"minsize": 11, "mode": "hide"}
    )
    drawing.update_xaxes(style.axis("share of the group's samples that leave at the exit, %", range=[0, 100]))
    drawing.update_yaxes(
        style.axis(
            "",
            tickmode="array",
            tickvals=rows,
            ticktext=labels,
            range=[len(rows) - 0.4, -0.6],
            showgrid=False,
            automargin=True,
        )
    )
    return drawing


def true_probability(picked: Picked) -> NDArray[np.float64]:
    """Return the final exit's probability [N] of each sample's own class on validation, at the fitted temperature."""
    logits = picked.validation.logits[:, -1].astype(np.float64) / picked.temperatures[-1]
    logits -= logits.max(axis=1, keepdims=True)
    chosen = np.take_along_axis(logits, picked.validation.labels[:, None], axis=1)[:, 0]
    return np.asarray(np.exp(chosen - np.log(np.exp(logits).sum(axis=1))))


def _group(picked: Picked, samples: NDArray[np.bool_] | NDArray[np.int64], name: str) -> Group:
    exits = picked.exit_index[samples]
    right = picked.answer[samples] == picked.validation.labels[samples]
    counts = np.bincount(exits, minlength=len(picked.exits))
    return Group(
        name=name,
        samples=len(exits),
        leaving=tuple((counts / len(exits)).tolist()),
        accuracy=float(right.mean()),
        cost=float(picked.shares[exits].mean()),
    )
