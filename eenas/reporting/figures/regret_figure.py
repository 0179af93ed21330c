"""A simulated controller over time: pseudo-regret, regret per sample, accuracy, and the share that leaves early."""

from dataclasses import dataclass

import plotly.graph_objects as go

from eenas.escaping import in_figure
from eenas.policies.controllers.simulation import FINAL, RANDOM, Simulation
from eenas.reporting.figures import figure_style as style

BAND = "rgba(0,114,178,0.18)"


@dataclass(frozen=True, kw_only=True)
class RegretLine:
    """One line of a pane over the rounds; `low` and `high` are its range over the seeds, or empty."""

    name: str
    rounds: tuple[int, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RegretPane:
    """A quantity over time: the controller first, then what it is compared with."""

    title: str
    unit: str
    lines: tuple[RegretLine, ...]


@dataclass(frozen=True, kw_only=True)
class RegretFacts:
    """The panes of the figure, and the rounds at which the stream switches with the names of the phases."""

    title: str
    subtitles: tuple[str, ...]
    panes: tuple[RegretPane, ...]
    switches: tuple[tuple[int, str], ...]


def regret_facts(found: Simulation) -> RegretFacts:
    """Return the facts of a simulation. Accuracy is left out if labels are unknown."""
    name, rounds = found.kind.kind, tuple(found.courses[0].rounds.tolist())

    def mine(quantity: str, scale: float = 1.0) -> RegretLine:
        rows = [(scale * getattr(course, quantity)).tolist() for course in found.courses]
        columns = list(zip(*rows, strict=True))
        return RegretLine(
            name=name,
            rounds=rounds,
            values=tuple(sum(column) / len(column) for column in columns),
            low=tuple(map(min, columns)),
            high=tuple(map(max, columns)),
        )

    others = {f"fixed {found.best_fixed}": found.best_fixed, RANDOM: RANDOM, FINAL: FINAL}
    regrets = [_regret_of(found, label, key) for label, key in others.items()]
    panes = [
        RegretPane(title="Pseudo-regret", unit="reward", lines=(mine("regret"), *regrets)),
        RegretPane(title="Regret against the best exit of each sample", unit="reward", lines=(mine("sample_regret"),)),
    ]
    quantities = [("leaving", "Leaving early", "%")]
    if found.courses[0].accuracy is not None:
        quantities.insert(0, ("accuracy", "Accuracy", "%"))
    for quantity, title, unit in quantities:
        flat = []
        for label, key in others.items():
            value = 100 * float(getattr(found.baselines[key], quantity))
            flat.append(RegretLine(name=label, rounds=(0, found.stream.rounds), values=(value, value)))
        panes.append(RegretPane(title=title, unit=unit, lines=(mine(quantity, 100.0), *flat)))
    seeds = f"{len(found.courses)} seed{'s' * (len(found.courses) != 1)}"
    return RegretFacts(
        title=f"Adapting thresholds: {name}",
        subtitles=(
            f"{found.recording}; {found.stream.rounds:,} rounds, mean and range of {seeds}",
            "regret against the best threshold of each phase; accuracy and leaving since the point before",
        ),
        panes=tuple(panes),
        switches=tuple((phase.start, phase.name) for phase in found.phases[1:]),
    )


def draw_regret(facts: RegretFacts) -> go.Figure:
    """Draw the panes two by two; dotted lines mark where the stream switches."""
    drawing = style.figure(facts.title, *facts.subtitles, height=720)
    drawing.update_layout(margin={"t": 112})
    style.panes(drawing, 2, 2, [in_figure(pane.title) for pane in facts.panes], vertical_spacing=0.16)
    shown: set[str] = set()
    for number, pane in enumerate(facts.panes):
        row, column = number // 2 + 1, number % 2 + 1
        for index, line in enumerate(pane.lines):
            _add_line(drawing, line, index, (row, column), shown=line.name not in shown)
            shown.add(line.name)
        for start, _ in facts.switches:
            drawing.add_vline(x=start, row=row, col=column, line={"dash": "dot", "color": "#888888", "width": 1})
        drawing.update_xaxes(style.axis("round"), row=row, col=column)
        drawing.update_yaxes(style.axis(pane.unit), row=row, col=column)
    return drawing


def _add_line(drawing: go.Figure, line: RegretLine, index: int, place: tuple[int, int], *, shown: bool) -> None:
    looks = [(style.BLUE, "solid"), *((colour, dash) for colour, _, dash in style.BASELINE_LOOKS)]
    colour, dash = looks[min(index, len(looks) - 1)]
    if line.low and line.low != line.high:
        drawing.add_scatter(
            x=[*line.rounds, *reversed(line.rounds)],
            y=[*line.high, *reversed(line.low)],
            fill="toself",
            fillcolor=BAND,
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            row=place[0],
            col=place[1],
        )
    drawing.add_scatter(
        x=list(line.rounds),
        y=list(line.values),
        name=in_figure(line.name),
        legendgroup=line.name,
        showlegend=shown,
        mode="lines",
        line={"color": colour, "dash": dash, "width": 2},
        row=place[0],
        col=place[1],
    )


def _regret_of(found: Simulation, label: str, key: str) -> RegretLine:
    """Return the expected pseudo-regret of a fixed choice over time, straight within each phase."""
    rounds, values = [0], [0.0]
    names = found.names()
    for phase in found.phases:
        if key in names:
            mean = phase.means[names.index(key)]
        elif key == RANDOM:
            mean = sum(phase.means) / len(phase.means)
        else:
            mean = phase.final
        rounds.append(phase.end)
        values.append(values[-1] + (phase.end - phase.start) * max(0.0, phase.means[phase.best] - mean))
    return RegretLine(name=label, rounds=tuple(rounds), values=tuple(values))
