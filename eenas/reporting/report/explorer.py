"""The policy explorer: an exit table small enough for a page, which recomputes the policy for each limit itself."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from eenas.escaping import in_figure
from eenas.networks.backbone_facts import BackboneFacts
from eenas.policies.costs import MACS
from eenas.policies.curve import signal_curve
from eenas.reporting.facts.explored_policy import explored
from eenas.reporting.facts.picked import Picked, exit_names
from eenas.reporting.facts.wording import cost_word
from eenas.reporting.figures import figure_style as style

FEW = 12
"""Curves with at most this many points are drawn with marks."""
STEPS = 240
"""The approximate number of slider positions; a step must fit into a byte."""
SAMPLES = 20_000
"""The largest number of samples, drawn at random from a larger split."""
HERE = "here"
"""The name of the trace that follows the slider."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplorerFacts:
    """The data that the page needs to follow the slider, for S steps, N samples and K exits.

    `thresholds` float64 [S] rise from 0 (all leave as early as possible) to infinity (no sample leaves early), spaced
    over expected MACs. `name` describes them and `labels` [S] are their texts. `codes` uint8 [N, K - 1] is the number
    of thresholds that a sample's signal reaches at an exit: the sample leaves there if the step is below it. `correct`
    is bool [N, K]. `costs` [K] of leaving at each exit are by name, the MACs first, as shares of the plain backbone's,
    if known. `accuracy` and `spent` [S] are the curve. `own` is the design's own operating point, (share of MACs,
    accuracy), and `start` the step nearest to it in MACs.
    """

    title: str
    subtitles: tuple[str, ...]
    exits: tuple[str, ...]
    name: str
    thresholds: NDArray[np.float64]
    labels: tuple[str, ...]
    codes: NDArray[np.uint8]
    correct: NDArray[np.bool_]
    costs: Mapping[str, NDArray[np.float64]]
    accuracy: NDArray[np.float64]
    spent: NDArray[np.float64]
    backbone_accuracy: float
    own: tuple[float, float]
    start: int


def explorer_facts(picked: Picked, backbone: BackboneFacts, samples: int = SAMPLES) -> ExplorerFacts:
    """Return the facts on validation: the network's own kind of policy, fitted on calibration, with any limit."""
    table = picked.validation
    if len(table) > samples:
        table = table.take(np.sort(np.random.default_rng(0).permutation(len(table))[:samples]))
    moved = explored(picked, table)
    evidence = moved.policy.evidence(moved.table)
    signals = moved.policy.signals(evidence)
    correct = moved.policy.answers(evidence) == table.labels[:, None]
    curve = signal_curve(signals, correct, table)
    macs = curve.costs[MACS]
    wanted = np.linspace(macs[0], macs[-1], STEPS)
    own = int(np.abs(macs / picked.backbone_macs - picked.item.macs_share).argmin())
    kept = np.unique([*np.searchsorted(macs, wanted).clip(0, len(curve) - 1), 0, own, len(curve) - 1])
    thresholds = curve.thresholds[kept]
    exit_costs = table.costs.under(picked.item.point.split)
    known = [name for name in exit_costs.names if backbone.costs.get(name)]
    spent = macs[kept] / picked.backbone_macs
    return ExplorerFacts(
        title=f"Policy explorer: {picked.item.name}",
        subtitles=(
            f"the slider moves {moved.limit}; {len(table):,} samples of the validation split",
            f"the network's own policy, fitted on the calibration split (diamond): {moved.own}"
            + ("" if moved.is_own else "; the slider cannot reach it"),
        ),
        exits=exit_names(picked),
        name=moved.name,
        thresholds=thresholds,
        labels=tuple(map(moved.label, thresholds.tolist())),
        codes=np.searchsorted(thresholds, signals, side="right").astype(np.uint8),
        correct=correct,
        costs={name: exit_costs[name] / backbone.costs[name] for name in known},
        accuracy=curve.accuracy[kept],
        spent=spent,
        backbone_accuracy=backbone.accuracy,
        own=(picked.item.macs_share, picked.item.point.accuracy),
        start=int(np.searchsorted(kept, own)),
    )


