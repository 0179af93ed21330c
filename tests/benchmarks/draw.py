"""Draws a benchmark's CSV: `python tests/benchmarks/draw.py strategies.csv strategies.html`.

The page needs no network; open it in a browser. What is drawn follows from the columns of the CSV.
It draws the CSVs of strategies, structures, bank and deployment.
"""

import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import plotly.graph_objects as go

from eenas.reporting.figures.figure_style import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILLION, axis, figure

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, INK, "#999933")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "x", "star", "cross")
Table = list[dict[str, str]]


def spread(values: list[float]) -> tuple[float, float]:
    """Mean and half of the range, in percent."""
    return 100 * statistics.fmean(values), 50 * (max(values) - min(values))


def strategies(rows: Table) -> go.Figure:
    """Accuracy on test at four budgets, an arm a line of points."""
    shares = [name for name in rows[0] if name.startswith("test_") and name.endswith("%")]
    seeds, samples = len({row["seed"] for row in rows}), int(rows[0]["samples"])
    drawing = figure("Ways of training", f"{samples:,} samples an arm; mean of {seeds} seeds, bars show their range")
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    for share, colour, symbol in zip(shares, COLOURS, SYMBOLS, strict=False):
        found = [[float(row[share]) for row in rows if row["arm"] == arm and row[share]] for arm in arms]
        points = [spread(values) if values else (None, 0.0) for values in found]
        drawing.add_trace(
            go.Scatter(
                x=[mean for mean, _ in points],
                y=arms,
                error_x={"array": [half for _, half in points], "color": colour},
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 9},
                name=f"at {share.removeprefix('test_')} of the MACs",
            )
        )
    drawing.update_layout(height=180 + 28 * len(arms), margin={"l": 190})
    drawing.update_xaxes(axis("accuracy on the test split (%)"))
    drawing.update_yaxes(axis("", autorange="reversed"))
    return drawing


def structures(rows: Table) -> go.Figure:
    """Accuracy on test over the cost of the branch, a structure a colour, a cut point a group."""
    seeds, samples = len({row["seed"] for row in rows}), int(rows[0]["samples"])
    drawing = figure(
        "Structures on the frozen backbone",
        f"{samples:,} samples; mean of {seeds} seeds, bars show their range; lines join a structure's cut points",
    )
    for index, name in enumerate(dict.fromkeys(row["structure"] for row in rows)):
        by_place: dict[str, Table] = defaultdict(list)
        for row in rows:
            if row["structure"] == name:
                by_place[row["cut_point"]].append(row)
        points = [spread([float(row["accuracy"]) for row in group]) for group in by_place.values()]
        drawing.add_trace(
            go.Scatter(
                x=[100 * float(group[0]["share_of_backbone"]) for group in by_place.values()],
                y=[mean for mean, _ in points],
                error_y={"array": [half for _, half in points], "color": COLOURS[index]},
                text=list(by_place),
                mode="markers+lines+text",
                textposition="top center",
                line={"color": COLOURS[index], "width": 1, "dash": "dot"},
                marker={"color": COLOURS[index], "symbol": SYMBOLS[index], "size": 10},
                name=name,
            )
        )
    drawing.update_layout(height=620)
    drawing.update_xaxes(axis("MACs of the branch (% of the backbone's)", type="log"))
    drawing.update_yaxes(axis("accuracy on the test split (%)"))
    return drawing


def bank(rows: Table) -> go.Figure:
    """Hypervolume over training samples and over processor time, an arm a colour, a seed a line."""
    drawing = figure("What the bank buys", "hypervolume of all points so far (accuracy over relative MACs, validation)")
    top = max(float(row["hypervolume"]) for row in rows)
    for index, arm in enumerate(dict.fromkeys(row["arm"] for row in rows)):
        for number, seed in enumerate(dict.fromkeys(row["seed"] for row in rows if row["arm"] == arm)):
            some = [row for row in rows if row["arm"] == arm and row["seed"] == seed]
            for place, column in (("", "samples"), ("2", "processor_seconds")):
                drawing.add_trace(
                    go.Scatter(
                        x=[float(row[column]) for row in some],
                        y=[float(row["hypervolume"]) for row in some],
                        mode="lines+markers",
                        line={"color": COLOURS[index], "shape": "hv"},
                        marker={"symbol": SYMBOLS[index], "size": 7},
                        name=arm,
                        legendgroup=arm,
                        showlegend=number == 0 and not place,
                        xaxis=f"x{place}",
                        yaxis=f"y{place}",
                    )
                )
    shown = [0.85 * top, 1.01 * top]  # a study begins with the backbone alone, far below
    drawing.update_layout(
        xaxis=axis("training samples seen", domain=[0, 0.47]),
        yaxis=axis("hypervolume", range=shown),
        xaxis2=axis("processor seconds", domain=[0.53, 1], anchor="y2"),
        yaxis2=axis("", range=shown, anchor="x2", matches="y", showticklabels=False),
    )
    return drawing


def deployment(rows: Table) -> go.Figure:
    """Speed-up over the plain backbone in the same runtime beside what the MACs promise, a model and batch a line."""
    drawing = figure("What is kept of the promise", "mean time of the plain backbone over that of the program")
    cases = list(dict.fromkeys((row["model"], row["budget"], row["batch"]) for row in rows))
    names = [f"{model}, {budget}, batch {batch}" for model, budget, batch in cases]
    shown = {"promised by MACs": ("eenas, onnxruntime", "promised")}
    shown |= {name: (name, "speed_up") for name in ("eenas, onnxruntime", "earlyon", "earlyon, one by one")}
    for index, (label, (program, column)) in enumerate(shown.items()):
        found = {(row["model"], row["budget"], row["batch"]): row for row in rows if row["program"] == program}
        drawing.add_trace(
            go.Scatter(
                x=[float(found[case][column]) if case in found else None for case in cases],
                y=names,
                mode="markers",
                marker={"color": COLOURS[index], "symbol": SYMBOLS[index], "size": 10},
                name=label,
            )
        )
    drawing.update_layout(height=220 + 34 * len(cases), margin={"l": 260})
    drawing.update_xaxes(axis("times as fast as the plain backbone", type="log"))
    drawing.update_yaxes(axis("", autorange="reversed"))
    return drawing


def draw(rows: Table) -> go.Figure:
    """The figure that the columns ask for."""
    for column, drawn in (("hypervolume", bank), ("promised", deployment), ("structure", structures)):
        if column in rows[0]:
            return drawn(rows)
    return strategies(rows)


def main(source: str, target: str) -> None:
    """Read the CSV, draw what its columns say, and write the page."""
    with Path(source).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    draw(rows).write_html(target, include_plotlyjs=True, config={"displayModeBar": False})


if __name__ == "__main__":
    main(*sys.argv[1:3])
