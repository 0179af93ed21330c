"""Reliability: the accuracy of each exit over its confidence, before and after temperature scaling."""

import math
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from eenas.escaping import in_figure
from eenas.policies.scores import score
from eenas.reporting.facts.picked import Picked, exit_names, of_point
from eenas.reporting.figures import figure_style as style

BINS = 10
COLUMNS = 5
_FEW = 20
"""The fewest samples of a bin that is drawn."""


@dataclass(frozen=True, kw_only=True)
class Bins:
    """Non-empty bins of equal width over the confidence in [0, 1]: mean confidence, accuracy and number of samples.

    `error` is the expected calibration error in [0, 1] over all bins (Guo et al. 2017, equation 3).
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    samples: tuple[int, ...]
    error: float


@dataclass(frozen=True, kw_only=True)
class ExitReliability:
    """One exit: its bins for the raw logits, and for the logits divided by its temperature."""

    name: str
    temperature: float
    before: Bins
    after: Bins


@dataclass(frozen=True, kw_only=True)
class ReliabilityFacts:
    """All exits in depth order."""

    title: str
    subtitles: tuple[str, ...]
    exits: tuple[ExitReliability, ...]


def reliability_facts(picked: Picked) -> ReliabilityFacts:
    """Return the facts on validation, with temperatures from calibration. Confidence is the largest probability."""
    table, correct = picked.validation, picked.validation.correct()
    return ReliabilityFacts(
        title="Confidence against accuracy at each exit",
        subtitles=(
            f"{of_point(picked)}; temperatures from the calibration split; ECE: expected calibration error",
            "on the dotted line confidence equals accuracy; below it an exit is overconfident",
        ),
        exits=tuple(
            ExitReliability(
                name=name,
                temperature=float(picked.temperatures[k]),
                before=bins_of(score(table.logits[:, k]), correct[:, k]),
                after=bins_of(score(table.logits[:, k], float(picked.temperatures[k])), correct[:, k]),
            )
            for k, name in enumerate(exit_names(picked))
        ),
    )


def bins_of(confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = BINS) -> Bins:
    """Bin samples by `confidence` [N] in [0, 1]; `correct` [N] tells which are right. Bins include upper edges."""
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    filled = np.nonzero(count)[0]
    sure = np.bincount(index, weights=confidence, minlength=bins)[filled] / count[filled]
    right = np.bincount(index, weights=correct, minlength=bins)[filled] / count[filled]
    return Bins(
        confidence=tuple(sure.tolist()),
        accuracy=tuple(right.tolist()),
        samples=tuple(count[filled].tolist()),
        error=float((count[filled] * np.abs(sure - right)).sum() / len(confidence)),
    )


def draw_reliability(facts: ReliabilityFacts) -> go.Figure:
    """Draw one pane per exit: raw logits as open circles, temperature-scaled ones as filled squares."""
    rows = math.ceil(len(facts.exits) / COLUMNS)
    columns = math.ceil(len(facts.exits) / rows)
    inner = 235 * rows + 30 * (rows - 1)
    drawing = style.figure(facts.title, *facts.subtitles, height=inner + style.TOP + 24 + style.BOTTOM)
    titles = [
        f"{in_figure(exit_.name)}<br><span style='font-size:11px'>T {exit_.temperature:.2f}, "
        f"ECE {100 * exit_.before.error:.1f} → {100 * exit_.after.error:.1f} points</span>"
        for exit_ in facts.exits
    ]
    spacing = {"horizontal_spacing": 0.05, "vertical_spacing": 75 / inner if rows > 1 else 0}
    style.panes(drawing, rows, columns, titles, shared_yaxes=True, **spacing)
    drawing.update_layout(margin={"t": style.TOP + 24})
    for number, exit_ in enumerate(facts.exits):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        drawing.add_scatter(
            x=[0, 100],
            y=[0, 100],
            mode="lines",
            line={"color": "#777777", "width": 1, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
            **place,
        )
        for name, bins, colour, symbol in (
            ("raw logits", exit_.before, style.ORANGE, "circle-open"),
            ("after temperature", exit_.after, style.BLUE, "square"),
        ):
            kept = [row for row in zip(bins.confidence, bins.accuracy, bins.samples, strict=True) if row[2] >= _FEW]
            drawing.add_scatter(
                x=[round(100 * row[0], 2) for row in kept],
                y=[round(100 * row[1], 2) for row in kept],
                customdata=[row[2] for row in kept],
                mode="lines+markers",
                name=name,
                legendgroup=name,
                showlegend=number == 0,
                line={"color": colour, "width": 1.5},
                marker={"color": colour, "symbol": symbol, "size": 8, "line": {"width": 2, "color": colour}},
                hovertemplate=f"{name}: %{{y:.1f}} % right at %{{x:.1f}} % (%{{customdata}} samples)<extra></extra>",
                **place,
            )
        is_lowest = number + columns >= len(facts.exits)
        drawing.update_xaxes(style.axis("confidence, %" if is_lowest else "", range=[0, 102], dtick=25), **place)
        drawing.update_yaxes(style.axis("right, %" if number % columns == 0 else "", range=[0, 102], dtick=25), **place)
    return drawing