def page_data(facts: ExplorerFacts) -> str:
    """Return the facts as JSON for `report.js`, with bytes in base 64 and `correct` packed to bits, row by row."""
    return json.dumps(
        {
            "exits": facts.exits,
            "thresholds": [round(value, 6) if np.isfinite(value) else None for value in facts.thresholds.tolist()],
            "labels": facts.labels,
            "samples": len(facts.codes),
            "codes": base64.b64encode(facts.codes.tobytes()).decode(),
            "correct": base64.b64encode(np.packbits(facts.correct).tobytes()).decode(),
            "costs": [
                {"word": cost_word(name), "isMacs": name == MACS, "values": each.tolist()}
                for name, each in facts.costs.items()
            ],
            "start": facts.start,
        }
    )


def draw_explorer(facts: ExplorerFacts) -> go.Figure:
    """Draw the figure that the page updates: the curve with the current limit, and the share leaving at each exit."""
    drawing = style.figure(facts.title, *facts.subtitles, height=style.HEIGHT)
    room = 0.06 + 0.0075 * max(map(len, facts.exits))  # for the names of exits between the panes
    style.panes(drawing, 1, 2, ("accuracy against compute", "where samples leave"), horizontal_spacing=min(0.4, room))
    drawing.update_layout(margin={"t": style.TOP + 22}, bargap=0.2)
    drawing.add_scatter(
        x=np.round(100 * facts.spent, 2).tolist(),
        y=np.round(100 * facts.accuracy, 2).tolist(),
        mode="lines" if len(facts.spent) > FEW else "lines+markers",
        name=in_figure(f"any {facts.name}"),
        line={"color": style.BLUE, "width": 2},
        hovertemplate="%{y:.1f} % at %{x:.1f} %<extra></extra>",
        row=1,
        col=1,
    )
    drawing.add_scatter(
        x=[100],
        y=[round(100 * facts.backbone_accuracy, 2)],
        mode="markers",
        name="plain backbone",
        marker={"color": style.INK, "symbol": "circle-open", "size": 10, "line": {"width": 2}},
        hovertemplate="plain backbone: %{y:.1f} %<extra></extra>",
        row=1,
        col=1,
    )
    drawing.add_scatter(
        x=[round(100 * facts.own[0], 2)],
        y=[round(100 * facts.own[1], 2)],
        mode="markers",
        name="own policy",
        marker={"color": style.INK, "symbol": "diamond-open", "size": 19, "line": {"width": 1.5}},
        hovertemplate="the network's own policy: %{y:.1f} % at %{x:.1f} %<extra></extra>",
        row=1,
        col=1,
    )
    drawing.add_scatter(
        x=[round(100 * facts.spent[facts.start], 2)],
        y=[round(100 * facts.accuracy[facts.start], 2)],
        mode="markers",
        name=HERE,
        marker={"color": style.VERMILLION, "symbol": "star", "size": 17, "line": {"color": "white", "width": 1.5}},
        hovertemplate="%{y:.1f} % at %{x:.1f} %<extra></extra>",
        row=1,
        col=1,
    )
    shares = leaving_at(facts, facts.start)
    exits = len(facts.exits)
    drawing.add_bar(
        orientation="h",
        y=list(map(in_figure, facts.exits)),
        x=np.round(100 * shares, 2).tolist(),
        text=[f"{100 * share:.1f} %" for share in shares],
        textposition="outside",
        cliponaxis=False,
        name="leaving",
        showlegend=False,
        marker={"color": [style.depth_colour(k, exits) for k in range(exits)]},
        hovertemplate="%{y}: %{x:.1f} % leave<extra></extra>",
        row=1,
        col=2,
    )
    drawing.update_xaxes(style.axis("expected MACs, % of the plain backbone's"), row=1, col=1)
    drawing.update_yaxes(style.axis("accuracy on the validation split, %"), row=1, col=1)
    drawing.update_xaxes(style.axis("share of samples that leave there, %", range=[0, 109], dtick=20), row=1, col=2)
    drawing.update_yaxes(style.axis("", autorange="reversed", showgrid=False, automargin=True), row=1, col=2)
    return drawing


def leaving_at(facts: ExplorerFacts, step: int) -> NDArray[np.float64]:
    """Return the share of samples [K] that leave at each exit at a step, as `report.js` computes it in the page."""
    leaves = np.append(facts.codes > step, np.ones((len(facts.codes), 1), dtype=np.bool_), axis=1)
    return np.asarray(np.bincount(leaves.argmax(axis=1), minlength=len(facts.exits)) / len(leaves))
