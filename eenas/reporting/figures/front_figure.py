"""The front and its baselines: accuracy over cost, as a share of the plain backbone's cost."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from eenas.errors import plural
from eenas.escaping import in_figure
from eenas.percent import percent
from eenas.policies.costs import LATENCY, MACS
from eenas.policies.operating_point import OperatingPoint
from eenas.reporting.facts.front_table import PLAIN, STATIC, family
from eenas.reporting.facts.summary import headline
from eenas.reporting.facts.summary import shown as shown_point
from eenas.reporting.facts.wording import ROBUSTNESS_WORDS, cost_text, cost_word, each_batch, quantity
from eenas.reporting.figures import figure_style as style
from eenas.results.results import StudyResults
from eenas.study.context.traits import Traits
from eenas.study.rivals.offered_points import FrontPoint, offered

CLOUD_LIMIT = 600
FRONT_LIMIT = 150


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One point: cost as a share of the backbone's, accuracy in [0, 1], the network, and the hover text."""

    share: float
    accuracy: float
    network: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class BaselineMarks:
    """A baseline's points by rising cost. With `stairs`, its policy can reach the costs between two points."""

    name: str
    marks: tuple[Mark, ...]
    stairs: bool


@dataclass(frozen=True, kw_only=True)
class FrontFacts:
    """The content of a figure of the front.

    `front` is in order of rising cost. `cloud` holds all other operating points, thinned to a visible resolution.
    `picked` is the point that the page examines, unless that is the knee or the plain backbone, and `picked_name` its
    name in the legend. `infeasible` are the chosen points of trials that violate a constraint of the study.
    """

    title: str
    subtitles: tuple[str, ...]
    cost: str
    unit: str
    backbone_cost: str
    backbone_accuracy: float
    chance: float
    front: tuple[Mark, ...]
    knee: Mark | None
    picked: Mark | None
    picked_name: str
    cloud: tuple[Mark, ...]
    infeasible: tuple[Mark, ...]
    baselines: tuple[BaselineMarks, ...]


def front_facts(results: StudyResults, cost: str = MACS, picked: FrontPoint | None = None) -> FrontFacts:
    """Return the facts of the front over an expected cost; `picked` is by default the point of `summary.shown`.

    The front of a study is taken over accuracy and all of its costs; drawn over one cost, only those of its points that
    nothing cheaper beats on accuracy are marked, the others join the cloud, and so do those below every choice.
    """
    whole = results.backbone.costs.get(cost)
    marks = [(item, mark) for item in results.front if (mark := _front_mark(item, whole, cost, results)) is not None]
    least = min((item.point.accuracy for item in results.choices), default=0.0)
    front = _stairs([mark for item, mark in marks if item.point.accuracy >= least])
    knee = next((mark for item, mark in marks if item.knee), None)
    shown = picked or shown_point(results)
    is_picked = shown is not None and not shown.knee and shown.kind != "plain"
    kept = {id(mark) for mark in front}
    clouds = [mark for _, mark in marks if id(mark) not in kept]
    held = offered(results.networks, results.backbone, results.settings.constraints)
    found = (_mark(item.point, whole, cost, item.name) for item in held if item.kind == "trial")
    clouds += [mark for mark in found if mark is not None]
    broken = (
        _mark(trial.chosen, whole, cost, name, in_figure(f"{name} misses: {results.missed(trial)}"))
        for trial in results.trials
        if trial.chosen is not None and trial.missed and (name := f"trial {trial.number}")
    )
    total = quantity(whole, "MACs") if cost == MACS else cost_text(cost, whole, results.units.get(cost, ""))
    words = {MACS: "MACs of a sample", LATENCY: f"latency of {each_batch(results.settings.latency.batch)}"}
    return FrontFacts(
        title=f"Accuracy against {'compute' if cost == MACS else cost_word(cost)}",
        subtitles=(
            headline(results, shown),
            f"{plural(len(results.trials), 'trial')} on {results.task}; the plain {results.backbone.name}: "
            f"{percent(results.backbone.accuracy)}" + (f" with {total}" if whole else ""),
        ),
        cost=cost,
        unit=words.get(cost, f"{cost_word(cost)} of a sample"),
        backbone_cost=total,
        backbone_accuracy=results.backbone.accuracy,
        chance=results.chance,
        front=_even(front, FRONT_LIMIT),
        knee=knee,
        picked=_front_mark(shown, whole, cost, results) if shown is not None and is_picked else None,
        picked_name="recommended" if shown is not None and shown.recommended else "picked",
        cloud=_thin(clouds, CLOUD_LIMIT),
        infeasible=tuple(mark for mark in broken if mark is not None),
        baselines=_baselines(results, whole, cost),
    )


