"""Confusion of the exits as a detector of the final exit's errors, beside its confidence."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from eenas.policies.risk.error_detection import auroc, confusion, roc_curve
from eenas.policies.scores import score
from eenas.reporting.facts.picked import Picked, of_point
from eenas.reporting.figures import figure_style as style

POINTS = 200
"""The largest number of points of a curve."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Detector:
    """A detector of errors: the area under its ROC curve, and the curve as shares of right and wrong samples [M]."""

    name: str
    auroc: float
    alarms: NDArray[np.float64]
    hits: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ConfusionFacts:
    """The detectors of errors of the final exit on validation, from the best to the worst."""

    title: str
    subtitles: tuple[str, ...]
    detectors: tuple[Detector, ...]


def confusion_facts(picked: Picked) -> ConfusionFacts:
    """Return the facts of the picked network. Raises PolicyError if the final exit is never or always wrong."""
    table, temperatures = picked.validation, picked.temperatures
    wrong = ~table.correct()[:, -1]
    given = {
        "confusion of the exits": confusion(table, temperatures),
        "1 − largest probability": 1 - score(table.logits[:, -1], float(temperatures[-1])),
    }
    found = sorted((_detector(name, scores, wrong) for name, scores in given.items()), key=lambda each: -each.auroc)
    best, other = found
    return ConfusionFacts(
        title="Errors of the final exit, detected",
        subtitles=(
            f"{of_point(picked)}; {int(wrong.sum()):,} answers of the final exit are wrong",
            f"area under the curve: {best.name} {best.auroc:.3f}, {other.name} {other.auroc:.3f}; 0.5 is chance",
        ),
        detectors=tuple(found),
    )


def draw_confusion(facts: ConfusionFacts) -> go.Figure:
    """Draw the ROC curve of each detector."""
    drawing = style.figure(facts.title, *facts.subtitles)
    for detector, (colour, dash) in zip(facts.detectors, ((style.BLUE, "solid"), (style.ORANGE, "dash")), strict=True):
        drawing.add_scatter(
            x=np.round(100 * detector.alarms, 2).tolist(),
            y=np.round(100 * detector.hits, 2).tolist(),
            mode="lines",
            name=f"{detector.name}: {detector.auroc:.3f}",
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate="%{y:.1f} % of the errors at %{x:.1f} % false alarms<extra></extra>",
        )
    drawing.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="chance",
        line={"color": style.PALE, "dash": "dot", "width": 1.5},
        hoverinfo="skip",
    )
    drawing.update_xaxes(style.axis("right answers above the alarm level, %", range=[-1, 101]))
    drawing.update_yaxes(style.axis("wrong answers above it, %", range=[-1, 101]))
    return drawing


def _detector(name: str, scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> Detector:
    alarms, hits = roc_curve(scores, wrong)
    kept = np.unique(np.linspace(0, len(alarms) - 1, POINTS).round().astype(np.int64))
    return Detector(name=name, auroc=auroc(scores, wrong), alarms=alarms[kept], hits=hits[kept])
