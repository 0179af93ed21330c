"""Overthinking: samples that an earlier exit classifies correctly, and the effect of not leaving there."""

from dataclasses import dataclass, replace

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from eenas.escaping import in_figure
from eenas.percent import percent
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.operating_point import evaluate
from eenas.policies.policy import Policy
from eenas.reporting.facts.picked import Picked, exit_names, exit_numbers, of_point
from eenas.reporting.facts.wording import cost_word
from eenas.reporting.figures import figure_style as style


@dataclass(frozen=True, kw_only=True)
class OverthinkingFacts:
    """Overthinking of a network on validation (Kaya et al. 2019, section 4), as shares of samples in [0, 1].

    `wasteful`: the final exit and an earlier one are right. `destructive`: an earlier exit is right and the final one
    is wrong. For each of K exits: `cost` of leaving there as a share of the backbone's MACs, accuracy of the exit
    `alone`, share right there or at an earlier exit (`ever`), and share right there for the first time, with the final
    exit right (`first_kept`) or wrong (`first_spoilt`). `oracle` is the accuracy and mean cost of leaving at the first
    right exit, or at the final one if none is right; `policy` is the same of the operating point.
    `spent` and `whole` name the cost and what it is a share of, `samples` the samples, for the axes.
    """

    title: str
    subtitles: tuple[str, ...]
    exits: tuple[str, ...]
    cost: tuple[float, ...]
    alone: tuple[float, ...]
    ever: tuple[float, ...]
    first_kept: tuple[float, ...]
    first_spoilt: tuple[float, ...]
    wasteful: float
    destructive: float
    oracle: tuple[float, float]
    policy: tuple[float, float]
    spent: str = "MACs"
    whole: str = "the plain backbone's"
    samples: str = "the validation split"


def overthinking_facts(picked: Picked) -> OverthinkingFacts:
    """Return the facts of the picked network."""
    point = picked.item.point
    policy = (point.accuracy, float(picked.shares[picked.exit_index].mean()))
    return _facts(of_point(picked), exit_names(picked), picked.validation, picked.shares, policy)


def overthinking_of(title: str, table: ExitTable, policy: Policy, cost: str = MACS) -> OverthinkingFacts:
    """Return the facts of an exit table and a policy, such as those of nodes; shares are of the final exit's cost.

    Raises PolicyError for an unknown cost and a policy with another number of exits.
    """
    shares = table.costs[cost] / table.costs[cost][-1]
    point, decisions = evaluate(policy, table), policy.apply(table)
    of_policy = (point.accuracy, float(shares[decisions.exit_index].mean()))
    found = _facts(title, table.exits, table, shares, of_policy, cost_word(cost))
    return replace(found, whole="the final exit's", samples="these samples")


def _facts(
    of: str,
    names: tuple[str, ...],
    table: ExitTable,
    shares: NDArray[np.float64],
    policy: tuple[float, float],
    spent: str = cost_word(MACS),
) -> OverthinkingFacts:
    correct = table.correct()
    exits = correct.shape[1]
    ever = np.logical_or.accumulate(correct, axis=1)
    is_right_at_all, final = ever[:, -1], correct[:, -1]
    first = np.where(is_right_at_all, ever.argmax(axis=1), exits - 1)
    kept = np.bincount(first[is_right_at_all & final], minlength=exits) / len(correct)
    spoilt = np.bincount(first[is_right_at_all & ~final], minlength=exits) / len(correct)
    wasteful, destructive = float(kept[:-1].sum()), float(spoilt.sum())
    oracle = (float(is_right_at_all.mean()), float(shares[first].mean()))
    return OverthinkingFacts(
        title="Overthinking: right before the end",
        subtitles=(
            f"{of}; wasteful: {percent(wasteful)} are right before the final exit and also there",
            f"destructive: {percent(destructive)} are right before the final exit and wrong there; leaving at the "
            f"first right exit would reach {percent(oracle[0])} at {percent(oracle[1])} of the {spent}",
        ),
        exits=names,
        cost=tuple(shares.tolist()),
        alone=table.exit_accuracy(),
        ever=tuple(ever.mean(axis=0).tolist()),
        first_kept=tuple(kept.tolist()),
        first_spoilt=tuple(spoilt.tolist()),
        wasteful=wasteful,
        destructive=destructive,
        oracle=oracle,
        policy=policy,
        spent=spent,
    )


def draw_overthinking(facts: OverthinkingFacts) -> go.Figure:
    """Draw accuracy over cost on the left, and the exits that are right for the first time on the right."""
    drawing = style.figure(facts.title, *facts.subtitles, height=style.HEIGHT + 30)
    titles = ("accuracy of each exit", "the first exit that is right")
    style.panes(drawing, 1, 2, titles, horizontal_spacing=0.09, column_widths=[0.55, 0.45])
    drawing.update_layout(margin={"t": style.TOP + 22}, barmode="stack", bargap=0.2, legend={"traceorder": "normal"})
    cost = [round(100 * share, 2) for share in facts.cost]
    for name, values, colour, symbol, dash in (
        ("right at this exit or an earlier one", facts.ever, style.GREEN, "diamond", "dash"),
        ("right at this exit", facts.alone, style.BLUE, "circle", "solid"),
    ):
        drawing.add_scatter(
            x=cost,
            y=[round(100 * value, 2) for value in values],
            text=list(map(in_figure, facts.exits)),
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2, "dash": dash},
            marker={"symbol": symbol, "size": 9},
            hovertemplate=f"%{{text}}: %{{y:.1f}} % at %{{x:.1f}} % of the {in_figure(facts.spent)}<extra></extra>",
            row=1,
            col=1,
        )
    for name, (accuracy, share), colour, symbol in (
        ("leaving at the first right exit", facts.oracle, style.PURPLE, "star"),
        ("the policy", facts.policy, style.VERMILLION, "star"),
    ):
        drawing.add_scatter(
            x=[round(100 * share, 2)],
            y=[round(100 * accuracy, 2)],
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 15, "line": {"color": "white", "width": 1}},
            hovertemplate=f"{name}: %{{y:.1f}} % at %{{x:.1f}} % of the {in_figure(facts.spent)}<extra></extra>",
            row=1,
            col=1,
        )
    never = 1.0 - facts.ever[-1]
    for name, shares, colour in (
        ("final exit right, too", [*facts.first_kept, 0.0], style.SKY),
        ("final exit wrong", [*facts.first_spoilt, 0.0], style.ORANGE),
        ("no exit right", [0.0] * len(facts.exits) + [never], style.PALE),
    ):
        drawing.add_bar(
            x=[*exit_numbers(len(facts.exits)), "none"],
            text=[*map(in_figure, facts.exits), "none"],
            textposition="none",
            y=[round(100 * share, 2) for share in shares],
            name=name,
            marker={"color": colour},
            hovertemplate=f"%{{text}}: %{{y:.1f}} % of the samples, {name}<extra></extra>",
            row=1,
            col=2,
        )
    drawing.update_xaxes(style.axis(f"{facts.spent} of leaving there, % of {facts.whole}"), row=1, col=1)
    drawing.update_yaxes(style.axis(f"accuracy on {facts.samples}, %"), row=1, col=1)
    drawing.update_xaxes(style.axis("exit, by depth", type="category"), row=1, col=2)
    drawing.update_yaxes(style.axis("share of the samples, %"), row=1, col=2)
    return drawing