def draw_front(facts: FrontFacts) -> go.Figure:
    """Draw a pale cloud, dashed baselines, the front, its knee as a star, and the backbone in a cross-hair."""
    drawing = style.figure(facts.title, *facts.subtitles)
    if facts.cloud:
        drawing.add_scatter(
            x=_shares(facts.cloud),
            y=_accuracies(facts.cloud),
            customdata=[in_figure(mark.network) for mark in facts.cloud],
            mode="markers",
            name="all networks",
            marker={"color": style.PALE, "size": 5},
            hovertemplate="%{customdata}: %{y:.1f} % at %{x:.1f} %<extra></extra>",
        )
    for index, baseline in enumerate(facts.baselines):
        colour, symbol, dash = style.BASELINE_LOOKS[index % len(style.BASELINE_LOOKS)]
        drawing.add_scatter(
            x=_shares(baseline.marks),
            y=_accuracies(baseline.marks),
            mode="lines+markers" if baseline.stairs else "markers",
            name=in_figure(baseline.name),
            line={"color": colour, "dash": dash, "width": 1.5, "shape": "hv"},
            marker={"color": colour, "symbol": symbol, "size": 6 if baseline.stairs else 11},
            hovertemplate=f"{in_figure(baseline.name)}: %{{y:.1f}} % at %{{x:.1f}} %<extra></extra>",
        )
    if facts.infeasible:
        drawing.add_scatter(
            x=_shares(facts.infeasible),
            y=_accuracies(facts.infeasible),
            text=[mark.text for mark in facts.infeasible],
            mode="markers",
            name="infeasible",
            marker={
                "color": style.VERMILLION,
                "symbol": "x-thin",
                "size": 10,
                "line": {"width": 2, "color": style.VERMILLION},
            },
            hovertemplate="%{text}<extra></extra>",
        )
    if facts.front:
        drawing.add_scatter(
            x=_shares(facts.front),
            y=_accuracies(facts.front),
            text=[mark.text for mark in facts.front],
            mode="lines+markers",
            name="front",
            line={"color": style.BLUE, "width": 2.5, "shape": "hv"},
            marker={"color": style.BLUE, "size": 7},
            hovertemplate="%{text}<extra></extra>",
        )
    stars = (("knee", facts.knee, "star"), (facts.picked_name, facts.picked, "star-diamond"))
    for name, mark, symbol in stars:
        if mark is None:
            continue
        drawing.add_scatter(
            x=_shares([mark]),
            y=_accuracies([mark]),
            text=[mark.text],
            mode="markers",
            name=name,
            marker={"color": style.VERMILLION, "symbol": symbol, "size": 17, "line": {"color": "white", "width": 1.5}},
            hovertemplate="%{text}<extra></extra>",
        )
    _cross_hair(drawing, facts)
    if not facts.front:
        unknown = f"{cost_word(facts.cost)} was not measured"
        style.say_empty(drawing, unknown if facts.backbone_cost == "–" else "there is no front yet")
    low, high = _accuracy_range(facts)
    widest = max([1.0, *(mark.share for mark in _drawn(facts))])
    drawing.update_xaxes(
        style.axis(
            f"expected {facts.unit}, % of the plain backbone's {facts.backbone_cost}",
            range=[0, 100 * min(max(1.08, widest + 0.03), 1.5)],
        )
    )
    drawing.update_yaxes(style.axis("accuracy on the validation split, %", range=[100 * low, 100 * high]))
    return drawing


def _cross_hair(drawing: go.Figure, facts: FrontFacts) -> None:
    accuracy = 100 * facts.backbone_accuracy
    line = {"color": style.INK, "width": 1, "dash": "dot"}
    drawing.add_shape(type="line", xref="paper", x0=0, x1=1, y0=accuracy, y1=accuracy, line=line)
    if facts.backbone_cost == "–":
        return
    drawing.add_shape(type="line", yref="paper", x0=100, x1=100, y0=0, y1=1, line=line)
    words = f"plain backbone: {percent(facts.backbone_accuracy)}, {facts.backbone_cost}"
    drawing.add_scatter(  # named in the legend, since a label in the plot would hide the front there
        x=[100],
        y=[round(accuracy, 2)],
        mode="markers",
        name=PLAIN,
        marker={"color": style.INK, "symbol": "circle-open", "size": 10, "line": {"width": 2}},
        hovertemplate=f"{words}<extra></extra>",
    )


