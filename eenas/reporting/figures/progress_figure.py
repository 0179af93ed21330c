"""The progress of a search: hypervolume over time, and the effect of brief training on each frozen network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import plotly.graph_objects as go

from eenas.errors import plural
from eenas.escaping import in_figure
from eenas.fronts.hypervolume import REFERENCE_COST, hypervolume
from eenas.networks.backbone_facts import BackboneFacts
from eenas.percent import percent
from eenas.policies.costs import MACS
from eenas.policies.operating_point import OperatingPoint
from eenas.records.trials import TrialRecord
from eenas.reporting.facts.wording import duration
from eenas.reporting.figures import figure_style as style
from eenas.results.front import area_by_macs
from eenas.results.results import StudyResults
from eenas.study.rivals.offered_points import offered


@dataclass(frozen=True, kw_only=True)
class TrialGain:
    """The hypervolume of one network alone: on the frozen backbone, and after its brief training."""

    trial: int
    origin: str
    frozen: float
    brief: float


@dataclass(frozen=True, kw_only=True)
class ProgressFacts:
    """Hypervolumes of accuracy × MACs from (1.1 × backbone, chance), after each trial of the search.

    `hours` [M] is the cumulative time of the M trials, in the order of their numbers. `brief` [M] is the hypervolume of
    the trials so far, and `frozen` [M] that of their networks before training (None before the first with such points).
    `gains` are the networks that have both.
    """

    title: str
    subtitles: tuple[str, ...]
    trials: tuple[int, ...]
    hours: tuple[float, ...]
    brief: tuple[float, ...]
    frozen: tuple[float | None, ...]
    gains: tuple[TrialGain, ...]


def progress_facts(results: StudyResults) -> ProgressFacts:
    """Return the facts of all trials. Failed trials and points that violate a limit add time but no hypervolume."""
    backbone, chance = results.backbone, results.chance
    hours, spent = [], 0.0
    for trial in results.trials:
        spent += trial.seconds / 3600
        hours.append(spent)
    limits = results.settings.constraints
    held: dict[int | None, list[OperatingPoint]] = {}
    for item in offered(results.networks, backbone, limits):
        held.setdefault(item.trial, []).append(item.point)
    brief = areas([held.get(trial.number, ()) for trial in results.trials], backbone, chance)
    before = {trial.number: _frozen_held(trial, results) for trial in results.trials}
    frozen = areas(list(before.values()), backbone, chance)
    gains = tuple(
        TrialGain(
            trial=trial.number,
            origin=trial.origin,
            frozen=area_by_macs(before[trial.number], backbone, chance),
            brief=area_by_macs(held[trial.number], backbone, chance),
        )
        for trial in results.trials
        if before[trial.number] and held.get(trial.number)
    )
    better = sum(gain.brief > gain.frozen for gain in gains)
    gained = f"; brief training improved {better} of {len(gains)} networks over the frozen backbone" if gains else ""
    return ProgressFacts(
        title="Progress of the search",
        subtitles=(
            f"{plural(len(results.trials), 'trial')} in {duration(spent)} of their own time{gained}",
            f"hypervolume: accuracy × MACs, from 1.1 × the backbone's MACs and {percent(chance)} accuracy",
        ),
        trials=tuple(trial.number for trial in results.trials),
        hours=tuple(hours),
        brief=tuple(brief),
        frozen=tuple(value or None for value in frozen),
        gains=gains,
    )


def _frozen_held(trial: TrialRecord, results: StudyResults) -> list[OperatingPoint]:
    """Return the points of a trial's network on the frozen backbone that hold the study's limits."""
    network = next((network for network in results.networks if network.trial == trial.number), None)
    if network is None:
        return []
    frozen = replace(network, points=trial.frozen_points, right=())
    return [item.point for item in offered([frozen], results.backbone, results.settings.constraints)]


def areas(curves: Sequence[Sequence[OperatingPoint]], backbone: BackboneFacts, chance: float) -> list[float]:
    """Return the hypervolume of all points so far, after each of the curves.

    Only undominated points are kept from curve to curve, so the time per trial stays bounded.
    """
    found: list[float] = []
    kept: list[tuple[float, float]] = []
    for curve in curves:
        if curve:
            kept = _best([*kept, *((point.expected[MACS] / backbone.macs, point.accuracy) for point in curve)])
        cost, accuracy = [point[0] for point in kept], [point[1] for point in kept]
        found.append(hypervolume(accuracy, cost, reference_cost=REFERENCE_COST, reference_accuracy=chance))
    return found


def draw_progress(facts: ProgressFacts) -> go.Figure:
    """Draw hypervolume over time on the left, and each network before and after its training on the right.

    Without networks that were scored frozen there is no right pane.
    """
    drawing = style.figure(facts.title, *facts.subtitles)
    unit, factor = ("hours", 1) if max(facts.hours, default=1.0) >= 1 else ("minutes", 60)
    if facts.gains:
        titles = ("of all networks so far", "of each network alone")
        style.panes(drawing, 1, 2, titles, horizontal_spacing=0.1, column_widths=[0.58, 0.42])
        drawing.update_layout(margin={"t": style.TOP + 22})
    else:
        style.panes(drawing, 1, 1, ())
    for name, values, colour, dash, symbol in (
        ("after brief training", facts.brief, style.BLUE, "solid", "circle"),
        ("on the frozen backbone", facts.frozen, style.ORANGE, "dot", "circle-open"),
    ):
        if not any(values):
            continue
        drawing.add_scatter(
            x=[round(value * factor, 4) for value in facts.hours],
            y=[None if value is None else round(value, 5) for value in values],
            customdata=list(facts.trials),
            mode="lines+markers" if len(facts.trials) <= 60 else "lines",
            name=name,
            line={"color": colour, "dash": dash, "shape": "hv", "width": 2},
            marker={"symbol": symbol, "size": 7},
            hovertemplate=f"{name}, up to trial %{{customdata}}: %{{y:.4f}}<extra></extra>",
            row=1,
            col=1,
        )
    if facts.gains:
        _draw_gains(drawing, facts.gains)
    drawing.update_xaxes(style.axis(f"time of the trials, {unit}", rangemode="tozero"), row=1, col=1)
    drawing.update_yaxes(style.axis("hypervolume"), row=1, col=1)
    if not any(facts.brief):
        style.say_empty(drawing, "no trial has finished with an operating point yet")
    return drawing


def _draw_gains(drawing: go.Figure, gains: Sequence[TrialGain]) -> None:
    both = [value for gain in gains for value in (gain.frozen, gain.brief)]
    ends = [min(both), max(both)]
    drawing.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        name="no gain from training",
        line={"color": "#777777", "dash": "dash", "width": 1},
        hoverinfo="skip",
        row=1,
        col=2,
    )
    for name, chosen, colour, symbol in (
        ("proposed by the sampler", [g for g in gains if g.origin == "sampler"], style.GREEN, "diamond"),
        (
            "first trials, queued before the search",
            [g for g in gains if g.origin != "sampler"],
            style.PURPLE,
            "square",
        ),
    ):
        drawing.add_scatter(
            x=[round(gain.frozen, 5) for gain in chosen],
            y=[round(gain.brief, 5) for gain in chosen],
            text=[in_figure(f"trial {gain.trial} ({gain.origin})") for gain in chosen],
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 10, "opacity": 0.8},
            hovertemplate="%{text}: %{x:.4f} frozen, %{y:.4f} trained<extra></extra>",
            row=1,
            col=2,
        )
    drawing.update_xaxes(style.axis("hypervolume on the frozen backbone"), row=1, col=2)
    drawing.update_yaxes(style.axis("hypervolume after brief training"), row=1, col=2)


def _best(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the (cost, accuracy) points that are more accurate than all cheaper ones."""
    kept: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or accuracy > kept[-1][1]:
            kept.append((cost, accuracy))
    return kept
