"""Agreement between exits, and prediction depth: the first exit from which the final answer no longer changes."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from eenas.escaping import in_figure
from eenas.percent import percent
from eenas.reporting.facts.picked import Picked, exit_names, exit_numbers, of_point
from eenas.reporting.figures import figure_style as style


@dataclass(frozen=True, kw_only=True, eq=False)
class AgreementFacts:
    """The agreement of K exits on validation, as shares of samples in [0, 1].

    `agreement` [K, K] is the share for which two exits give the same class. `settled` [K] is the share of samples at
    each prediction depth, the first exit from which all exits give the final answer (Baldock et al. 2021, with exits as
    probes). `settled_right` [K] is the accuracy of the final exit on them, None if there are none. `consistent` is the
    share of early leavers that get the final exit's answer; `unsettled` is the share that leave before their answer has
    settled.
    """

    title: str
    subtitles: tuple[str, ...]
    exits: tuple[str, ...]
    agreement: NDArray[np.float64]
    settled: tuple[float, ...]
    settled_right: tuple[float | None, ...]
    consistent: float | None
    unsettled: float


def agreement_facts(picked: Picked) -> AgreementFacts:
    """Return the facts of the picked network."""
    answers, table = picked.validation.answers(), picked.validation
    exits = answers.shape[1]
    agreement = np.array([(answers == answers[:, [k]]).mean(axis=0) for k in range(exits)])
    depth = prediction_depth(answers)
    count = np.bincount(depth, minlength=exits)
    right = np.bincount(depth[table.correct()[:, -1]], minlength=exits)
    early = picked.exit_index < exits - 1
    same = picked.answer == answers[:, -1]
    consistent = float(same[early].mean()) if early.any() else None
    unsettled = float((picked.exit_index < depth).mean())
    return AgreementFacts(
        title="Agreement between exits",
        subtitles=(
            f"{of_point(picked)}; {percent(consistent)} of early leavers get the answer of the final exit",
            f"{percent(unsettled)} of all leave before their answer has settled; exits may agree on a wrong answer",
        ),
        exits=exit_names(picked),
        agreement=agreement,
        settled=tuple((count / len(depth)).tolist()),
        settled_right=tuple(int(r) / int(n) if n else None for r, n in zip(right, count, strict=True)),
        consistent=consistent,
        unsettled=unsettled,
    )


def prediction_depth(answers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first exit [N] from which all exits give the last one's answer, for answers [N, K]."""
    differs = answers != answers[:, [-1]]
    last = differs.shape[1] - 1 - np.argmax(differs[:, ::-1], axis=1)
    return np.asarray(np.where(differs.any(axis=1), last + 1, 0), dtype=np.int64)


def draw_agreement(facts: AgreementFacts) -> go.Figure:
    """Draw the agreement matrix on the left and prediction depth on the right."""
    drawing = style.figure(facts.title, *facts.subtitles, height=style.HEIGHT + 60)
    titles = ("same answer, % of the samples", "prediction depth: where the answer settles")
    style.panes(drawing, 1, 2, titles, horizontal_spacing=0.12, column_widths=[0.5, 0.5])
    drawing.update_layout(margin={"t": style.TOP + 22}, barmode="stack", bargap=0.2, legend={"traceorder": "normal"})
    numbers = list(exit_numbers(len(facts.exits)))
    percents = np.round(100 * facts.agreement, 1)
    drawing.add_heatmap(
        x=numbers,
        y=list(map(in_figure, facts.exits)),
        z=percents.tolist(),
        text=[[f"{value:.0f}" for value in row] for row in percents],
        texttemplate="%{text}",
        colorscale="Cividis",
        showscale=False,
        zmin=0,
        zmax=100,
        xgap=1,
        ygap=1,
        hovertemplate="%{y} and exit %{x} agree on %{z:.1f} %<extra></extra>",
        row=1,
        col=1,
    )
    known = [right or 0.0 for right in facts.settled_right]
    for name, shares, colour in (
        ("final exit right", [s * r for s, r in zip(facts.settled, known, strict=True)], style.BLUE),
        ("final exit wrong", [s * (1 - r) for s, r in zip(facts.settled, known, strict=True)], style.ORANGE),
    ):
        drawing.add_bar(
            x=numbers,
            y=[round(100 * share, 2) for share in shares],
            name=name,
            marker={"color": colour},
            hovertemplate=f"settled at exit %{{x}}, {name}: %{{y:.1f}} %<extra></extra>",
            row=1,
            col=2,
        )
    drawing.update_xaxes(style.axis("exit, by depth", type="category", showgrid=False))
    drawing.update_yaxes(style.axis("", autorange="reversed", showgrid=False, automargin=True), row=1, col=1)
    drawing.update_yaxes(style.axis("share of the samples, %"), row=1, col=2)
    return drawing