def _drawn(facts: FrontFacts) -> list[Mark]:
    """Return the marks that must fit into the axes; the cloud may be cut off below."""
    picked = () if facts.picked is None else (facts.picked,)
    baselines = [mark for baseline in facts.baselines for mark in baseline.marks]
    return [*facts.front, *picked, *facts.infeasible, *baselines]


def _accuracy_range(facts: FrontFacts) -> tuple[float, float]:
    """Return the limits of the accuracy axis: the front and the backbone, with equal room below for rivals."""
    near = [*facts.front, *(mark for mark in (facts.picked, facts.knee) if mark is not None)]
    values = [mark.accuracy for mark in near or _drawn(facts) or facts.cloud]
    low = min([facts.backbone_accuracy, *values])
    high = max([facts.backbone_accuracy, *values])
    room = max(high - low, 0.05)
    return max(0.0, low - room), high + 0.1 * room


def _front_mark(item: FrontPoint, whole: float | None, cost: str, results: StudyResults) -> Mark | None:
    others = [(name, value) for name, value in item.point.expected.items() if name != MACS]
    placed = ", ".join(f"{branch.cut_point} {branch.branch.label()}" for branch in item.design.branches)
    texts = [f"{in_figure(item.label)}: {percent(item.point.accuracy)} at {percent(item.macs_share)} of the MACs"]
    texts += [cost_text(name, value, results.units.get(name, "")) for name, value in others]
    texts += [f"{ROBUSTNESS_WORDS[name]} {percent(value)}" for name, value in item.point.robustness.items()]
    text = ", ".join(texts) + f"<br>{in_figure(placed) or 'no branch'}"
    if how := Traits.of(item.design, item.point.policy).words():
        text += f"<br>{in_figure(how)}"
    return _mark(item.point, whole, cost, item.name, text)


def _mark(point: OperatingPoint, whole: float | None, cost: str, network: str = "", text: str = "") -> Mark | None:
    spent = point.expected.get(cost)
    if spent is None or not whole or not math.isfinite(spent):
        return None
    return Mark(share=spent / whole, accuracy=point.accuracy, network=network, text=text)


def _baselines(results: StudyResults, whole: float | None, cost: str) -> tuple[BaselineMarks, ...]:
    groups: dict[str, list[Mark]] = {}
    for baseline in results.baselines:
        if baseline.name == "backbone":
            continue
        marks = (_mark(point, whole, cost) for point in baseline.points)
        groups.setdefault(family(baseline.name), []).extend(mark for mark in marks if mark is not None)
    return tuple(
        BaselineMarks(
            name=name,
            marks=tuple(sorted(marks, key=lambda mark: mark.share)) if (static := name == STATIC) else _stairs(marks),
            stairs=not static,
        )
        for name, marks in groups.items()
        if marks
    )


def _stairs(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """Return the marks that are more accurate than all cheaper ones, by rising cost."""
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.share, -mark.accuracy)):
        if not kept or mark.accuracy > kept[-1].accuracy:
            kept.append(mark)
    return tuple(kept)


def _even(marks: Sequence[Mark], limit: int) -> tuple[Mark, ...]:
    """Return at most `limit` of the marks, evenly spaced, with both ends."""
    if len(marks) <= limit:
        return tuple(marks)
    step = (len(marks) - 1) / (limit - 1)
    return tuple(marks[round(index * step)] for index in range(limit))


def _thin(marks: Sequence[Mark], limit: int) -> tuple[Mark, ...]:
    """Return one mark for each filled cell of the finest grid with at most `limit` filled cells."""
    for cells in (400, 200, 100, 60, 40, 25):
        filled = {(round(mark.share * cells), round(mark.accuracy * cells)): mark for mark in marks}
        if len(filled) <= limit:
            return tuple(filled.values())
    return _even(list(filled.values()), limit)


def _shares(marks: Iterable[Mark]) -> list[float]:
    return [round(100 * mark.share, 2) for mark in marks]


def _accuracies(marks: Iterable[Mark]) -> list[float]:
    return [round(100 * mark.accuracy, 2) for mark in marks]
